// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/machine.h"

#include <catch2/catch.hpp>

#include "sim/core/error.h"
#include "sim/engine/chip_share.h"
#include "sim/engine/machine_state.h"
#include "tests/support/toy_machine.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

double cycles(const ir::Kernel& kernel, const Chip& chip, const MachineConfig& config, const std::vector<ir::Tensor>& tensors = {}) {
  const SelectedKernel selected = select_instructions(kernel, chip);
  return to_cycles(Ticks(play(selected, tensors, chip, config).ticks)).count();
}

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
  const ir::Op load = copy_of(ir::OpKind::load, 0, ir::CopyKind::plain);
  const ir::Tensor tensor = toy_tensor();
  const double bytes = 64 * 64 * 4;
  MachineConfig config = toy_config();
  CHECK(cycles(kernel_of({{load}}, 1, 1), chip, config, {tensor}) == Approx(bytes / 32 + 100).margin(0.1));
  config.hit_fraction = 0;
  CHECK(cycles(kernel_of({{load}}, 1, 1), chip, config, {tensor}) == Approx(bytes / 8 + 150).margin(0.1));
}

TEST_CASE("warps that issue atomics go on when the port has taken them, copy engines at once") {
  ir::Op atomic = copy_of(ir::OpKind::atomic, 0, ir::CopyKind::plain);
  const ir::Tensor tensor = toy_tensor();
  const double taken = 64 * 64 * 4 / 32.0;
  // Four chains last as long as what L2 does with the bytes, twice the time of taking them.
  const auto time = [&] {
    return cycles(kernel_of({{atomic, exp_of(0), exp_of(0), exp_of(0), exp_of(0)}}, 1, 1), toy_chip(), toy_config(), {tensor});
  };
  CHECK(time() == Approx(taken + 4 * kExpCycles).margin(2));
  atomic.copy = ir::CopyKind::tma;
  CHECK(time() < taken + 3 * kExpCycles);
}

TEST_CASE("in a kernel without loops all but the first CTA of a slot find code and parameters fetched") {
  Chip chip = toy_chip();
  chip.latency.l2_cycles = 700;
  chip.latency.warm_l2_cycles = 200;
  const ir::Op load = copy_of(ir::OpKind::load, 0, ir::CopyKind::plain);
  const ir::Tensor tensor = toy_tensor();
  const double moving = 64 * 64 * 4 / 32.0;
  ir::Kernel kernel = kernel_of({{load}}, 1, 3);
  kernel.grid.policy = ir::GridPolicy::one_item_per_cta;
  CHECK(cycles(kernel, chip, toy_config(), {tensor}) == Approx(3 * (moving + 700)).margin(0.1));
  kernel.program.sections.front().kind = ir::SectionKind::once;
  CHECK(cycles(kernel, chip, toy_config(), {tensor}) == Approx(3 * moving + 700 + 2 * 200).margin(0.1));
  chip.latency.warm_l2_cycles = 0;
  CHECK(cycles(kernel, chip, toy_config(), {tensor}) == Approx(3 * (moving + 700)).margin(0.1));
}

TEST_CASE("rows that are written all over a cache have a cost of their own") {
  Chip chip = toy_chip();
  chip.hbm.write_cost = 1.5;
  chip.hbm.scattered_write_cost = 2.5;
  chip.sm.registers_kib = 256;
  chip.sm.smem_kib = 100;
  ir::Kernel kernel = kernel_of({{exp_of(0)}}, 1, 1);
  CHECK(whole_chip(kernel, chip, {}, 1000).hbm_write_cost == 1.5);
  kernel.scattered_writes = true;
  CHECK(whole_chip(kernel, chip, {}, 1000).hbm_write_cost == 2.5);
}

TEST_CASE("a turn costs a read of its counter, and a sum that all must see a round trip more than one that is only read") {
  const ir::Tensor tensor = toy_tensor();
  const auto time = [&](double l2_cycles, bool turns, bool until_seen, bool fenced = false) {
    Chip chip = toy_chip();
    chip.latency.l2_cycles = l2_cycles;
    ir::Op add = copy_of(ir::OpKind::atomic, 0, ir::CopyKind::tma);
    add.completes = {0};
    add.until_seen = until_seen;
    std::vector<ir::Op> ops{add, sync(ir::OpKind::await, 0)};
    if (turns) {
      ops.insert(ops.begin(), sync(ir::OpKind::await, 1));
      ops.push_back(sync(ir::OpKind::signal, 1));
      ops.back().until_seen = fenced;
    }
    ir::Kernel kernel = kernel_of({ops}, 5, 1);
    kernel.program.tokens[1].scope = ir::TokenScope::turn;
    return cycles(kernel, chip, toy_config(), {tensor});
  };
  CHECK(time(700, false, false) == Approx(time(0, false, false)).margin(0.1));
  CHECK(time(700, true, false) - time(0, true, false) == Approx(5 * 700).margin(0.1));
  CHECK(time(700, false, true) - time(0, false, true) == Approx(5 * 700).margin(0.1));
  CHECK(time(700, true, true) - time(0, true, true) == Approx(5 * 2 * 700).margin(0.1));
  CHECK(time(700, true, true, true) - time(0, true, true, true) == Approx(5 * 3 * 700).margin(0.1));
}

TEST_CASE("a copy engine's read has its own latency where the chip states one") {
  Chip chip = toy_chip();
  chip.latency.l2_cycles = 500;
  chip.latency.copy_engine_cycles = 30;
  const ir::Op load = copy_of(ir::OpKind::load, 0, ir::CopyKind::tma);
  const ir::Tensor tensor = toy_tensor();
  const double moving = 64 * 64 * 4 / 32.0;
  CHECK(chip.latency.read_cycles(true) == 500);
  chip.latency.bulk_l2_cycles = 100;
  CHECK(chip.latency.read_cycles(false) == 500);
  CHECK(cycles(kernel_of({{load}}, 1, 1), chip, toy_config(), {tensor}) == Approx(moving + 100 + 30).margin(0.1));
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

TEST_CASE("products of mma.sync and the chains of other warps take turns as far as the chip says") {
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
    CAPTURE(overlap);
    CHECK(cycles(kernel, chip, toy_config()) == Approx(kTrips * (kProductCycles + kExpCycles) / (1 + overlap)).epsilon(0.02));
  }
}

TEST_CASE("a few lines of SMEM pass between the operands of an MMA, which take that much longer") {
  machine::SmState sm;
  CHECK(sm.use_smem(0, 512) == 512);
  CHECK(sm.use_smem_between(100, 4) == 108);  // every second line
  CHECK(sm.smem_free == 516);
  CHECK(sm.use_smem_between(515, 4) == 520);  // behind what is left where that is sooner
  CHECK(sm.use_smem_between(1000, 4) == 1004);
}
