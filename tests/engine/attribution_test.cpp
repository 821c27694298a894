// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/attribution.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/bounds/bounds.h"
#include "sim/core/error.h"
#include "sim/engine/engine.h"
#include "sim/engine/machine.h"
#include "tests/support/problem.h"
#include "tests/support/toy_machine.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

// An asynchronous copy of the trip's tile that completes a token.
ir::Op load_of(ir::TileId tile, ir::TokenId token) {
  ir::Op op = copy_of(ir::OpKind::load, tile, ir::CopyKind::cp_async);
  op.completes = {token};
  return op;
}

struct Booked {
  MachineResult played;
  [[nodiscard]] double busy(Server s) const { return played.attribution.busy_ticks[static_cast<std::size_t>(s)] / kTicksPerCycle; }
  [[nodiscard]] double idle(Server s, const std::string& reason) const {
    const Attribution& a = played.attribution;
    for (std::size_t i = 0; i < a.reasons.size(); ++i)
      if (a.reasons[i] == reason) return a.idle_ticks[static_cast<std::size_t>(s)][i] / kTicksPerCycle;
    FAIL("no reason " << reason);
    return 0;
  }
  [[nodiscard]] double cycles() const { return to_cycles(Ticks(played.ticks)).count(); }
};

Booked book(const ir::Kernel& kernel, const Chip& chip, MachineConfig config = toy_config(), const std::vector<ir::Tensor>& tensors = {}) {
  const SelectedKernel selected = select_instructions(kernel, chip);
  config.attribute = true;
  return {play(selected, tensors, chip, config)};
}

std::vector<ResourceUse> uses_of(const Booked& b, int sms = 1) {
  const auto lane = [&](Pipe p) { return b.played.busy_cycles[static_cast<std::size_t>(p)]; };
  return attributed_use(b.played.attribution, static_cast<double>(b.played.ticks), sms, 1,
                        {lane(Pipe::fp32), lane(Pipe::alu), lane(Pipe::sfu)});
}

}  // namespace

TEST_CASE("a lone chain leaves the vector unit idle for its latency and for nothing else") {
  Chip chip = toy_chip();
  chip.latency.sfu_cycles = 22;
  const Booked b = book(kernel_of({{exp_of(0)}}, 3, 1), chip);
  CHECK(b.busy(Server::vector) == Approx(3 * kExpCycles));
  CHECK(b.idle(Server::vector, "dependency latency") == Approx(3 * 22));
  CHECK(b.idle(Server::tensor, "kernel has no work for it") == Approx(b.cycles()));
}

TEST_CASE("while an agent waits for a copy the vector unit's reason is that copy: its transfer, then its latency") {
  Chip chip = toy_chip();
  chip.latency.l2_cycles = 100;
  chip.latency.hbm_ns = 50;  // 50 cycles at 1000 MHz
  // The producer loads trip by trip into a token; the consumer awaits it and computes.
  const ir::Tensor tensor = toy_tensor();
  const double bytes = 64 * 64 * 4;
  const ir::Kernel kernel = kernel_of({{load_of(0, 0)}, {sync(ir::OpKind::await, 0), exp_of(1)}}, 1, 1);
  SECTION("from L2") {
    const Booked b = book(kernel, chip, toy_config(), {tensor});
    CHECK(b.idle(Server::vector, "copy full from L2") == Approx(bytes / 32).margin(0.1));
    CHECK(b.idle(Server::vector, "copy full in latency") == Approx(100).margin(0.1));
    CHECK(b.busy(Server::copy) == Approx(bytes / 32).margin(0.1));
    CHECK(b.busy(Server::l2) == Approx(bytes / 1000).margin(0.1));
    CHECK(b.idle(Server::l2, "rate of the SM's port") == Approx(bytes / 32 * (1 - 32.0 / 1000)).margin(0.2));
  }
  SECTION("from HBM") {
    MachineConfig config = toy_config();
    config.hit_fraction = 0;
    const Booked b = book(kernel, chip, config, {tensor});
    CHECK(b.idle(Server::vector, "copy full from HBM") == Approx(bytes / 8).margin(0.1));
    CHECK(b.idle(Server::vector, "copy full in latency") == Approx(150).margin(0.1));
    CHECK(b.busy(Server::hbm) == Approx(bytes / 8).margin(0.1));
    // The port could take four times as much as HBM gives.
    CHECK(b.busy(Server::copy) == Approx(bytes / 32).margin(0.1));
    CHECK(b.idle(Server::copy, "HBM bandwidth") == Approx(bytes / 8 - bytes / 32).margin(0.1));
  }
}

TEST_CASE("an agent that a token holds up names the token, unless the one that it waits for is at work") {
  Chip chip = toy_chip();
  chip.latency.barrier_cycles = 40;
  // The first agent signals after its chain; then nothing of it is left, and the barrier's latency is the token's.
  const Booked b = book(kernel_of({{exp_of(0), sync(ir::OpKind::signal, 0)}, {sync(ir::OpKind::await, 0), exp_of(1)}}, 1, 1), chip);
  CHECK(b.idle(Server::vector, "token full (agent0)") == Approx(40));
  CHECK(b.busy(Server::vector) == Approx(2 * kExpCycles));
  CHECK(b.cycles() == Approx(2 * kExpCycles + 40));
}

TEST_CASE("SMs without a CTA wait for dispatch while CTAs are to come, and form the tail after") {
  Chip chip = toy_chip();
  chip.launch.ctas_per_clk = 0.01;  // one CTA per 100 cycles
  ir::Kernel kernel = kernel_of({{exp_of(0)}}, 1, 3);
  kernel.grid.policy = ir::GridPolicy::one_item_per_cta;
  MachineConfig config = toy_config();
  config.sms = 3;
  const Booked b = book(kernel, chip, config);
  CHECK(b.busy(Server::vector) == Approx(3 * kExpCycles));
  CHECK(b.idle(Server::vector, "CTA dispatch") == Approx(100 + 200 + 300));
  CHECK(b.idle(Server::vector, "no CTA left (tail)") + b.idle(Server::vector, "dependency latency") + b.idle(Server::vector, "CTA start") ==
        Approx(3 * b.cycles() - 3 * kExpCycles - 600));
}

TEST_CASE("the reasons of every resource sum to the kernel's cycles, and booking them changes no result") {
  const int agents = GENERATE(1, 2, 3);
  const std::int64_t trips = GENERATE(1, 5);
  Chip chip = toy_chip();
  chip.latency.sfu_cycles = 22;
  chip.latency.barrier_cycles = 22;
  std::vector<std::vector<ir::Op>> ops;
  for (int a = 0; a < agents; ++a) ops.push_back({exp_of(a)});
  const ir::Kernel kernel = kernel_of(ops, trips, 7);
  MachineConfig config = toy_config();
  config.sms = 2;
  const Booked b = book(kernel, chip, config);
  const SelectedKernel selected = select_instructions(kernel, chip);
  CHECK(play(selected, {}, chip, config).ticks == b.played.ticks);
  const std::vector<ResourceUse> uses = uses_of(b, 2);
  CHECK(uses.size() == kResourceCount - 1);  // no link
  for (const ResourceUse& use : uses) {
    double sum = use.busy_fraction;
    for (const auto& [reason, fraction] : use.idle_fraction) {
      CHECK(fraction > 0);
      sum += fraction;
    }
    CHECK(sum == Approx(1).epsilon(1e-6));
  }
}

TEST_CASE("books that do not sum are an error of ours") {
  const Booked b = book(kernel_of({{exp_of(0)}}, 3, 1), toy_chip());
  Booked wrong = b;
  wrong.played.attribution.busy_ticks[static_cast<std::size_t>(Server::vector)] *= 0.5;
  CHECK_THROWS_AS(uses_of(wrong), Invariant);
}

TEST_CASE("what L2 reads for atomics is time that it is busy: the shares of every resource sum to one") {
  const ir::Op atomic = copy_of(ir::OpKind::atomic, 0, ir::CopyKind::tma);
  const ir::Tensor tensor = toy_tensor();
  const Booked b = book(kernel_of({{exp_of(0), atomic}}, 4, 1), toy_chip(), toy_config(), {tensor});
  const double moved = 2.0 * 4 * 64 * 64 * 4;
  CHECK(b.busy(Server::l2) == Approx(moved / 1000));
  CHECK(uses_of(b).size() > 0);  // throws where a sum is off
}

TEST_CASE("CTAs of a long grid that L2 slows down stay to the end: no tail, and no less time than the bound") {
  // O of this schedule lives in L2 between KV tiles; 110 waves on an A30.
  const Chip chip = load_chip("a30");
  const ir::Pipeline pipeline = lower(variant("dense"), problem(1, 48, 48, 8192, 8192, 448), load_schedule("xformers-wide-sm80"), chip);
  const Simulation played = simulate(pipeline, chip, {}, {.kind = EngineKind::fast, .attribute = true});
  const auto schedule = static_cast<std::size_t>(Rung::schedule);
  CHECK(played.time_us >= compute_bounds(pipeline, chip, {}).ladder.time_us[schedule]);
  for (const ResourceUse& use : played.kernels.front().resources) {
    CAPTURE(name_of(use.resource));
    if (use.resource == Resource::l2) CHECK(use.busy_fraction > 0.99);
    const auto tail = use.idle_fraction.find("no CTA left (tail)");
    CHECK((tail == use.idle_fraction.end() || tail->second < 0.01));
  }
}

TEST_CASE("short reads that L2 serves between others take of the time that it has left: no reason is counted twice") {
  const Chip chip = load_chip("a30");  // softmax reads rows of 200 bytes
  const ir::Pipeline pipeline = lower(variant("dense"), problem(16, 8, 4, 100, 100, 128), load_schedule("naive-unfused"), chip);
  const Simulation played = simulate(pipeline, chip, {}, {.kind = EngineKind::detailed, .attribute = true});  // throws where a sum is off
  for (const KernelResult& kernel : played.kernels) {
    const auto is_l2 = [](const ResourceUse& use) { return use.resource == Resource::l2; };
    const auto l2 = std::find_if(kernel.resources.begin(), kernel.resources.end(), is_l2);
    CHECK(l2->busy_fraction ==
          Approx(kernel.counts.l2_bytes / (chip.l2.bandwidth_bytes_per_clk * played.clock_mhz * kernel.time_us)).epsilon(1e-3));
  }
}
