// SPDX-License-Identifier: Apache-2.0
// What must hold for every pipeline and chip.
#include <catch2/catch.hpp>
#include <functional>

#include "sim/bounds/bounds.h"
#include "tests/bounds/rungs.h"
#include "tests/support/random_pipeline.h"

namespace attnsim {

namespace {

using test::at;
using test::kClosedForm;
using test::kRounding;

constexpr std::uint64_t kSeeds = 300;

Conditions random_conditions(test::Draw& draw) {
  Conditions c;
  if (draw.chance(0.3)) c.l2 = L2Start::warm;
  if (draw.chance(0.3)) {
    c.clock = ClockPolicy::locked;
    c.locked_mhz = static_cast<double>(draw.integer(300, 1500));
  }
  return c;
}

void check_ascending(const Ladder& ladder) {
  for (std::size_t i = 1; i < std::size(kClosedForm); ++i) {
    INFO(ladder.limiter[i - 1] << " " << at(ladder, kClosedForm[i - 1]) << " then " << ladder.limiter[i] << " "
                               << at(ladder, kClosedForm[i]));
    CHECK(at(ladder, kClosedForm[i]) >= at(ladder, kClosedForm[i - 1]) * (1 - kRounding));
  }
}

}  // namespace

TEST_CASE("each rung is at least the one below, unclamped, for the whole and for each kernel") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    test::Draw draw(seed);
    const test::AttentionSpec spec = test::random_attention(draw);
    const Chip chip = test::random_chip(draw);
    const Bounds b = compute_bounds(test::attention_pipeline(spec), chip, random_conditions(draw));
    INFO("seed " << seed);
    check_ascending(b.ladder);
    for (const Ladder& ladder : b.kernel_ladder) check_ascending(ladder);
    CHECK(b.counts.useful_tensor_flops <= b.counts.tensor_flops);
    CHECK(b.counts.useful_exp_count <= b.counts.exp_count);
  }
}

TEST_CASE("useful FLOPs and exps equal the kept pairs, however they are tiled and split") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    test::Draw draw(seed);
    const test::AttentionSpec spec = test::random_attention(draw);
    const Bounds b = compute_bounds(test::attention_pipeline(spec), test::random_chip(draw), {});
    const double pairs = static_cast<double>(spec.heads * test::kept_pairs(spec));
    INFO("seed " << seed);
    CHECK(b.counts.useful_tensor_flops == Approx(4.0 * spec.head_dim * pairs));
    CHECK(b.counts.useful_exp_count == Approx(pairs));
  }
}

TEST_CASE("more of a resource never raises a bound") {
  struct Change {
    const char* name;
    std::function<void(Chip&)> apply;
  };
  const std::vector<Change> changes{
      {"SMs", [](Chip& c) { c.sm.count *= 2; }},
      {"tensor", [](Chip& c) { c.tensor.flop_per_clk_per_sm["bf16"] *= 2; }},
      {"fp32", [](Chip& c) { c.sm.fp32_lanes *= 2; }},
      {"alu", [](Chip& c) { c.sm.alu_lanes *= 2; }},
      {"sfu", [](Chip& c) { c.sm.sfu_lanes *= 2; }},
      {"issue", [](Chip& c) { c.sm.issue_per_clk *= 2; }},
      {"exp on FMA", [](Chip& c) { c.sm.exp_on_fma = true; }},
      {"SMEM bandwidth", [](Chip& c) { c.sm.smem_bytes_per_clk *= 2; }},
      {"SMEM", [](Chip& c) { c.sm.smem_kib *= 2; }},
      {"L2 port", [](Chip& c) { c.sm.l2_port_bytes_per_clk *= 2; }},
      {"L2 bandwidth", [](Chip& c) { c.l2.bandwidth_bytes_per_clk *= 2; }},
      {"L2 capacity", [](Chip& c) { c.l2.capacity_mib *= 2; }},
      {"HBM", [](Chip& c) { c.hbm.bandwidth_gb_per_s *= 2; }},
      {"clock", [](Chip& c) { c.clock.boost_mhz *= 2; }},
      {"dispatch rate", [](Chip& c) { c.launch.ctas_per_clk *= 2; }},
  };
  for (std::uint64_t seed = 0; seed < kSeeds / 3; ++seed) {
    test::Draw draw(seed);
    const ir::Pipeline pipeline = test::attention_pipeline(test::random_attention(draw));
    const Chip chip = test::random_chip(draw);
    const Ladder before = compute_bounds(pipeline, chip, {}).ladder;
    for (const Change& change : changes) {
      Chip more = chip;
      change.apply(more);
      const Ladder after = compute_bounds(pipeline, more, {}).ladder;
      for (const Rung rung : kClosedForm) {
        INFO("seed " << seed << ", " << change.name << ", rung " << static_cast<int>(rung));
        CHECK(at(after, rung) <= at(before, rung) * (1 + kRounding));
      }
    }
  }
}

TEST_CASE("heads written as one family each give the bounds of one family") {
  for (std::uint64_t seed = 0; seed < kSeeds / 3; ++seed) {
    test::Draw draw(seed);
    test::AttentionSpec spec = test::random_attention(draw);
    const Chip chip = test::random_chip(draw);
    spec.grid.fastest = ir::Fastest::tiles;  // the same grid order both ways
    const Bounds together = compute_bounds(test::attention_pipeline(spec), chip, {});
    spec.heads_as_families = true;
    const Bounds apart = compute_bounds(test::attention_pipeline(spec), chip, {});
    for (const Rung rung : kClosedForm) {
      INFO("seed " << seed << ", rung " << static_cast<int>(rung));
      CHECK(at(apart.ladder, rung) == Approx(at(together.ladder, rung)));
    }
    CHECK(apart.counts.hbm_bytes == Approx(together.counts.hbm_bytes));
    CHECK(apart.counts.l2_bytes == Approx(together.counts.l2_bytes));
  }
}

TEST_CASE("the order of heads in the grid does not move the bounds of a dispatched grid") {
  for (std::uint64_t seed = 0; seed < kSeeds / 3; ++seed) {
    test::Draw draw(seed);
    test::AttentionSpec spec = test::random_attention(draw);
    spec.grid.policy = draw.chance(0.5) ? ir::GridPolicy::one_item_per_cta : ir::GridPolicy::persistent_dynamic;
    const Chip chip = test::random_chip(draw);
    spec.grid.fastest = ir::Fastest::tiles;
    const Bounds by_tiles = compute_bounds(test::attention_pipeline(spec), chip, {});
    spec.grid.fastest = ir::Fastest::slabs;
    spec.grid.section_slabs = 1;
    const Bounds by_slabs = compute_bounds(test::attention_pipeline(spec), chip, {});
    for (const Rung rung : kClosedForm) CHECK(at(by_slabs.ladder, rung) == at(by_tiles.ladder, rung));
  }
}

}  // namespace attnsim
