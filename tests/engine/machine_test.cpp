// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/machine.h"

#include <catch2/catch.hpp>

#include "sim/core/error.h"

using namespace attnsim;

namespace {

// Round numbers: 16 SFU lanes, 64 FP32 and ALU lanes, 1024 FLOP/clk matrix unit, 128 B/clk SMEM, 32 B/clk port; no latencies.
Chip toy_chip() {
  Chip chip;
  chip.name = "toy";
  chip.isa = "sm_90";
  chip.sm.count = 1;
  chip.sm.fp32_lanes = 64;
  chip.sm.alu_lanes = 64;
  chip.sm.sfu_lanes = 16;
  chip.sm.issue_per_clk = 1000;
  chip.sm.smem_bytes_per_clk = 128;
  chip.sm.max_threads = 2048;
  chip.sm.max_ctas = 8;
  chip.tensor.flop_per_clk_per_sm = {{"bf16", 1024}};
  chip.tensor.efficiency = 1;
  chip.latency = LatencyModel{0, 0, 0, 0, 0, 0, 0, 0, 100, 50, 0, 0};
  chip.vector.chain_serialization = 1;
  chip.clock.boost_mhz = 1000;
  chip.launch.cta_start_cycles = 0;
  chip.launch.ctas_per_clk = 1e6;
  return chip;
}

MachineConfig toy_config() {
  MachineConfig config;
  config.clock_mhz = 1000;
  config.rates = MemoryRates{32.0 / 1024, 1000.0 / 1024, 8.0 / 1024};
  config.hit_fraction = 1;
  return config;
}

ir::Op exp_of(ir::TileId tile) {
  ir::Op op;
  op.kind = ir::OpKind::unary;
  op.role = "softmax";
  op.fn = ir::Fn::exp2;
  op.in = {tile};
  op.out = {tile};
  return op;
}

ir::Op sync(ir::OpKind kind, ir::TokenId token, int distance = 0) {
  ir::Op op;
  op.kind = kind;
  op.role = "sync";
  op.token = token;
  op.distance = distance;
  return op;
}

// One agent per entry of `ops`; a single loop section; items with `trips` trips each.
ir::Kernel kernel_of(std::vector<std::vector<ir::Op>> ops, std::int64_t trips, std::int64_t items) {
  ir::Kernel kernel;
  kernel.name = "toy";
  ir::Program& p = kernel.program;
  p.axes = {{"rows", ir::AxisKind::fixed, 64, 64, 0}, {"cols", ir::AxisKind::fixed, 64, 64, 0}, {"kv", ir::AxisKind::trip_cols, 64, 0, 0}};
  for (std::size_t a = 0; a < ops.size(); ++a) {
    p.tiles.push_back({"s" + std::to_string(a), ir::Space::registers, 0, 1, ir::DType::f32, 1, ir::kNone, static_cast<int>(a)});
  }
  p.tokens = {{"full", ir::TokenScope::cta, 1, 0}, {"empty", ir::TokenScope::cta, 1, 0}};
  p.sections = {{"main", ir::SectionKind::loop, ir::TripSource::runs}};
  for (std::size_t a = 0; a < ops.size(); ++a) p.agents.push_back({"agent" + std::to_string(a), 4, 32, {ops[a]}});
  ir::ItemFamily family;
  family.slab_count = items;
  family.loop_extent = 64 * trips;
  family.tiles = {ir::RowTile{0, 64, {{0, trips, 1, false}}, 0, 0, 0, false}};
  kernel.families = {family};
  kernel.grid.policy = ir::GridPolicy::persistent_static;
  return kernel;
}

double cycles(const ir::Kernel& kernel, const Chip& chip, const MachineConfig& config, const std::vector<ir::Tensor>& tensors = {}) {
  const SelectedKernel selected = select_instructions(kernel, chip);
  return to_cycles(Ticks(play(selected, tensors, chip, config).ticks)).count();
}

// 64 x 64 exponentials on 16 lanes.
constexpr double kExpCycles = 64 * 64 / 16.0;

}  // namespace

TEST_CASE("a chain takes its work over the lanes, plus its latency") {
  Chip chip = toy_chip();
  CHECK(cycles(kernel_of({{exp_of(0)}}, 1, 1), chip, toy_config()) == Approx(kExpCycles));
  chip.latency.sfu_cycles = 22;
  CHECK(cycles(kernel_of({{exp_of(0)}}, 3, 1), chip, toy_config()) == Approx(3 * (kExpCycles + 22)));
}

TEST_CASE("two agents share the vector unit, so their latencies hide behind each other") {
  Chip chip = toy_chip();
  chip.latency.sfu_cycles = 22;
  const double two = cycles(kernel_of({{exp_of(0)}, {exp_of(1)}}, 10, 1), chip, toy_config());
  CHECK(two >= 20 * kExpCycles);
  CHECK(two <= 20 * kExpCycles + 10 * 22);
}

TEST_CASE("items of a persistent CTA follow one another without a gap") {
  CHECK(cycles(kernel_of({{exp_of(0)}}, 2, 5), toy_chip(), toy_config()) == Approx(10 * kExpCycles));
}

TEST_CASE("a load costs bytes over the port plus latency, from HBM bytes over HBM plus both latencies") {
  Chip chip = toy_chip();
  chip.latency.l2_cycles = 100;
  chip.latency.hbm_ns = 50;  // 50 cycles at 1000 MHz
  ir::Op load;
  load.kind = ir::OpKind::load;
  load.role = "load_k";
  load.out = {0};
  load.copy = ir::CopyKind::plain;
  load.access.tensor = 0;
  ir::Tensor tensor;
  tensor.rows = 64;
  tensor.cols = 64;
  tensor.dtype = ir::DType::f32;
  const double bytes = 64 * 64 * 4;
  MachineConfig config = toy_config();
  CHECK(cycles(kernel_of({{load}}, 1, 1), chip, config, {tensor}) == Approx(bytes / 32 + 100).margin(0.1));
  config.hit_fraction = 0;
  CHECK(cycles(kernel_of({{load}}, 1, 1), chip, config, {tensor}) == Approx(bytes / 8 + 150).margin(0.1));
}

TEST_CASE("an agent that awaits a token waits for its signal, trip by trip") {
  const ir::Kernel kernel = kernel_of({{exp_of(0), sync(ir::OpKind::signal, 0)}, {sync(ir::OpKind::await, 0), exp_of(1)}}, 4, 1);
  // The first chain runs alone; then both agents share the unit: 8 chains in all, none can be faster.
  CHECK(cycles(kernel, toy_chip(), toy_config()) == Approx(8 * kExpCycles));
}

TEST_CASE("a token that nobody signals is a deadlock that names it") {
  const ir::Kernel kernel = kernel_of({{sync(ir::OpKind::await, 0), exp_of(0)}}, 1, 1);
  const Chip chip = toy_chip();
  const SelectedKernel selected = select_instructions(kernel, chip);
  CHECK_THROWS_WITH(play(selected, {}, chip, toy_config()), Catch::Contains("deadlock") && Catch::Contains("token full"));
  CHECK_THROWS_AS(play(selected, {}, chip, toy_config()), SimError);
}

TEST_CASE("no pipe is busier than the run is long, and the same run gives the same ticks") {
  const ir::Kernel kernel = kernel_of({{exp_of(0)}, {exp_of(1)}, {exp_of(2)}}, 7, 3);
  const Chip chip = toy_chip();
  const SelectedKernel selected = select_instructions(kernel, chip);
  const MachineResult first = play(selected, {}, chip, toy_config());
  const MachineResult second = play(selected, {}, chip, toy_config());
  CHECK(first.ticks == second.ticks);
  for (double busy : first.busy_cycles) CHECK(busy <= to_cycles(Ticks(first.ticks)).count() * (1 + 1e-9));
  CHECK(first.counts.exp_count == Approx(3 * 7 * 3 * 64 * 64));
}

TEST_CASE("one SM has no spread over start offsets, and the offset delays only later agents") {
  const ir::Kernel kernel = kernel_of({{exp_of(0)}, {exp_of(1)}}, 6, 1);
  const Chip chip = toy_chip();
  const SelectedKernel selected = select_instructions(kernel, chip);
  MachineConfig config = toy_config();
  const MachineResult aligned = play(selected, {}, chip, config);
  config.start_offset = 1;
  const MachineResult shifted = play(selected, {}, chip, config);
  CHECK(aligned.spread == 0);
  CHECK(to_cycles(Ticks(aligned.ticks)).count() == Approx(12 * kExpCycles));
  CHECK(shifted.ticks >= aligned.ticks);
  CHECK(to_cycles(Ticks(shifted.ticks)).count() <= 12 * kExpCycles + kStartOffsetCycles);
}
