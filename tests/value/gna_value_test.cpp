// SPDX-License-Identifier: Apache-2.0
// Neighbourhood attention as lowered, tokens in tile order, against its definition on coordinates of the layout.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "tests/support/chips.h"
#include "tests/support/draw.h"
#include "tests/value/lowered_attention.h"
#include "workloads/variants/gna.h"

using namespace attnsim;
using attnsim::test::check;
using attnsim::test::draw;
using attnsim::test::largest_error;

namespace {

struct AxisChoice {
  std::int64_t length = 1, window = 1, stride = 1, dilation = 1;
  bool causal = false;
};

bool keeps_on_axis(const AxisChoice& a, std::int64_t x, std::int64_t y) {
  if (x % a.dilation != y % a.dilation) return false;
  const std::int64_t residue = x % a.dilation;
  const std::int64_t n = (a.length - residue + a.dilation - 1) / a.dilation;
  const std::int64_t i = x / a.dilation;
  const std::int64_t j = y / a.dilation;
  if (a.causal) {
    const std::int64_t leader = std::min(i / a.stride * a.stride + a.stride - 1, n - 1);
    return j <= i && leader - j < a.window;
  }
  const std::int64_t left = a.window / 2;
  const std::int64_t right = left + a.window % 2 - 1;
  const std::int64_t leader = std::min(i / a.stride * a.stride + a.stride / 2, n - 1);
  const std::int64_t center = std::clamp(leader, left, n - 1 - right);
  return center - left <= j && j <= center + right;
}

bool keeps(const std::vector<AxisChoice>& axes, std::int64_t q, std::int64_t k) {
  for (std::size_t a = axes.size(); a-- > 0;) {
    if (!keeps_on_axis(axes[a], q % axes[a].length, k % axes[a].length)) return false;
    q /= axes[a].length;
    k /= axes[a].length;
  }
  return true;
}

std::string joined(const std::vector<AxisChoice>& axes, std::int64_t (*of)(const AxisChoice&)) {
  std::string text;
  for (const AxisChoice& a : axes) text += (text.empty() ? "" : "x") + std::to_string(of(a));
  return text;
}

test::Case case_of(const std::string& schedule, const Chip& chip, const std::vector<AxisChoice>& axes, std::int64_t extra, std::int64_t d,
                   std::int64_t q_heads = 1, std::int64_t kv_heads = 1) {
  std::int64_t tokens = 1;
  for (const AxisChoice& a : axes) tokens *= a.length;
  const Params params{{"layout", joined(axes, [](const AxisChoice& a) { return a.length; })},
                      {"window", joined(axes, [](const AxisChoice& a) { return a.window; })},
                      {"stride", joined(axes, [](const AxisChoice& a) { return a.stride; })},
                      {"dilation", joined(axes, [](const AxisChoice& a) { return a.dilation; })},
                      {"causal", joined(axes, [](const AxisChoice& a) { return std::int64_t{a.causal ? 1 : 0}; })},
                      {"extra_keys", extra}};
  test::Case c{schedule, chip, "gna", test::problem(1, q_heads, kv_heads, {tokens}, {tokens + extra}, d, params), nullptr, nullptr};
  c.keep = [axes, tokens](std::int64_t, std::int64_t, std::int64_t q, std::int64_t k) { return k >= tokens || keeps(axes, q, k); };
  return c;
}

std::vector<AxisChoice> random_axes(std::mt19937& rng) {
  const std::int64_t rank = draw(rng, 1, 3);
  std::vector<AxisChoice> axes;
  for (std::int64_t i = 0; i < rank; ++i) {
    AxisChoice a;
    a.length = rank == 1 ? draw(rng, 100, 420) : rank == 2 ? draw(rng, 9, 22) : draw(rng, 4, 10);
    a.dilation = draw(rng, 0, 2) == 0 ? draw(rng, 2, 3) : 1;
    a.window = draw(rng, 1, a.length / a.dilation);
    a.stride = draw(rng, 1, a.window);
    a.causal = draw(rng, 0, 4) == 0;
    axes.push_back(a);
  }
  return axes;
}

// A mask whose kernels are told something else than it keeps.
class Wronged final : public Mask {
 public:
  using Change = BoxedMask (*)(const GnaShape&, const TileShape&, const TileShape&, KvTiling);
  Wronged(GnaShape shape, Change change)
      : Mask(shape.tokens(), shape.tokens() + shape.extra_keys), right_(shape), shape_(shape), change_(change) {}
  [[nodiscard]] bool keeps(std::int64_t q, std::int64_t k) const override { return right_.keeps(q, k); }
  [[nodiscard]] std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const override { return right_.runs(queries, tile_kv); }
  [[nodiscard]] std::int64_t kept(Range queries, Range keys) const override { return right_.kept(queries, keys); }
  [[nodiscard]] MaskTest test() const override { return right_.test(); }
  [[nodiscard]] std::size_t rank() const override { return shape_.axes.size(); }
  [[nodiscard]] BoxedMask boxed(const TileShape& q, const TileShape& kv, KvTiling tiling) const override {
    return change_(shape_, q, kv, tiling);
  }

 private:
  GnaMask right_;
  GnaShape shape_;
  Change change_;
};

BoxedMask unchanged(const GnaShape& shape, const TileShape& q, const TileShape& kv, KvTiling tiling) {
  return GnaMask(shape).boxed(q, kv, tiling);
}
BoxedMask wider(const GnaShape& shape, const TileShape& q, const TileShape& kv, KvTiling tiling) {
  GnaShape wrong = shape;
  ++wrong.axes.back().window;
  return GnaMask(wrong).boxed(q, kv, tiling);
}
BoxedMask other_stride(const GnaShape& shape, const TileShape& q, const TileShape& kv, KvTiling tiling) {
  GnaShape wrong = shape;
  ++wrong.axes.front().stride;
  return GnaMask(wrong).boxed(q, kv, tiling);
}
// KV tiles turned by 90 degrees.
BoxedMask turned_tiles(const GnaShape& shape, const TileShape& q, const TileShape& kv, KvTiling tiling) {
  BoxedMask boxed = GnaMask(shape).boxed(q, kv, tiling);
  boxed.kv = ir::RowOrder(boxed.kv.length(), boxed.kv.dilation(), {kv[1], kv[0]});
  return boxed;
}
// The last token of the first axis is taken for padding.
BoxedMask dropped_tokens(const GnaShape& shape, const TileShape& q, const TileShape& kv, KvTiling tiling) {
  BoxedMask boxed = GnaMask(shape).boxed(q, kv, tiling);
  ir::RowOrder::Extents length = boxed.kv.length();
  --length.front();
  boxed.kv = ir::RowOrder(length, boxed.kv.dilation(), kv);
  return boxed;
}
// One query tile of the first axis begins its KV tiles a token later than its kernel thinks.
BoxedMask later_tiles(const GnaShape& shape, const TileShape& q, const TileShape& kv, KvTiling tiling) {
  BoxedMask boxed = GnaMask(shape).boxed(q, kv, tiling);
  std::vector<ir::RowOrder::TileGroups> groups = boxed.kv.groups();
  ++groups.front().begins.front().back();
  boxed.kv = ir::RowOrder(boxed.kv.length(), boxed.kv.dilation(), kv, groups);
  return boxed;
}

Wronged::Change change_of_variant = unchanged;
std::vector<HeadMask> wronged_masks(const Problem& p, std::int64_t entry) {
  return {{0, p.q_heads, std::make_shared<Wronged>(gna_shape(p, entry), change_of_variant)}};
}

double error_with(Wronged::Change change, test::Case c) {
  Variant v;
  v.name = "wronged";
  v.family = "tile-list";
  v.masks = wronged_masks;
  change_of_variant = change;
  c.own = &v;
  return largest_error(c, 1);
}

}  // namespace

TEST_CASE("gna: kernels over tokens in tile order agree with the definition on random layouts", "[value]") {
  std::mt19937 rng(21);
  for (int i = 0; i < 60; ++i) {
    const std::vector<AxisChoice> axes = random_axes(rng);
    const std::int64_t extra = draw(rng, 0, 3) == 0 ? draw(rng, 1, 150) : 0;
    const bool blackwell = i % 3 == 2;
    CAPTURE(i, axes.size(), axes.front().length, axes.front().window, axes.front().stride, axes.front().dilation, extra);
    check(case_of(blackwell ? "natten-fna-sm100" : "natten-fna-sm90", blackwell ? test::b200() : test::h100(), axes, extra,
                  draw(rng, 0, 1) == 0 ? 32 : 40));
  }
}

TEST_CASE("gna: further head sizes, grouped heads, fully block-sparse windows with and without padding", "[value]") {
  const std::vector<AxisChoice> sparse{{512, 256, 128, 1, false}};
  const std::vector<AxisChoice> padded{{40, 32, 16, 1, false}, {20, 16, 8, 1, false}};
  check(case_of("natten-fna-sm90", test::h100(), sparse, 0, 128, 4, 2));
  check(case_of("natten-fna-sm90", test::h100(), padded, 0, 256));
  for (const auto& axes : {sparse, padded}) check(case_of("natten-fna-sm100", test::b200(), axes, 0, 128));
}

TEST_CASE("gna: kernels that address boxes themselves agree with the definition", "[value]") {
  std::mt19937 rng(23);
  for (int i = 0; i < 45; ++i) {
    const std::vector<AxisChoice> axes = random_axes(rng);
    CAPTURE(i, axes.size(), axes.front().length, axes.front().window, axes.front().stride, axes.front().dilation);
    check(case_of("natten-fna-sm80", test::a100(), axes, draw(rng, 0, 1) * 20, i % 2 == 0 ? 32 : 96));
  }
}

TEST_CASE("gna: KV tiles from the first key on agree where windows are whole tiles and where they are not", "[value]") {
  const std::vector<std::vector<AxisChoice>> layouts{
      {{640, 192, 64, 1, false}},                     // fully block-sparse, windows not on a grid
      {{100, 100, 3, 1, false}},                      // the whole axis, the last tile ragged
      {{24, 16, 8, 1, false}, {20, 8, 8, 1, false}},  // block-sparse with query padding
      {{23, 9, 1, 2, false}, {17, 5, 2, 1, true}},    // classes of two lengths, a causal axis
      {{9, 5, 2, 1, false}, {6, 6, 1, 1, false}, {11, 3, 3, 2, false}},
  };
  for (const auto& axes : layouts) check(case_of("natten-fna-sm80", test::a100(), axes, 0, 64));
  test::Case held = case_of("natten-fna-sm80", test::a100(), layouts.back(), 0, 32);
  held.problem.params["tokens"] = "boxes";  // as the schedule wants them: in the layout's order
  check(held);
}

TEST_CASE("gna: kernels that know no layout agree with the definition too", "[value]") {
  std::mt19937 rng(22);
  for (int i = 0; i < 12; ++i) {
    const std::vector<AxisChoice> axes = random_axes(rng);
    check(case_of(i % 2 == 0 ? "fa2-sm80" : "fused-generic", test::a100(), axes, draw(rng, 0, 40), 32));
  }
}

TEST_CASE("gna: a wider window, another stride, turned tiles and dropped tokens show", "[value]") {
  const test::Case c = case_of("natten-fna-sm90", test::h100(), {{24, 11, 3, 1, false}, {21, 8, 2, 1, false}}, 0, 32);
  REQUIRE(error_with(unchanged, c) < 1e-9);
  CHECK_FALSE(error_with(wider, c) < 1e-3);
  CHECK_FALSE(error_with(other_stride, c) < 1e-3);
  CHECK_FALSE(error_with(turned_tiles, c) < 1e-3);
  CHECK_FALSE(error_with(dropped_tokens, c) < 1e-3);
  const test::Case own = case_of("natten-fna-sm80", test::a100(), {{24, 11, 3, 1, false}, {21, 8, 2, 1, false}}, 0, 32);
  REQUIRE(error_with(unchanged, own) < 1e-9);
  CHECK_FALSE(error_with(wider, own) < 1e-3);
  CHECK_FALSE(error_with(other_stride, own) < 1e-3);
  CHECK_FALSE(error_with(later_tiles, own) < 1e-3);
}
