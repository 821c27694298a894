// SPDX-License-Identifier: Apache-2.0
// What a listener hears of a toy kernel whose cycles are counted by hand.
#include "sim/engine/events.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "sim/engine/machine.h"
#include "tests/support/toy_machine.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

struct Heard : EngineListener {
  std::vector<KernelEvent> kernels;
  std::vector<CtaEvent> ctas;
  std::vector<StepEvent> steps;
  std::vector<HoldEvent> holds;
  std::vector<SignalEvent> signals;
  std::vector<CopyEvent> copies;
  std::vector<RateEvent> rates;
  void on_kernel(const KernelEvent& e) override { kernels.push_back(e); }
  void on_cta(const CtaEvent& e) override { ctas.push_back(e); }
  void on_step(const StepEvent& e) override { steps.push_back(e); }
  void on_hold(const HoldEvent& e) override { holds.push_back(e); }
  void on_signal(const SignalEvent& e) override { signals.push_back(e); }
  void on_copy(const CopyEvent& e) override { copies.push_back(e); }
  void on_rate(const RateEvent& e) override { rates.push_back(e); }
};

MachineResult hear(const ir::Kernel& kernel, const Chip& chip, MachineConfig config, Heard& heard,
                   const std::vector<ir::Tensor>& tensors = {}) {
  const SelectedKernel selected = select_instructions(kernel, chip);
  config.listener = &heard;
  MachineResult result = play(selected, tensors, chip, config);
  std::sort(heard.steps.begin(), heard.steps.end(), [](const StepEvent& a, const StepEvent& b) { return a.id < b.id; });
  for (StepEvent& e : heard.steps) e.step = nullptr;  // died with the selection
  return result;
}

// The first CTA is launched after one tick.
Approx about(double cycles) {
  return Approx(cycles).margin(0.01);
}

}  // namespace

TEST_CASE("an await names the signal that ended it, the step before it, and since when it waited") {
  Heard heard;
  (void)hear(kernel_of({{exp_of(0), sync(ir::OpKind::signal, 0)}, {sync(ir::OpKind::await, 0), exp_of(1)}}, 1, 1), toy_chip(), toy_config(),
             heard);
  // 1: exp of agent 0 over [0, 256); 2: its signal; 3: the await of agent 1; 4: exp of agent 1 over [256, 512).
  REQUIRE(heard.steps.size() == 4);
  const StepEvent& await = heard.steps[2];
  CHECK(await.at.agent == 1);
  CHECK(await.waited);
  CHECK(await.wait == Wait::token);
  CHECK(await.wait_since == about(0));
  CHECK(await.issue_cycle == about(kExpCycles));
  CHECK(await.cause == 2);
  CHECK(await.cause_cycle == about(kExpCycles));
  CHECK(heard.steps[1].cause == 1);  // no wait: the step before
  CHECK_FALSE(heard.steps[1].waited);
  CHECK(heard.steps[3].issue_cycle == about(kExpCycles));
  CHECK(heard.steps[3].complete_cycle == about(2 * kExpCycles));
  REQUIRE(heard.signals.size() == 1);
  CHECK(heard.signals[0].step == 2);
  CHECK(heard.signals[0].cycle == about(kExpCycles));
}

TEST_CASE("a group that queued names the step that held the unit before") {
  Heard heard;
  (void)hear(kernel_of({{exp_of(0)}, {exp_of(1)}}, 1, 1), toy_chip(), toy_config(), heard);
  std::vector<HoldEvent> vector;
  std::copy_if(heard.holds.begin(), heard.holds.end(), std::back_inserter(vector),
               [](const HoldEvent& h) { return h.unit == Unit::vector; });
  REQUIRE(vector.size() >= 2);
  CHECK(vector[0].after == 0);
  CHECK(vector[0].begin == vector[0].asked);
  CHECK(vector[1].step == 2);
  CHECK(vector[1].after == 1);
  CHECK(vector[1].asked == about(0));
  CHECK(vector[1].begin == vector[0].end);
}

TEST_CASE("a copy tells its bytes, its time on the port and the rate of the memory while it moves") {
  Chip chip = toy_chip();
  chip.latency.l2_cycles = 100;
  const ir::Op load = copy_of(ir::OpKind::load, 0, ir::CopyKind::plain);
  const ir::Tensor tensor = toy_tensor();
  const double bytes = 64 * 64 * 4;
  MachineConfig config = toy_config();
  Heard heard;
  (void)hear(kernel_of({{load, exp_of(0)}}, 1, 1), chip, config, heard, {tensor});
  REQUIRE(heard.copies.size() == 2);
  CHECK(heard.copies[0].hit_bytes == 64 * 64 * 4);
  CHECK(heard.copies[0].miss_bytes == 0);
  CHECK(heard.copies[1].cycle == about(bytes / 32 + 100));
  const auto port = std::find_if(heard.holds.begin(), heard.holds.end(), [](const HoldEvent& h) { return h.unit == Unit::l2_port; });
  REQUIRE(port != heard.holds.end());
  CHECK(port->begin == about(0));
  CHECK(port->end == about(bytes / 32));
  REQUIRE(heard.rates.size() == 2);
  CHECK(heard.rates[0].l2 == Approx(32));
  CHECK(heard.rates[0].hbm_reads == 0);
  CHECK(heard.rates[1].cycle == about(bytes / 32));
  CHECK(heard.rates[1].l2 == 0);
  REQUIRE(heard.steps.size() == 2);
  CHECK(heard.steps[0].release_cycle == heard.steps[0].complete_cycle);  // a plain load holds its agent
  CHECK(heard.steps[1].issue_cycle == heard.steps[0].complete_cycle);
}

TEST_CASE("a CTA that takes a place names the one before it") {
  ir::Kernel kernel = kernel_of({{exp_of(0)}}, 1, 3);
  kernel.grid.policy = ir::GridPolicy::one_item_per_cta;
  Heard heard;
  (void)hear(kernel, toy_chip(), toy_config(), heard);
  REQUIRE(heard.ctas.size() == 6);
  std::map<std::int64_t, std::int64_t> replaces;
  for (const CtaEvent& e : heard.ctas) {
    if (e.kind == CtaEvent::Kind::launch) replaces[e.cta] = e.replaces;
  }
  CHECK(replaces == std::map<std::int64_t, std::int64_t>{{0, -1}, {1, 0}, {2, 1}});
}

TEST_CASE("holds of a unit never overlap, add up to its busy cycles, and a listener changes nothing") {
  const ir::Kernel kernel =
      kernel_of({{exp_of(0), sync(ir::OpKind::signal, 0)}, {sync(ir::OpKind::await, 0), exp_of(1)}, {exp_of(2)}}, 5, 3);
  Chip chip = toy_chip();
  chip.latency.sfu_cycles = 22;
  chip.latency.barrier_cycles = 9;
  Heard heard;
  const MachineResult with = hear(kernel, chip, toy_config(), heard);
  const SelectedKernel selected = select_instructions(kernel, chip);
  CHECK(play(selected, {}, chip, toy_config()).ticks == with.ticks);
  std::map<Unit, double> last;
  double vector = 0;
  for (const HoldEvent& h : heard.holds) {
    CHECK(h.begin >= last[h.unit]);
    last[h.unit] = h.end;
    if (h.unit == Unit::vector) vector += h.end - h.begin;
  }
  // Three agents, 5 trips, 3 items: the chain holds the unit for its SFU time.
  CHECK(vector == Approx(3 * 5 * 3 * kExpCycles));
  CHECK(vector == Approx(with.busy_cycles[static_cast<std::size_t>(Pipe::sfu)]));
  REQUIRE(heard.kernels.size() == 2);
  CHECK(heard.kernels[1].end_cycle == to_cycles(Ticks(with.ticks)).count());
}
