// SPDX-License-Identifier: Apache-2.0
// Masks that are no bands, as their kernels test them. Each is a variant of its own, so that the lowering can't know it.
#include "workloads/families/mask_code.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "sim/core/error.h"
#include "tests/support/brute_mask.h"
#include "tests/support/chips.h"
#include "tests/value/lowered_attention.h"
#include "workloads/masks/gna.h"

using namespace attnsim;
using attnsim::test::check;
using attnsim::test::problem;

namespace {

std::shared_ptr<const Mask> brute(MaskTest test, const Problem& p, std::int64_t entry) {
  return std::make_shared<test::BruteMask>(std::move(test), p.q_len_of(entry), p.kv_len_of(entry));
}

Variant variant_of(std::vector<HeadMask> (*masks)(const Problem&, std::int64_t)) {
  Variant v;
  v.name = "own";
  v.family = "tile-list";
  v.masks = masks;
  return v;
}

// Every third key, and all keys of the query's block of ten or of the first eight.
std::vector<HeadMask> strided(const Problem& p, std::int64_t entry) {
  const Expression causal = key() <= query() + (p.kv_len_of(entry) - p.q_len_of(entry));
  const Expression some = (query() - key()) % 3 == 0 || query() / 10 == key() / 10 || key() < 8;
  return {{0, p.q_heads, brute({{causal, some}, {}, {}}, p, entry)}};
}

// Documents of uneven length, by a number per token; heads of the upper half see no diagonal neighbour either.
std::vector<HeadMask> document_masks(const Problem& p, std::int64_t entry) {
  MaskTest test;
  test.query_values.emplace_back();
  test.key_values.emplace_back();
  for (std::int64_t q = 0; q < p.q_len_of(entry); ++q) test.query_values[0].push_back((q * q / 900 + entry) % 5);
  for (std::int64_t k = 0; k < p.kv_len_of(entry); ++k) test.key_values[0].push_back((k * k / 1300 + entry) % 5);
  test.all_of = {query_value(0) == key_value(0), !(absolute(query() - key()) == 1)};
  return {{0, p.q_heads, brute(test, p, entry)}};
}

// Another window and another phase per head.
std::vector<HeadMask> by_head(const Problem& p, std::int64_t entry) {
  std::vector<HeadMask> masks;
  for (std::int64_t h = 0; h < p.q_heads; ++h) {
    const Expression near = query() - key() < 20 + 30 * h;
    masks.push_back({h, 1, brute({{key() <= query(), near || (key() + h) % 7 == 0}, {}, {}}, p, entry)});
  }
  return masks;
}

// Nothing at all for some queries.
std::vector<HeadMask> holes(const Problem& p, std::int64_t entry) {
  const Expression e = minimum(query() % 64, key() % 32) > 20 && maximum(query(), key()) - query() * 0 < 150;
  return {{0, p.q_heads, brute({{e}, {}, {}}, p, entry)}};
}

struct NamedMasks {
  const char* name;
  std::vector<HeadMask> (*masks)(const Problem&, std::int64_t);
};

}  // namespace

TEST_CASE("kernels test masks that are no bands as they are defined, in every order that tokens allow", "[value]") {
  const auto [schedule, chip] = GENERATE(table<std::string, Chip>({{"fa2-sm80", test::a100()},
                                                                   {"fa3-sm90", test::h100()},
                                                                   {"fa3-sm90-paged", test::h100()},
                                                                   {"fa4-sm100", test::b200()},
                                                                   {"triton-fa-masked-sm90", test::h100()},
                                                                   {"splitkv-decode-sm90", test::h100()},
                                                                   {"fused-generic", test::systolic()},
                                                                   {"naive-unfused", test::a100()}}));
  for (const NamedMasks& n : {NamedMasks{"strided", strided}, NamedMasks{"documents", document_masks}, NamedMasks{"by head", by_head},
                              NamedMasks{"holes", holes}}) {
    const Variant v = variant_of(n.masks);
    check({schedule, chip, n.name, problem(1, 2, 1, {150}, {230}, 32), &v});
    check({schedule, chip, n.name, problem(2, 4, 2, {130, 40}, {200, 90}, 32), &v});
  }
}

TEST_CASE("a linear inequality is one compare, and constants that differ by family are parameters", "[value]") {
  const auto test_with = [](std::int64_t window, std::int64_t modulus) {
    return MaskTest{{key() <= query() + 5, query() - key() < window, (key() - query()) % modulus == 0}, {}, {}};
  };
  const MaskCode code = mask_code({test_with(10, 4), test_with(30, 4)}, 2);
  REQUIRE(code.instructions.size() == 5);  // two compares; iota, modulo, equal
  CHECK(code.instructions[0].kind == ir::OpKind::compare);
  CHECK(code.instructions[0].relation.offset == 5);
  CHECK(code.instructions[0].relation.row_group == 2);
  CHECK(code.instructions[1].relation.parameter == 0);
  CHECK(code.parameters == std::vector<std::vector<std::int64_t>>{{9}, {29}});
  CHECK(code.instructions[2].kind == ir::OpKind::iota);
  CHECK(code.instructions[3].fn == ir::Fn::modulo);
  CHECK(code.keeps == std::vector<int>{0, 1, 4});
  // Operands other than numbers of a linear form become operands in memory of the kernel: a modulus that differs is one as well.
  CHECK(mask_code({test_with(10, 4), test_with(10, 5)}, 1).instructions[3].kind == ir::OpKind::iota);
}

TEST_CASE("heads whose masks are tested in different ways are refused", "[value]") {
  const MaskTest causal{{key() <= query()}, {}, {}};
  const MaskTest other{{key() % 2 == 0}, {}, {}};
  CHECK_THROWS_AS(mask_code({causal, other}, 1), ConfigError);
  CHECK_THROWS_AS(mask_code({causal, MaskTest{}}, 1), ConfigError);
}

TEST_CASE("the query tile of a query is one number per item where the tiles are known", "[value]") {
  const MaskTest test{{(query() / 128) % 3 <= key() / 64}, {}, {}};
  const auto of_queries = [](const MaskCode& code, bool MaskInstruction::*what) {
    return std::count_if(code.instructions.begin(), code.instructions.end(),
                         [what](const MaskInstruction& i) { return i.*what && !i.by_column && !i.by_trip; });
  };
  const MaskCode known = mask_code({test}, 1, 64, 64);
  CHECK(of_queries(known, &MaskInstruction::by_item) == 3);  // iota, division, modulo
  CHECK(of_queries(known, &MaskInstruction::by_row) == 0);
  CHECK(of_queries(mask_code({test}, 1), &MaskInstruction::by_item) == 0);
  CHECK(of_queries(mask_code({test}, 1, 64, 96), &MaskInstruction::by_item) == 0);  // tiles of 96 cut into those of 128
}

TEST_CASE("comparisons of an axis are computed once for the places of the axes after it", "[value]") {
  const auto shares = [](const GnaTileMask& mask, std::int64_t tile) {
    std::vector<double> found;
    for (const MaskInstruction& i : mask_code({mask.test()}, 1, tile, tile).instructions)
      if (i.fn == ir::Fn::less || i.fn == ir::Fn::less_equal) found.push_back(i.share);
    return found;
  };
  const GnaAxis axis{64, 20, 1, 1, false};
  CHECK(shares(GnaTileMask({{axis}, 0, false}, {64}, {64}), 64) == std::vector<double>{1, 1});
  CHECK(shares(GnaTileMask({{axis, axis}, 0, false}, {16, 8}, {16, 8}), 128) == std::vector<double>{1.0 / 8, 1.0 / 8, 1, 1});
  CHECK(shares(GnaTileMask({{axis, axis, axis}, 0, false}, {4, 4, 8}, {4, 4, 8}), 128) ==
        std::vector<double>{1.0 / 32, 1.0 / 32, 1.0 / 8, 1.0 / 8, 1, 1});
}

TEST_CASE("a column's place in a box whose extents the kernel is only told is computed for each column", "[value]") {
  const GnaAxis axis{64, 20, 1, 1, false};
  const auto divided_columns = [&](KvTiling tiling) {
    const GnaTileMask mask({{axis, axis, axis}, 0, false}, {4, 4, 4}, {4, 4, 4}, tiling);
    int divisions = 0;
    for (const MaskInstruction& i : mask_code({mask.test()}, 1, 64, 64).instructions) {
      if (i.fn == ir::Fn::floor_divide && i.by_column && !i.immediate) ++divisions;
      if (tiling == KvTiling::from_first_key) CHECK(i.share == 1);
    }
    return divisions;
  };
  CHECK(divided_columns(KvTiling::on_grid) == 0);
  CHECK(divided_columns(KvTiling::from_first_key) == 2);
}

TEST_CASE("equal expressions of a test are computed once, and those of one side as vectors", "[value]") {
  const Expression x = query() / 16;
  const MaskCode code = mask_code({{{x - key() / 16 < 3, x % 2 == 0}, {}, {}}}, 1);
  int divisions = 0;
  for (const MaskInstruction& i : code.instructions) {
    if (i.fn == ir::Fn::floor_divide) {
      ++divisions;
      CHECK(i.by_row != i.by_column);
    }
  }
  CHECK(divisions == 2);
}
