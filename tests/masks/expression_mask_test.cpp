// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/expression_mask.h"

#include "tests/masks/mask_contract.h"
#include "workloads/masks/band.h"

using namespace attnsim;
using attnsim::test::draw;

namespace {

// Random trees over all that expressions have.
class Grammar {
 public:
  Grammar(std::mt19937& rng, bool tables) : rng_(rng), tables_(tables) {}

  Expression number(int depth) {
    if (depth == 0) {
      switch (draw(rng_, 0, tables_ ? 4 : 2)) {
        case 0: return query();
        case 1: return key();
        case 3: return query_value(0);
        case 4: return key_value(0);
        default: return {draw(rng_, -5, 40)};
      }
    }
    switch (draw(rng_, 0, 7)) {
      case 0: return number(depth - 1) + number(depth - 1);
      case 1: return number(depth - 1) - number(depth - 1);
      case 2: return number(depth - 1) * Expression(draw(rng_, -3, 3));
      case 3: return number(depth - 1) / Expression(draw(rng_, 1, 16));
      case 4: return number(depth - 1) % Expression(draw(rng_, 1, 16));
      case 5: return minimum(number(depth - 1), number(depth - 1));
      case 6: return maximum(number(depth - 1), number(depth - 1));
      default: return absolute(number(depth - 1));
    }
  }

  Expression predicate(int depth) {
    const std::int64_t kind = draw(rng_, 0, depth == 0 ? 3 : 6);
    switch (kind) {
      case 0: return number(2) < number(1);
      case 1: return number(1) <= number(2);
      case 2: return number(1) % Expression(draw(rng_, 2, 9)) == number(0);
      case 3: return power_of_two(number(1));
      case 4: return predicate(depth - 1) && predicate(depth - 1);
      case 5: return predicate(depth - 1) || predicate(depth - 1);
      default: return !predicate(depth - 1);
    }
  }

 private:
  std::mt19937& rng_;
  bool tables_;
};

}  // namespace

TEST_CASE("masks of random expressions keep, count and tile what looking at each pair says", "[masks]") {
  std::mt19937 rng(11);
  for (int i = 0; i < 300; ++i) {
    const bool tables = i % 3 == 0;
    MaskTest test;
    Grammar grammar(rng, tables);
    const std::int64_t q_len = draw(rng, 1, 90);
    const std::int64_t kv_len = draw(rng, 1, 110);
    if (tables) {
      test.query_values.emplace_back();
      test.key_values.emplace_back();
      for (std::int64_t q = 0; q < q_len; ++q) test.query_values[0].push_back(q * q / 100 % 7);
      for (std::int64_t k = 0; k < kv_len; ++k) test.key_values[0].push_back(k / 9 % 5);
    }
    for (std::int64_t n = draw(rng, 1, 2); n > 0; --n) test.all_of.push_back(grammar.predicate(2));
    INFO(to_text(test.all_of.front()) << ", " << q_len << " x " << kv_len);
    test::check_contract(ExpressionMask(test, q_len, kv_len), rng);
  }
}

TEST_CASE("what is remembered of one rectangle holds for those that it is used for", "[masks]") {
  // Long enough for equal tiles far apart, short periods and thresholds in between.
  std::mt19937 rng(13);
  const std::vector<Expression> masks{key() <= query() && (query() - key()) % 6 == 0, key() <= query() && query() / 24 - key() / 24 < 3,
                                      (query() / 7 % 5 == key() / 7 % 5 || key() < 10) && absolute(query() - key()) < 200,
                                      key() <= query() && power_of_two(query() / 16 - key() / 16),
                                      absolute(query() / 20 % 20 - key() / 20 % 20) <= 3 && absolute(query() % 20 - key() % 20) <= 2};
  for (const Expression& e : masks) {
    const ExpressionMask mask({{e}, {}, {}}, 400, 400);
    INFO(to_text(e));
    for (const std::int64_t tile_q : {32, 48, 33}) {
      for (std::int64_t q = 0; q < 400; q += tile_q) test::check_runs(mask, {q, std::min<std::int64_t>(q + tile_q, 400)}, 16);
    }
    for (int i = 0; i < 20; ++i) {
      const std::int64_t q = draw(rng, 0, 399);
      const Range queries{q, draw(rng, q + 1, 400)};
      const Range keys{draw(rng, 0, 200), draw(rng, 200, 400)};
      REQUIRE(mask.kept(queries, keys) == test::count_pairs(mask, queries, keys));
    }
  }
}

TEST_CASE("a band written as an expression has the band's tiles and counts", "[masks]") {
  std::mt19937 rng(17);
  for (int i = 0; i < 200; ++i) {
    const std::int64_t q_len = draw(rng, 1, 300);
    const std::int64_t kv_len = draw(rng, 1, 300);
    const BandMask band({kv_len - q_len, -draw(rng, 0, 80), draw(rng, 0, 10)}, q_len, kv_len);
    const ExpressionMask same(band.test(), q_len, kv_len);
    const std::int64_t q = draw(rng, 0, q_len - 1);
    const Range queries{q, draw(rng, q + 1, q_len)};
    REQUIRE(same.runs(queries, 32) == band.runs(queries, 32));
    REQUIRE(same.kept(queries, {0, kv_len}) == band.kept(queries, {0, kv_len}));
  }
}
