// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/recorder.h"

#include <algorithm>
#include <array>

namespace attnsim {

std::string_view name_of(Wait w) {
  constexpr std::array<std::string_view, kWaitCount> kNames{"copy", "token", "pipe", "dependency", "start"};
  return kNames.at(static_cast<std::size_t>(w));
}

std::string_view name_of(Unit u) {
  constexpr std::array<std::string_view, kUnitCount> kNames{"tensor", "vector", "smem", "smem (copies)", "issue", "l2 port"};
  return kNames.at(static_cast<std::size_t>(u));
}

namespace machine {

namespace {

double cycles(std::int64_t ticks) {
  return to_cycles(Ticks(ticks)).count();
}

}  // namespace

Recorder::Recorder(EngineListener& listener, KernelEvent kernel) : listener_(listener), kernel_(kernel) {
  const auto sms = static_cast<std::size_t>(kernel.sms);
  const auto places = static_cast<std::size_t>(kernel.ctas_per_sm);
  places_.assign(sms, std::vector<std::int64_t>(places, -1));
  before_.assign(sms, std::vector<std::int64_t>(places, -1));
  holder_.assign(sms, {});
  port_free_.assign(sms, 0);
  listener_.on_kernel(kernel_);
}

void Recorder::finish(std::int64_t end) {
  kernel_.end_cycle = cycles(end);
  listener_.on_kernel(kernel_);
}

void Recorder::launch(std::int32_t slot, std::int64_t cta, int sm, std::int64_t now) {
  if (ctas_.size() <= static_cast<std::size_t>(slot)) ctas_.resize(static_cast<std::size_t>(slot) + 1);
  CtaTrace& trace = ctas_[static_cast<std::size_t>(slot)];
  auto& places = places_[static_cast<std::size_t>(sm)];
  const auto place = static_cast<std::size_t>(std::find(places.begin(), places.end(), -1) - places.begin());
  trace.cta = cta;
  trace.sm = sm;
  trace.place = static_cast<int>(place);
  trace.agents.assign(kernel_.kernel->program.agents.size(), {});
  for (AgentTrace& agent : trace.agents) {
    agent.tile_writer.assign(kernel_.kernel->program.tiles.size(), 0);
    agent.wait.waited = true;
    agent.wait.wait = Wait::start;
    agent.wait.wait_since = cycles(now);
  }
  places.at(place) = cta;
  const std::int64_t replaced = std::exchange(before_[static_cast<std::size_t>(sm)][place], cta);
  listener_.on_cta({CtaEvent::Kind::launch, cycles(now), cta, sm, trace.place, replaced});
}

void Recorder::retire(std::int32_t slot, std::int64_t now) {
  const CtaTrace& trace = ctas_[static_cast<std::size_t>(slot)];
  places_[static_cast<std::size_t>(trace.sm)][static_cast<std::size_t>(trace.place)] = -1;
  listener_.on_cta({CtaEvent::Kind::retire, cycles(now), trace.cta, trace.sm, trace.place, -1});
}

void Recorder::wait(std::int32_t slot, std::int32_t agent, Wait reason, std::int64_t since) {
  StepEvent& wait = agent_of(slot, agent).wait;
  if (!wait.waited) wait.wait_since = cycles(since);
  wait.waited = true;
  wait.wait = reason;
  wait.cause = 0;
}

void Recorder::wait_for_tile(std::int32_t slot, std::int32_t agent, const std::vector<ir::TileId>& tiles,
                             const std::vector<std::int64_t>& tile_ready, std::int64_t since, std::int64_t ready) {
  wait(slot, agent, Wait::dependency, since);
  AgentTrace& trace = agent_of(slot, agent);
  for (ir::TileId t : tiles) {
    if (tile_ready[static_cast<std::size_t>(t)] == ready) trace.wait.cause = trace.tile_writer[static_cast<std::size_t>(t)];
  }
  trace.wait.cause_cycle = cycles(ready);
  trace.wait.cause_cta = ctas_[static_cast<std::size_t>(slot)].cta;
}

void Recorder::caused(std::int32_t slot, std::int32_t agent, std::int64_t now) {
  StepEvent& wait = agent_of(slot, agent).wait;
  wait.cause = signaller_.step;
  wait.cause_cta = signaller_.cta;
  wait.cause_cycle = cycles(now);
}

void Recorder::begin(std::int32_t slot, std::int32_t agent, const PlannedStep& step, std::size_t section, std::int64_t item,
                     std::int64_t trip, std::int64_t now) {
  const CtaTrace& cta = ctas_[static_cast<std::size_t>(slot)];
  AgentTrace& trace = agent_of(slot, agent);
  StepEvent& event = trace.current;
  event = trace.wait;
  event.id = next_id_++;
  event.at = StepPlace{cta.cta, cta.sm, cta.place, agent, static_cast<int>(section), item, trip};
  event.step = step.step;
  event.issue_cycle = cycles(now);
  if (event.wait_since >= event.issue_cycle) event.waited = false;
  if (!event.waited) {
    event.cause = trace.previous;
    event.cause_cta = cta.cta;
    event.cause_cycle = trace.previous_release;
  }
  trace.wait = StepEvent{};
  listener_.on_issue(event);
}

void Recorder::held(Unit unit, int sm, std::int64_t step, double asked, double begin, double end) {
  if (end <= begin) return;
  const std::int64_t after = std::exchange(holder_[static_cast<std::size_t>(sm)][static_cast<std::size_t>(unit)], step);
  listener_.on_hold({unit, sm, step, asked, begin, end, after});
}

void Recorder::hold(Unit unit, std::int32_t slot, std::int32_t agent, std::int64_t asked, std::int64_t begin, std::int64_t end) {
  held(unit, ctas_[static_cast<std::size_t>(slot)].sm, agent_of(slot, agent).current.id, cycles(asked), cycles(begin), cycles(end));
}

void Recorder::end(std::int32_t slot, std::int32_t agent, std::int64_t release, std::int64_t complete) {
  AgentTrace& trace = agent_of(slot, agent);
  StepEvent& event = trace.current;
  event.release_cycle = cycles(release);
  event.complete_cycle = cycles(complete);
  trace.previous = event.id;
  trace.previous_release = event.release_cycle;
  signaller_ = {event.id, event.at.cta, event.at.sm, agent};
  listener_.on_step(event);
}

void Recorder::pending(std::int64_t transfer, std::int32_t slot, std::int32_t agent, const PlannedStep& step, std::int64_t release) {
  if (transfers_.size() <= static_cast<std::size_t>(transfer)) transfers_.resize(static_cast<std::size_t>(transfer) + 1);
  AgentTrace& trace = agent_of(slot, agent);
  trace.current.release_cycle = cycles(release);
  Copy& entry = transfer_of(transfer);
  entry = Copy{};
  entry.step = trace.current;
  entry.slot = slot;
  entry.releases_agent = release == kWhenComplete;
  trace.previous = trace.current.id;
  trace.previous_release = trace.current.release_cycle;
  for (ir::TileId t : step.busy_tiles) trace.tile_writer[static_cast<std::size_t>(t)] = trace.current.id;
}

void Recorder::hold_transfer(Unit unit, std::int64_t transfer, std::int64_t asked, std::int64_t begin, std::int64_t end) {
  const StepEvent& step = transfer_of(transfer).step;
  held(unit, step.at.sm, step.id, cycles(asked), cycles(begin), cycles(end));
}

void Recorder::submit(std::int64_t transfer, bool is_store, std::int64_t hit, std::int64_t miss, std::int64_t now) {
  Copy& entry = transfer_of(transfer);
  entry.is_copy = true;
  entry.copy = {CopyEvent::Kind::submit, entry.step.id, cycles(now), entry.step.at.sm, is_store, hit, miss};
  listener_.on_copy(entry.copy);
}

void Recorder::served(std::int64_t transfer, double end) {
  const Copy& entry = transfer_of(transfer);
  double& free = port_free_[static_cast<std::size_t>(entry.copy.sm)];
  const double end_cycle = end / static_cast<double>(kTicksPerCycle);
  const double begin = std::max(entry.copy.cycle, free);
  free = end_cycle;
  held(Unit::l2_port, entry.copy.sm, entry.step.id, entry.copy.cycle, begin, end_cycle);
}

void Recorder::arrive(std::int64_t transfer, std::int64_t now) {
  Copy& entry = transfer_of(transfer);
  entry.step.complete_cycle = cycles(now);
  if (entry.releases_agent) {
    entry.step.release_cycle = entry.step.complete_cycle;
    agent_of(entry.slot, entry.step.at.agent).previous_release = entry.step.complete_cycle;
  }
  signaller_ = {entry.step.id, entry.step.at.cta, entry.step.at.sm, entry.step.at.agent};
  listener_.on_step(entry.step);
  if (!entry.is_copy) return;
  entry.copy.kind = CopyEvent::Kind::complete;
  entry.copy.cycle = entry.step.complete_cycle;
  listener_.on_copy(entry.copy);
}

void Recorder::signal(ir::TokenId token, std::int64_t phase, std::int64_t now) {
  listener_.on_signal({token, cycles(now), signaller_.step, signaller_.cta, signaller_.sm, signaller_.agent, phase});
}

void Recorder::rates(double now, const MemoryUse& use) {
  const auto per_cycle = static_cast<double>(kTicksPerCycle);
  const RateEvent next{now / per_cycle, use.l2 * per_cycle, use.hbm_reads * per_cycle, use.write_back * per_cycle};
  if (next.l2 == rate_.l2 && next.hbm_reads == rate_.hbm_reads && next.hbm_write_back == rate_.hbm_write_back) return;
  rate_ = next;
  listener_.on_rate(rate_);
}

}  // namespace machine

}  // namespace attnsim
