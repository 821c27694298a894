// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/critical.h"

#include <catch2/catch.hpp>

#include "tests/support/toy_machine.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

CriticalSequence sequence_of(const ir::Kernel& kernel, const Chip& chip, MachineConfig config = toy_config(),
                             const std::vector<ir::Tensor>& tensors = {}) {
  const SelectedKernel selected = select_instructions(kernel, chip);
  CriticalRecorder recorder;
  config.listener = &recorder;
  (void)play(selected, tensors, chip, config);
  REQUIRE(recorder.sequences().size() == 1);
  return recorder.sequences().front();
}

double cycles_on(const CriticalSequence& sequence, const std::string& cause, const std::string& agent = "") {
  double sum = 0;
  for (const CriticalPart& part : sequence.parts)
    if (part.cause == cause && (agent.empty() || part.agent == agent)) sum += part.cycles;
  return sum;
}

double total_cycles(const CriticalSequence& sequence) {
  double sum = 0;
  for (const CriticalPart& part : sequence.parts) sum += part.cycles;
  return sum;
}

}  // namespace

TEST_CASE("a lone agent's critical sequence is its chains and their latencies, folded") {
  Chip chip = toy_chip();
  chip.latency.sfu_cycles = 22;
  const CriticalSequence s = sequence_of(kernel_of({{exp_of(0)}}, 3, 1), chip);
  REQUIRE(s.parts.size() >= 2);
  CHECK(s.parts[0].role == "softmax");
  CHECK(s.parts[0].cause == "vector");
  CHECK(s.parts[0].cycles == Approx(3 * kExpCycles));
  CHECK(s.parts[1].cause == "latency");
  CHECK(s.parts[1].cycles == Approx(3 * 22));
  CHECK(s.parts[0].share + s.parts[1].share == Approx(1).epsilon(1e-4));  // the rest: one tick of dispatch
}

TEST_CASE("through a token the sequence goes to the agent that signalled") {
  Chip chip = toy_chip();
  chip.latency.barrier_cycles = 40;
  const CriticalSequence s =
      sequence_of(kernel_of({{exp_of(0), sync(ir::OpKind::signal, 0)}, {sync(ir::OpKind::await, 0), exp_of(1)}}, 1, 1), chip);
  CHECK(cycles_on(s, "vector", "agent0") == Approx(kExpCycles));
  CHECK(cycles_on(s, "vector", "agent1") == Approx(kExpCycles));
  CHECK(cycles_on(s, "barrier") == Approx(40));
  CHECK(total_cycles(s) == Approx(2 * kExpCycles + 40));
}

TEST_CASE("behind a busy unit the sequence goes to the one that holds it") {
  const CriticalSequence s = sequence_of(kernel_of({{exp_of(0)}, {exp_of(1)}}, 4, 1), toy_chip());
  CHECK(cycles_on(s, "vector") == Approx(8 * kExpCycles));
  CHECK(cycles_on(s, "vector", "agent0") > 0);
  CHECK(cycles_on(s, "vector", "agent1") > 0);
  CHECK(total_cycles(s) == Approx(s.cycles));
}

TEST_CASE("a copy on the sequence is split into its transfer and its latency") {
  Chip chip = toy_chip();
  chip.latency.l2_cycles = 100;
  chip.latency.hbm_ns = 50;  // 50 cycles at 1000 MHz
  ir::Op load = copy_of(ir::OpKind::load, 0, ir::CopyKind::cp_async);
  load.completes = {0};
  const ir::Tensor tensor = toy_tensor();
  const double bytes = 64 * 64 * 4;
  MachineConfig config = toy_config();
  config.hit_fraction = 0;
  const CriticalSequence s = sequence_of(kernel_of({{load}, {sync(ir::OpKind::await, 0), exp_of(1)}}, 1, 1), chip, config, {tensor});
  CHECK(cycles_on(s, "HBM", "agent0") == Approx(bytes / 8).margin(0.1));
  CHECK(cycles_on(s, "latency", "agent0") == Approx(150).margin(0.1));
  CHECK(cycles_on(s, "vector", "agent1") == Approx(kExpCycles));
  CHECK(total_cycles(s) == Approx(s.cycles));
}

TEST_CASE("the first step of a CTA goes back to the CTA whose place it took") {
  ir::Kernel kernel = kernel_of({{exp_of(0)}}, 1, 3);
  kernel.grid.policy = ir::GridPolicy::one_item_per_cta;
  Chip chip = toy_chip();
  chip.launch.cta_start_cycles = 30;
  const CriticalSequence s = sequence_of(kernel, chip);
  CHECK(cycles_on(s, "vector") == Approx(3 * kExpCycles));
  CHECK(cycles_on(s, "CTA start") == Approx(3 * 30).margin(0.1));
  CHECK(total_cycles(s) == Approx(s.cycles));
}

TEST_CASE("asynchronous products that queue for the matrix unit hang on it, not on a latency") {
  Chip chip = toy_chip();
  ir::Kernel kernel = kernel_of({{}, {}}, 6, 1);
  ir::Program& program = kernel.program;
  program.tiles.push_back({"a", ir::Space::smem, 0, 1, ir::DType::bf16, 1, ir::kNone, ir::kNone});
  program.tiles.push_back({"b", ir::Space::smem, 0, 1, ir::DType::bf16, 1, ir::kNone, ir::kNone});
  for (int agent = 0; agent < 2; ++agent) {
    ir::Op mma;
    mma.kind = ir::OpKind::mma;
    mma.role = "qk";
    mma.mma = ir::MmaKind::wgmma_ss;
    mma.b_transposed = true;
    mma.in = {2, 3};
    mma.out = {agent};
    program.agents[static_cast<std::size_t>(agent)].sections[0] = {mma, exp_of(agent)};
  }
  // 2 x 64 x 64 x 64 FLOP at 1024 per cycle: 512 cycles a product, twice the 256 of a softmax, which hides behind the other's product.
  const double product = 2.0 * 64 * 64 * 64 / 1024;
  const CriticalSequence s = sequence_of(kernel, chip);
  CHECK(total_cycles(s) == Approx(s.cycles));
  CHECK(cycles_on(s, "latency") == Approx(0).margin(1));
  CHECK(cycles_on(s, "tensor") >= 0.9 * (s.cycles - 2 * kExpCycles));
  CHECK(s.cycles == Approx(12 * product + kExpCycles).epsilon(0.05));
}
