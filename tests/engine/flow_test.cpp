// SPDX-License-Identifier: Apache-2.0
// Units that serve whole steps as fluids (sim/engine/machine_flow.cpp), against times counted by hand.
#include <catch2/catch.hpp>

#include "sim/engine/fast.h"
#include "sim/engine/machine.h"
#include "tests/support/toy_machine.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

double flow_cycles(const ir::Kernel& kernel, const Chip& chip) {
  MachineConfig config = toy_config();
  config.whole_steps = true;
  return to_cycles(Ticks(play(select_instructions(kernel, chip), {}, chip, config).ticks)).count();
}

// 64 x 64 exponentials on 16 lanes.
constexpr double kExpCycles = 64 * 64 / 16.0;

ir::Pipeline pipeline_of(ir::Kernel kernel) {
  ir::PipelineBuilder builder("toy");
  builder.add(std::move(kernel));
  return builder.build();
}

}  // namespace

TEST_CASE("an agent alone takes its chains one after the other, with their latencies") {
  Chip chip = toy_chip();
  CHECK(flow_cycles(kernel_of({{exp_of(0)}}, 4, 1), chip) == Approx(4 * kExpCycles).epsilon(1e-4));
  chip.latency.sfu_cycles = 22;
  CHECK(flow_cycles(kernel_of({{exp_of(0)}}, 3, 1), chip) == Approx(3 * (kExpCycles + 22)).epsilon(1e-4));
}

TEST_CASE("agents that share a unit get equal parts of it, and the last one all of it") {
  CHECK(flow_cycles(kernel_of({{exp_of(0)}, {exp_of(1)}}, 1, 1), toy_chip()) == Approx(2 * kExpCycles).epsilon(1e-4));
  // A is through after 2 chains' time, of which B had half; the rest of B runs alone.
  const ir::Kernel uneven = kernel_of({{exp_of(0), sync(ir::OpKind::signal, 0)}, {exp_of(1), sync(ir::OpKind::await, 0), exp_of(1)}}, 1, 1);
  CHECK(flow_cycles(uneven, toy_chip()) == Approx(3 * kExpCycles).epsilon(1e-4));
}

TEST_CASE("an agent of one warp reaches a quarter of the lanes and leaves the rest to another") {
  ir::Kernel narrow = kernel_of({{exp_of(0)}, {exp_of(1)}}, 1, 1);
  for (ir::Agent& agent : narrow.program.agents) agent.warps = 1;
  CHECK(flow_cycles(narrow, toy_chip()) == Approx(4 * kExpCycles).epsilon(1e-4));  // each alone takes as long
}

TEST_CASE("products of mma.sync and the chains of other warps take turns as far as the chip says, in both ways to play") {
  // 2 x 64 x 64 x 64 FLOP at 2048 per cycle: 256 cycles a product, as many as the exponentials of a tile take.
  Chip chip = toy_chip();
  chip.isa = "sm_80";
  chip.tensor.flop_per_clk_per_sm["bf16"] = 2048;
  chip.sm.smem_bytes_per_clk = 1e6;
  chip.vector.turn_cycles = 64;  // as long as a k-step: equal turns
  constexpr double kProductCycles = 256;
  constexpr int kTrips = 8;
  ir::Kernel kernel = kernel_of({{}, {exp_of(1)}}, kTrips, 1);
  ir::Program& program = kernel.program;
  program.tiles.push_back({"a", ir::Space::smem, 0, 1, ir::DType::bf16, 1, ir::kNone, ir::kNone});
  program.tiles.push_back({"b", ir::Space::smem, 0, 1, ir::DType::bf16, 1, ir::kNone, ir::kNone});
  ir::Op mma;
  mma.kind = ir::OpKind::mma;
  mma.role = "qk";
  mma.mma = ir::MmaKind::mma_sync;
  mma.b_transposed = true;
  mma.in = {2, 3};
  mma.out = {0};
  program.agents[0].sections[0] = {mma};
  for (const double overlap : {0.0, 0.25, 0.6, 1.0}) {
    chip.vector.sync_overlap = overlap;
    for (const bool whole_steps : {false, true}) {
      CAPTURE(overlap, whole_steps);
      MachineConfig config = toy_config();
      config.whole_steps = whole_steps;
      const double cycles = to_cycles(Ticks(play(select_instructions(kernel, chip), {}, chip, config).ticks)).count();
      CHECK(cycles == Approx(kTrips * (kProductCycles + kExpCycles) / (1 + overlap)).epsilon(0.02));
    }
  }
}

TEST_CASE("a grid of many equal slabs is played on a part of the chip, one that cannot be divided on all of it") {
  Chip chip = toy_chip();
  chip.sm.count = 64;
  // 64 slabs of 100 trips each: long, so as few of the SMs as a part must keep, 8 of 64.
  CHECK(equal_parts(pipeline_of(kernel_of({{exp_of(0)}}, 100, 64)), chip) == 8);
  CHECK(equal_parts(pipeline_of(kernel_of({{exp_of(0)}}, 1, 64)), chip) == 1);    // short as it is
  CHECK(equal_parts(pipeline_of(kernel_of({{exp_of(0)}}, 100, 61)), chip) == 1);  // a prime number of slabs
  chip.sm.count = 61;
  CHECK(equal_parts(pipeline_of(kernel_of({{exp_of(0)}}, 100, 64)), chip) == 1);
}

TEST_CASE("a part of the chip takes as long as the whole") {
  Chip chip = toy_chip();
  chip.sm.count = 64;
  chip.sm.registers_kib = 256;
  chip.sm.smem_kib = 100;
  const ir::Pipeline pipeline = pipeline_of(kernel_of({{exp_of(0)}}, 100, 128));
  REQUIRE(equal_parts(pipeline, chip) > 1);
  EngineOptions options;
  options.kind = EngineKind::fast;
  const Simulation fast = simulate(pipeline, chip, {}, options);
  // Two items per SM, 1,000 cycles per microsecond.
  CHECK(fast.kernels.front().time_us == Approx(2 * 100 * kExpCycles / 1000).epsilon(1e-3));
  CHECK(fast.kernels.front().counts.exp_count == Approx(128.0 * 100 * 64 * 64));
}
