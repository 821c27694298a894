// SPDX-License-Identifier: Apache-2.0
// Equal parts of a chip, of which `fast` plays one, against counts by hand.
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/bounds/bounds.h"
#include "sim/engine/engine.h"
#include "sim/engine/fast.h"
#include "tests/support/problem.h"
#include "tests/support/toy_machine.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

ir::Pipeline pipeline_of(ir::Kernel kernel) {
  ir::PipelineBuilder builder("toy");
  builder.add(std::move(kernel));
  return builder.build();
}

Chip chip_of_64() {
  Chip chip = toy_chip();
  chip.sm.count = 64;
  chip.sm.registers_kib = 256;
  chip.sm.smem_kib = 100;
  return chip;
}

}  // namespace

TEST_CASE("a grid of many equal slabs is played on a part of the chip, one that cannot be divided on all of it") {
  Chip chip = chip_of_64();
  // 64 slabs of 100 trips each: long, so as few of the SMs as a part must keep, 16 of 64.
  CHECK(part_of_chip(pipeline_of(kernel_of({{exp_of(0)}}, 100, 64)), chip).sms == 16);
  CHECK(part_of_chip(pipeline_of(kernel_of({{exp_of(0)}}, 1, 64)), chip).sms == 64);    // short as it is
  CHECK(part_of_chip(pipeline_of(kernel_of({{exp_of(0)}}, 100, 61)), chip).sms == 64);  // a prime number of slabs
  chip.sm.count = 61;
  CHECK(part_of_chip(pipeline_of(kernel_of({{exp_of(0)}}, 100, 64)), chip).sms == 61);
}

TEST_CASE("where L2 is large a part is smaller, and its slabs may be a little off") {
  Chip chip = chip_of_64();
  chip.l2.capacity_mib = 64;
  CHECK(part_of_chip(pipeline_of(kernel_of({{exp_of(0)}}, 100, 64)), chip).sms == 8);
  const ir::Pipeline pipeline = pipeline_of(kernel_of({{exp_of(0)}}, 100, 61));
  CHECK(part_of_chip(pipeline, chip).sms == 21);  // for 20 slabs: 61 / 64 of 21 to 0.1 %
  CHECK(part_of_chip(pipeline_of(kernel_of({{exp_of(0)}}, 1000, 7)), chip).sms == 64);
  const Simulation fast = simulate(pipeline, chip, {}, {.kind = EngineKind::fast});
  CHECK(fast.kernels.front().time_us == Approx(100 * kExpCycles / 1000).epsilon(2e-3));
}

TEST_CASE("a part of the chip takes as long as the whole") {
  const Chip chip = chip_of_64();
  const ir::Pipeline pipeline = pipeline_of(kernel_of({{exp_of(0)}}, 100, 128));
  REQUIRE(part_of_chip(pipeline, chip).sms < chip.sm.count);
  EngineOptions options;
  options.kind = EngineKind::fast;
  const Simulation fast = simulate(pipeline, chip, {}, options);
  // Two items per SM, 1,000 cycles per microsecond.
  CHECK(fast.kernels.front().time_us == Approx(2 * 100 * kExpCycles / 1000).epsilon(1e-3));
  CHECK(fast.kernels.front().counts.exp_count == Approx(128.0 * 100 * 64 * 64));
}

TEST_CASE("a part keeps the turns in which slabs are visited, or has fewer of them") {
  const Chip chip = chip_of_64();
  ir::Kernel kernel = kernel_of({{exp_of(0)}}, 100, 64);
  kernel.grid.interleave = 16;  // 16 slabs of a part in 4 or 16 turns
  CHECK(part_of_chip(pipeline_of(kernel), chip).sms == 16);
  kernel.grid.interleave = 64;
  CHECK(part_of_chip(pipeline_of(kernel), chip).sms == 16);
}

TEST_CASE("a part has its part of the slabs that L2 holds at a time") {
  // A part of 16 SMs takes sections of 16 slabs: with those of 64 its long items would come in four waves.
  const Chip chip = chip_of_64();
  ir::Kernel kernel = kernel_of({{exp_of(0)}}, 100, 128);
  ir::ItemFamily& family = kernel.families.front();
  family.tiles.push_back(family.tiles.front());
  family.tiles.back().runs.front().count = 20;
  kernel.grid.fastest = ir::Fastest::slabs;
  kernel.grid.section_slabs = 64;
  const ir::Pipeline pipeline = pipeline_of(kernel);
  REQUIRE(part_of_chip(pipeline, chip).sms == 16);
  const Simulation fast = simulate(pipeline, chip, {}, {.kind = EngineKind::fast});
  const Simulation detailed = simulate(pipeline, chip, {}, {.kind = EngineKind::detailed});
  // Per section 64 long and 64 short items on 64 SMs, and 16 of each on 16.
  CHECK(detailed.kernels.front().time_us == Approx(2 * 120 * kExpCycles / 1000).epsilon(1e-3));
  CHECK(fast.kernels.front().time_us == Approx(detailed.kernels.front().time_us).epsilon(1e-3));
}

TEST_CASE("a part of the chip keeps which row tiles persistent CTAs meet") {
  // Four row tiles a slab, and 148 = 4 x 37 CTAs: each of them has one row tile of every 37th slab.
  const Chip chip = load_chip("b200");
  REQUIRE(chip.sm.count == 148);
  const ir::Pipeline pipeline =
      lower(variant("dilated-window"), problem(64, 8, 8, 1000, 1000, 96), load_schedule("cutlass-fmha-sm100"), chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  REQUIRE(kernel.grid.policy == ir::GridPolicy::persistent_static);
  REQUIRE(kernel.families.front().tiles.size() == 4);
  CHECK(part_of_chip(pipeline, chip).sms % 4 == 0);
  const double fast_us = simulate(pipeline, chip, {}, {.kind = EngineKind::fast}).time_us;
  CHECK(fast_us >= compute_bounds(pipeline, chip, {}).ladder.time_us[static_cast<std::size_t>(Rung::schedule)]);
  CHECK(fast_us == Approx(simulate(pipeline, chip, {}, {.kind = EngineKind::detailed}).time_us).epsilon(0.01));
}

TEST_CASE("a kernel that is played finds in L2 what classes of items have stored for it") {
  const Chip chip = load_chip("l40s");
  const ir::Pipeline pipeline = lower(variant("moa"), problem(12, 8, 4, 3, 4572, 64), load_schedule("flashinfer-decode"), chip);
  const ChipPart part = part_of_chip(pipeline, chip);
  REQUIRE(pipeline.nodes().size() == 2);
  REQUIRE_FALSE(plays_steps(std::get<ir::Kernel>(pipeline.nodes()[0].work), chip, part));
  REQUIRE(plays_steps(std::get<ir::Kernel>(pipeline.nodes()[1].work), chip, part));
  // 3,456 partial results of three rows: 2.7 MB.
  CHECK(simulate(pipeline, chip, {}, {.kind = EngineKind::fast}).kernels[1].l2_hit_rate > 0.99);
}
