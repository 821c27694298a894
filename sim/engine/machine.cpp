// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/machine.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/error.h"
#include "sim/engine/machine_core.h"

namespace attnsim {

namespace machine {

using ir::When;

namespace {

bool multicasts(const KernelPlan& plan) {
  for (const PlannedAgent& agent : plan.agents) {
    for (const auto& section : agent.sections) {
      if (std::any_of(section.begin(), section.end(), [](const PlannedStep& s) { return s.sharers > 1 && s.arrives; })) return true;
    }
  }
  return false;
}

Storage& spare_storage() {
  thread_local Storage storage;
  return storage;
}

}  // namespace

Machine::Machine(const SelectedKernel& selected, const KernelPlan& plan, const std::vector<ir::Tensor>& tensors,
                 const MachineConfig& config)
    : kernel_(*selected.kernel),
      plan_(plan),
      config_(config),
      sequence_(kernel_),
      memory_(config.sms, config.rates, config.attribute, multicasts(plan)),
      sms_(static_cast<std::size_t>(config.sms)),
      earliest_(config.sms) {
  std::swap(storage_, spare_storage());
  row_bytes_.resize(plan_.step_count);
  row_begin_.resize(plan_.step_count);
  for (const PlannedAgent& agent : plan_.agents) {
    for (const auto& section : agent.sections) {
      for (const PlannedStep& step : section) {
        if (step.copied == ir::kNone || step.access.tensor == ir::kNone) continue;
        const ir::Tensor& tensor = tensors[static_cast<std::size_t>(step.access.tensor)];
        row_bytes_[step.id] = row_bytes(kernel_.program, step.copied, tensor);
        row_begin_[step.id] = step.access.column_begin * ir::bits_of(tensor.dtype) / 8;
      }
    }
  }
  step_counts_.resize(plan_.step_count);
  miss_carry_.resize(std::max<std::size_t>(1, tensors.size()));
  events_.resize(std::max(events_.size(), sms_.size()));
  for (EventQueue& events : events_) events.clear();
  ctas_.resize(std::max(ctas_.size(), sms_.size() * static_cast<std::size_t>(config.ctas_per_sm)));  // and never moved
  if (config.attribute) tally_.emplace(plan_, kernel_.program, config);
  if (config.listener == nullptr) return;
  trace_ = std::make_unique<Recorder>(
      *config.listener, KernelEvent{config.node, &kernel_, &selected, config.sms, config.ctas_per_sm, config.clock_mhz, config.start_us});
}

Machine::~Machine() {
  std::swap(storage_, spare_storage());
}

MachineResult Machine::run() {
  setup_grid();
  // CTAs of a cluster are launched by what happens on any of its SMs.
  load_lead_ = cluster_ > 1 ? std::min(plan_.least_load_latency, plan_.start_latency) : plan_.least_load_latency;
  outside_acts_ = cluster_ > 1 || std::any_of(plan_.tokens.begin(), plan_.tokens.end(), [](const auto& t) { return t.kernel_scope; });
  store_lead_ = plan_.store_latency;
  if (config_.checkpoints != nullptr) agents_through_.assign(static_cast<std::size_t>(sequence_.size()), 0);
  result_.items = sequence_.size();
  if (config_.leave_out) setup_steady_grid();
  while (true) {
    const std::int64_t event_time = earliest_.time();
    const double transfer_end = memory_.next_end();
    if (event_time == kNever && !std::isfinite(transfer_end)) break;
    if (transfer_end < static_cast<double>(event_time)) {
      finish_transfer();
    } else {
      run_sm(earliest_.first(last_safe_));
    }
  }
  check_finished();
  for (const SmState& sm : sms_) end_ = std::max(end_, sm.smem_all_free);  // what instructions took from copies is still owed
  result_.ticks = std::max(end_, static_cast<std::int64_t>(std::ceil(memory_.write_back_end())));
  for (const SmState& sm : sms_) result_.drain_ticks.push_back(result_.ticks - sm.empty_since);
  std::sort(result_.drain_ticks.rbegin(), result_.drain_ticks.rend());
  result_.spread = spread();
  result_.wait_cycles = wait_cycles();
  if (left_out_ticks_ > 0) add_left_out();
  if (config_.count_work) add_counts();
  if (tally_) finish_books();
  if (trace_) trace_->finish(result_.ticks);
  return result_;
}

void Machine::run_sm(int sm) {
  EventQueue& events = events_[static_cast<std::size_t>(sm)];
  running_sm_ = sm;
  sm_ = &sms_[static_cast<std::size_t>(sm)];
  queue_ = &events;
  horizon_ = 0;
  if (!tally_ && !trace_) {  // which are told in order of time
    horizon_ = reached_at();
    if (outside_acts_) horizon_ = std::min(horizon_, events.next_time() + load_lead_);
  }
  while (!events.empty()) {
    const std::int64_t time = events.next_time();
    if (!in_order(time) && !(ahead(time) && stays_inside(events.top()))) break;
    const std::uint64_t what = events.top().what;
    events.pop();
    end_ = std::max(end_, time);
    if (tally_) close_books(sm, time);
    handle(time, what);
  }
  running_sm_ = -1;
  earliest_.set(sm, events.next_time());
}

std::int64_t Machine::reached_at() const {
  constexpr double kRounding = 1;
  const double end = memory_.earliest_end(running_sm_);
  if (!std::isfinite(end)) return kNever;
  const std::int64_t lead = sm_->stores_in_flight > 0 ? std::min(load_lead_, store_lead_) : load_lead_;
  return static_cast<std::int64_t>(end - kRounding) + lead;
}

bool Machine::stays_inside(const Event& event) const {
  switch (Event::kind_of(event.what)) {
    case Event::Kind::wake: return event.rank() != Event::Rank::put_off;
    case Event::Kind::arrive: return !transfers_[static_cast<std::size_t>(Event::a_of(event.what))].is_store;
    case Event::Kind::launch: return false;
    case Event::Kind::mma_start: break;
  }
  return true;
}

void Machine::handle(std::int64_t time, std::uint64_t what) {
  const std::int32_t a = Event::a_of(what);
  switch (Event::kind_of(what)) {
    case Event::Kind::wake: {
      AgentState& agent = agent_at(a, Event::b_of(what));
      if (agent.group > 0 && !tally_ && !trace_) return resume_groups(agent, time);
      advance(agent, time);
      break;
    }
    case Event::Kind::arrive: arrive(a, time); break;
    case Event::Kind::launch: launch_cluster(a, time); break;
    case Event::Kind::mma_start: start_mma(a, time); break;
  }
}

void Machine::book_wait(const AgentState& agent, const PlannedStep* step, std::int64_t until, Wait reason) {
  const int sm = agent.cta->sm;
  tally_->block(sm, agent.slot, agent.index, agent, step, reason);
  close_books(sm, until);
  tally_->unblock(sm, agent.slot, agent.index);
}

void Machine::finish_books() {
  for (int sm = 0; sm < config_.sms; ++sm) close_books(sm, result_.ticks);
  result_.attribution = tally_->finish(result_.l2_bytes + l2_read_to_add_, result_.hbm_bytes, result_.hbm_written_bytes);
}

void Machine::advance(AgentState& agent, std::int64_t now) {
  if (agent.blocked) {
    add_wait(agent.reason, now - agent.blocked_since);
    agent.blocked = false;
    if (tally_) tally_->unblock(agent.cta->sm, agent.slot, agent.index);
  }
  while (agent.group > 0) {
    if (!run_groups(agent, *agent.op, now)) return;
  }
  while (true) {
    if (agent.op == agent.ops_end || agent.step >= agent.steps) {
      if (agent.position >= 0) next_step(agent, now);
      if (agent.position < 0 && !draw_item(agent, now)) return;
      continue;
    }
    const PlannedStep& step = *agent.op;
    const std::int64_t trip = agent.step - step.skew;
    if (!applies(agent, step, trip) || (step.is_mask && !config_.mask_cost)) {
      ++agent.op;
      continue;
    }
    if (!stays_inside(step) && !in_order(now)) return put_off(agent, now);
    if (!execute(agent, step, trip, now)) return;
  }
}

bool Machine::draw_item(AgentState& agent, std::int64_t now) {
  if (!in_order(now)) {
    put_off(agent, now);
    return false;
  }
  agent.position = item_of(*agent.cta, agent.item_index, now);
  if (agent.position < 0) {
    finish_agent(agent, now);
    return false;
  }
  agent.item = sequence_.at(agent.position);
  if (agent.index == 0)
    offset_trips_[static_cast<std::size_t>(agent.cta->sm % kStartOffsets)] += static_cast<double>(agent.item.tile->trips() + 1);
  agent.last_arriver = false;
  enter_section(agent, 0);
  return true;
}

void Machine::enter_section(AgentState& agent, std::size_t section) {
  const PlannedAgent& planned = plan_.agents[static_cast<std::size_t>(agent.index)];
  agent.section = section;
  agent.ops = planned.sections[section].data();
  agent.ops_end = agent.ops + planned.sections[section].size();
  agent.peers = plan_.is_peers[section] != 0;
  agent.step = 0;
  agent.op = agent.ops;
  agent.group = 0;
  agent.trips = plan_.trips(section, *agent.item.tile);
  agent.steps = agent.trips > 0 ? agent.trips + planned.max_skew[section] : 0;
}

void Machine::next_step(AgentState& agent, std::int64_t now) {
  agent.op = agent.ops;
  if (++agent.step < agent.steps) return;
  if (agent.section + 1 < plan_.is_loop.size()) {
    enter_section(agent, agent.section + 1);
  } else {
    if (config_.checkpoints != nullptr) end_item(agent.position, now);
    agent.position = -1;
    ++agent.item_index;
  }
}

bool Machine::applies_sometimes(const AgentState& agent, const PlannedStep& step, std::int64_t trip) const {
  switch (step.when) {
    case When::always: return true;
    case When::first_trip: return trip == 0;
    case When::not_first_trip: return trip > 0;
    case When::last_trip: return trip == agent.trips - 1;
    case When::partial_trip: return visit(agent, trip).partial;
    case When::full_trip: return !visit(agent, trip).partial;
    case When::item_flag: return agent.item.tile->flag;
    case When::not_item_flag: return !agent.item.tile->flag;
    case When::last_arriver: return agent.last_arriver;
  }
  throw Invariant("unknown condition");
}

bool Machine::execute(AgentState& agent, const PlannedStep& step, std::int64_t trip, std::int64_t& now) {
  if (step.kind == StepKind::await) return await(agent, step, trip, now);
  if (agent.group == 0) {
    std::int64_t ready = now;
    for (ir::TileId t : step.waits) ready = std::max(ready, agent.tile_ready[static_cast<std::size_t>(t)]);
    if (ready > now) {
      if (trace_) trace_->wait_for_tile(agent.slot, agent.index, step.waits, agent.tile_ready, now, ready);
      return go_on_at(agent, nullptr, now, ready, Wait::dependency);
    }
    if (trace_) trace_->begin(agent.slot, agent.index, step, agent.section, agent.position, trip, now);
  }
  switch (step.kind) {
    case StepKind::signal: {
      const std::int64_t fenced = now + (step.until_seen ? plan_.l2_latency : 0);
      if (trace_) trace_->end(agent.slot, agent.index, now, fenced);
      ++agent.op;
      signal(agent, step.token, take_phase(agent, step.token), fenced);
      return step.until_seen ? go_on_at(agent, &step, now, fenced, Wait::token) : true;
    }
    case StepKind::chain: return run_chain(agent, step, now);
    case StepKind::mma: return step.async ? issue_mma(agent, step, now) : run_mma(agent, step, now);
    case StepKind::load:
    case StepKind::store: return issue_copy(agent, step, trip, now);
    case StepKind::await: break;
  }
  throw Invariant("unknown step");
}

bool Machine::await(AgentState& agent, const PlannedStep& step, std::int64_t trip, std::int64_t& now) {
  CtaState& cta = *agent.cta;
  if (step.turn) {  // CTAs go through a tile's turns in step, so that the first read of the counter finds it as it should be
    const std::int64_t read = now + plan_.l2_latency;
    if (trace_) {
      trace_->begin(agent.slot, agent.index, step, agent.section, agent.position, trip, now);
      trace_->end(agent.slot, agent.index, now, read);
    }
    ++agent.op;
    return go_on_at(agent, &step, now, read, Wait::token);
  }
  const ItemGroup group = step.kernel_scope ? group_of(agent.item) : ItemGroup{};
  std::int64_t& awaited = step.kernel_scope ? kernel_awaited_[{cta.id, agent.index, step.token, group}]
                                            : agent.counts[static_cast<std::size_t>(step.token)].awaited;
  const std::int64_t phases = awaited + 1 - step.distance;
  const std::int64_t needed = step.kernel_scope ? phases * step.arrivals : phases;
  const std::int64_t reached =
      step.kernel_scope ? kernel_tokens_[{step.token, group}] : cta.tokens[static_cast<std::size_t>(step.token)].complete;
  if (reached >= needed) {
    if (trace_) {
      trace_->begin(agent.slot, agent.index, step, agent.section, agent.position, trip, now);
      trace_->end(agent.slot, agent.index, now, now);
    }
    ++awaited;
    ++agent.op;
    return true;
  }
  const Wait reason = step.awaits_copy ? Wait::copy : Wait::token;
  block(agent, &step, reason, now);
  if (trace_) trace_->wait(agent.slot, agent.index, reason, now);
  if (step.kernel_scope) {
    kernel_waiters_.push_back({{agent.slot, agent.index, needed, step.token}, group});
  } else {
    cta.waiters.push_back({agent.slot, agent.index, needed, step.token});
  }
  return false;
}

void Machine::signal(AgentState& agent, ir::TokenId token, std::int64_t phase, std::int64_t now) {
  CtaState& cta = *agent.cta;
  const PlannedToken& info = plan_.tokens[static_cast<std::size_t>(token)];
  if (info.kernel_scope) return signal_kernel(agent, token, now);
  TokenState& state = cta.tokens[static_cast<std::size_t>(token)];
  const bool completes = state.arrive(phase, info.arrivals);
  if (trace_) trace_->signal(token, phase, now);
  if (!completes) return;
  for (std::size_t i = 0; i < cta.waiters.size();) {
    const Waiter w = cta.waiters[i];
    if (w.token == token && state.complete >= w.needed) {
      if (trace_) trace_->caused(w.slot, w.agent, now);
      push(now + plan_.barrier_latency, Event::Kind::wake, w.slot, w.agent);
      cta.waiters.erase(cta.waiters.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

void Machine::signal_kernel(AgentState& agent, ir::TokenId token, std::int64_t now) {
  const ItemGroup group = group_of(agent.item);
  const std::int64_t count = ++kernel_tokens_[{token, group}];
  if (trace_) trace_->signal(token, count, now);
  if (count == plan_.tokens[static_cast<std::size_t>(token)].arrivals) {
    for (AgentState& a : agent.cta->agents) a.last_arriver = a.last_arriver || a.position == agent.position;
  }
  for (std::size_t i = 0; i < kernel_waiters_.size();) {
    const auto [w, waited] = kernel_waiters_[i];
    if (w.token == token && waited == group && count >= w.needed) {
      if (trace_) trace_->caused(w.slot, w.agent, now);
      push_outside(ctas_[static_cast<std::size_t>(w.slot)].sm, now + plan_.l2_latency, Event::Kind::wake, w.slot, w.agent);
      kernel_waiters_.erase(kernel_waiters_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

double Machine::spread() const {
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  for (std::size_t i = 0; i < offset_trips_.size(); ++i) {
    if (offset_trips_[i] == 0) continue;
    const double per_trip = offset_cycles_[i] / offset_trips_[i];
    low = std::min(low, per_trip);
    high = std::max(high, per_trip);
  }
  return high > 0 ? (high - low) / (high + low) : 0;
}

void Machine::end_item(std::int64_t position, std::int64_t now) {
  auto& left = agents_through_[static_cast<std::size_t>(position)];
  if (++left == static_cast<int>(plan_.agents.size())) config_.checkpoints->push_back({now, wait_cycles()});
}

std::array<double, kWaitCount> Machine::wait_cycles() const {
  std::array<double, kWaitCount> cycles{};
  for (std::size_t i = 0; i < kWaitCount; ++i) cycles[i] = to_cycles(Ticks(wait_ticks_[i])).count();
  return cycles;
}

void Machine::check_finished() const {
  std::string stuck;
  for (std::size_t c = 0; c < cta_count_; ++c) {
    const CtaState& cta = ctas_[c];
    if (!cta.active) continue;
    for (std::size_t a = 0; a < cta.agents.size(); ++a) {
      const AgentState& agent = cta.agents[a];
      if (agent.done) continue;
      stuck += "\n  CTA " + std::to_string(cta.id) + " agent " + kernel_.program.agents[a].name + " item " +
               std::to_string(agent.position) + " section " + kernel_.program.sections[agent.section].name + " step " +
               std::to_string(agent.step) + " waits";
      if (agent.op != agent.ops_end && agent.op->kind == StepKind::await) {
        stuck += " for token " + kernel_.program.tokens[static_cast<std::size_t>(agent.op->token)].name;
      }
      if (stuck.size() > 2000) break;
    }
  }
  if (!stuck.empty()) throw SimError("deadlock in kernel " + kernel_.name + ":" + stuck);
}

}  // namespace machine

MachineResult play(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& config) {
  return play(selected, plan_kernel(selected, chip, config), tensors, config);
}

MachineResult play(const SelectedKernel& selected, const KernelPlan& plan, const std::vector<ir::Tensor>& tensors,
                   const MachineConfig& config) {
  return machine::Machine(selected, plan, tensors, config).run();
}

}  // namespace attnsim
