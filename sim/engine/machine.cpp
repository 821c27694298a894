// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/machine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <tuple>

#include "sim/core/error.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/machine_state.h"
#include "sim/engine/recorder.h"
#include "sim/engine/tally.h"

namespace attnsim {

namespace {

using ir::When;
using namespace machine;

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

class Machine {
 public:
  Machine(const SelectedKernel& selected, const KernelPlan& plan, const std::vector<ir::Tensor>& tensors, const MachineConfig& config)
      : kernel_(*selected.kernel),
        plan_(plan),
        tensors_(tensors),
        config_(config),
        sequence_(kernel_),
        memory_(config.sms, config.rates, config.attribute),
        sms_(static_cast<std::size_t>(config.sms)) {
    if (config.attribute) tally_.emplace(plan_, kernel_.program, config);
    if (config.listener == nullptr) return;
    trace_ = std::make_unique<Recorder>(
        *config.listener, KernelEvent{config.node, &kernel_, &selected, config.sms, config.ctas_per_sm, config.clock_mhz, config.start_us});
  }

  MachineResult run() {
    setup_grid();
    if (config_.checkpoints != nullptr) agents_through_.assign(static_cast<std::size_t>(sequence_.size()), 0);
    result_.items = sequence_.size();
    while (true) {
      const std::int64_t event_time = events_.empty() ? kNever : events_.top().time;
      const double transfer_end = memory_.next_end();
      if (event_time == kNever && !std::isfinite(transfer_end)) break;
      if (transfer_end < static_cast<double>(event_time)) {
        finish_transfer();
        continue;
      }
      const Event event = events_.top();
      events_.pop();
      end_ = std::max(end_, event.time);
      if (tally_) close_books(sm_of(event), event.time);
      switch (event.kind) {
        case Event::Kind::wake: advance(event.a, event.b, event.time); break;
        case Event::Kind::arrive: arrive(event.a, event.time); break;
        case Event::Kind::launch: launch_cluster(event.a, event.time); break;
        case Event::Kind::mma_start: start_mma(event.a, event.time); break;
      }
    }
    check_finished();
    for (const SmState& sm : sms_) end_ = std::max(end_, sm.smem_all_free);  // what instructions took from copies is still owed
    result_.ticks = std::max(end_, static_cast<std::int64_t>(std::ceil(memory_.write_back_end())));
    for (const SmState& sm : sms_) result_.drain_ticks.push_back(result_.ticks - sm.empty_since);
    std::sort(result_.drain_ticks.rbegin(), result_.drain_ticks.rend());
    result_.spread = spread();
    if (tally_) finish_books();
    if (trace_) trace_->finish(result_.ticks);
    return result_;
  }

 private:
  // --- grid ---
  void setup_grid() {
    group_sms();
    const auto slots = static_cast<std::int64_t>(groups_.size()) * cluster_ * config_.ctas_per_sm;
    switch (plan_.policy) {
      case ir::GridPolicy::one_item_per_cta: lists_ = sequence_.size(); break;
      case ir::GridPolicy::persistent_static:
      case ir::GridPolicy::persistent_dynamic: lists_ = std::min(slots, sequence_.size()); break;
      case ir::GridPolicy::lists: lists_ = static_cast<std::int64_t>(kernel_.grid.lists.size()); break;
    }
    result_.ctas = lists_;
    // Round-robin over SMs: the dispatcher picks the SM with the most free slots.
    for (int slot = 0; slot < config_.ctas_per_sm; ++slot) {
      for (std::size_t group = 0; group < groups_.size(); ++group) {
        push(launch_slot(0), Event::Kind::launch, static_cast<std::int32_t>(group), 0);
      }
    }
  }

  // SMs that hold a cluster together: neighbours of one GPC. GPCs are made of pairs of SMs, some of them have one pair more.
  void group_sms() {
    constexpr int kPair = 2;
    cluster_ = config_.sms >= plan_.cluster ? plan_.cluster : 1;
    group_of_sm_.assign(sms_.size(), -1);
    if (cluster_ == 1) {
      for (int sm = 0; sm < config_.sms; ++sm) add_group(sm);
      return;
    }
    int begin = 0;
    for (int gpc = 0; gpc < config_.gpcs; ++gpc) {
      const int end = gpc + 1 == config_.gpcs ? config_.sms : config_.sms / kPair * (gpc + 1) / config_.gpcs * kPair;
      for (int sm = begin; sm + cluster_ <= end; sm += cluster_) add_group(sm);
      begin = end;
    }
    if (groups_.empty()) throw SimError("kernel " + kernel_.name + ": no GPC holds a cluster of " + std::to_string(cluster_) + " CTAs");
  }

  void add_group(int sm) {
    for (int i = 0; i < cluster_; ++i) group_of_sm_[static_cast<std::size_t>(sm + i)] = static_cast<int>(groups_.size());
    groups_.push_back({sm, std::vector<int>(static_cast<std::size_t>(cluster_), 0)});
  }

  std::int64_t launch_slot(std::int64_t now) {
    next_launch_ = std::max(next_launch_ + plan_.launch_interval, now);
    return next_launch_;
  }

  void launch_cluster(int group, std::int64_t now) {
    for (int i = 0; i < cluster_; ++i) {
      const int sm = groups_[static_cast<std::size_t>(group)].first_sm + i;
      if (tally_ && i > 0) close_books(sm, now);
      launch(sm, now);
    }
  }

  // Another cluster starts when each of its SMs has a place.
  void free_place(int sm, std::int64_t now) {
    const int index = group_of_sm_[static_cast<std::size_t>(sm)];
    SmGroup& group = groups_[static_cast<std::size_t>(index)];
    ++group.free[static_cast<std::size_t>(sm - group.first_sm)];
    if (std::find(group.free.begin(), group.free.end(), 0) != group.free.end()) return;
    for (int& places : group.free) --places;
    if (next_list_ < lists_) push(launch_slot(now), Event::Kind::launch, index, 0);
  }

  void launch(int sm, std::int64_t now) {
    if (next_list_ >= lists_) return;
    std::int32_t slot = 0;
    if (free_slots_.empty()) {
      slot = static_cast<std::int32_t>(ctas_.size());
      ctas_.emplace_back();
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
    }
    CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
    cta.id = next_list_;
    cta.list = next_list_++;
    cta.sm = sm;
    cta.active = true;
    cta.launched = now;
    cta.exhausted = false;
    cta.items.clear();
    cta.waiters.clear();
    cta.stores_in_flight = 0;
    cta.running_agents = static_cast<int>(plan_.agents.size());
    cta.tokens.resize(kernel_.program.tokens.size());
    for (std::size_t t = 0; t < cta.tokens.size(); ++t) {
      cta.tokens[t].start(kernel_.program.tokens[t].initial_count / kernel_.program.tokens[t].arrivals);
    }
    cta.agents.resize(plan_.agents.size());
    for (std::size_t a = 0; a < cta.agents.size(); ++a) {
      AgentState& agent = cta.agents[a];
      agent.start(cta.tokens.size(), kernel_.program.tiles.size(), now);
      if (tally_) tally_->block(sm, slot, static_cast<std::int32_t>(a), agent, nullptr, Wait::start);
      const int offset = !config_.start_offsets ? 0 : config_.sms > 1 ? sm % kStartOffsets : config_.start_offset;
      const std::int64_t stagger =
          ticks_ceil(kStartOffsetCycles * offset * static_cast<double>(a + sms_[static_cast<std::size_t>(sm)].resident)).count();
      push(now + plan_.start_latency + stagger, Event::Kind::wake, slot, static_cast<std::int32_t>(a));
    }
    if (trace_) trace_->launch(slot, cta.id, sm, now);
    SmState& state = sms_[static_cast<std::size_t>(sm)];
    if (state.resident++ == 0) state.resident_since = now;
  }

  // Grid position of the CTA's k-th item; -1 when it has no more.
  std::int64_t item_of(CtaState& cta, std::int64_t k) {
    while (static_cast<std::int64_t>(cta.items.size()) <= k && !cta.exhausted) {
      const auto taken = static_cast<std::int64_t>(cta.items.size());
      std::int64_t position = -1;
      switch (plan_.policy) {
        case ir::GridPolicy::one_item_per_cta: position = taken == 0 ? cta.list : -1; break;
        case ir::GridPolicy::persistent_static: position = cta.list + taken * lists_; break;
        case ir::GridPolicy::persistent_dynamic: position = next_item_ < sequence_.size() ? next_item_++ : -1; break;
        case ir::GridPolicy::lists: {
          const auto& list = kernel_.grid.lists[static_cast<std::size_t>(cta.list)];
          position = taken < static_cast<std::int64_t>(list.size()) ? list[static_cast<std::size_t>(taken)] : -1;
          break;
        }
      }
      if (position < 0 || position >= sequence_.size()) {
        cta.exhausted = true;
      } else {
        cta.items.push_back(position);
      }
    }
    return k < static_cast<std::int64_t>(cta.items.size()) ? cta.items[static_cast<std::size_t>(k)] : -1;
  }

  void retire_if_done(std::int32_t slot, std::int64_t now) {
    CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
    if (!cta.active || cta.running_agents > 0 || cta.stores_in_flight > 0) return;
    cta.active = false;
    result_.cta_cycles += to_cycles(Ticks(now - cta.launched)).count();
    if (trace_) trace_->retire(slot, now);
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    if (--sm.resident == 0) {
      sm.empty_since = now;
      const double cycles = to_cycles(Ticks(now - sm.resident_since)).count();
      result_.resident_cycles += cycles;
      offset_cycles_[static_cast<std::size_t>(cta.sm % kStartOffsets)] += cycles;
    }
    free_slots_.push_back(slot);
    free_place(cta.sm, now);
  }

  // --- agents ---
  void push(std::int64_t time, Event::Kind kind, std::int32_t a, std::int32_t b) {
    events_.push(Event{time, Event::order_of(kind, event_age_++), a, b, kind});
  }

  // `step`: what the agent is at or waits in; nullptr where it waits for the product of an asynchronous op.
  void block(std::int32_t slot, std::int32_t index, const PlannedStep* step, Wait reason, std::int64_t now) {
    CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    agent.blocked = true;
    agent.reason = reason;
    agent.blocked_since = now;
    if (tally_) tally_->block(cta.sm, slot, index, agent, step, reason);
  }

  // The agent goes on at `time`: at once, with `now` moved there, when nothing else happens before (true), else by an event.
  bool go_on_at(std::int32_t slot, std::int32_t index, const PlannedStep* step, std::int64_t& now, std::int64_t time, Wait reason) {
    if ((events_.empty() || time < events_.top().time) && memory_.next_end() >= static_cast<double>(time)) {
      add_wait(reason, time - now);
      end_ = std::max(end_, time);
      if (tally_) book_wait(slot, index, step, time, reason);
      now = time;
      return true;
    }
    block(slot, index, step, reason, now);
    push(time, Event::Kind::wake, slot, index);
    return false;
  }

  void add_wait(Wait reason, std::int64_t ticks) {
    result_.wait_cycles[static_cast<std::size_t>(reason)] += to_cycles(Ticks(ticks)).count();
  }

  // --- attribution ---
  [[nodiscard]] int sm_of(const Event& event) const {
    switch (event.kind) {
      case Event::Kind::wake: return ctas_[static_cast<std::size_t>(event.a)].sm;
      case Event::Kind::launch: return groups_[static_cast<std::size_t>(event.a)].first_sm;
      case Event::Kind::arrive:
      case Event::Kind::mma_start: break;
    }
    return ctas_[static_cast<std::size_t>(transfers_[static_cast<std::size_t>(event.a)].cta)].sm;
  }

  void close_books(int sm, std::int64_t now) { tally_->close(sm, sms_[static_cast<std::size_t>(sm)], memory_, now, next_list_ < lists_); }

  // A wait during which nothing else happens.
  void book_wait(std::int32_t slot, std::int32_t index, const PlannedStep* step, std::int64_t until, Wait reason) {
    const CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
    tally_->block(cta.sm, slot, index, cta.agents[static_cast<std::size_t>(index)], step, reason);
    close_books(cta.sm, until);
    tally_->unblock(cta.sm, slot, index);
  }

  void finish_books() {
    for (int sm = 0; sm < config_.sms; ++sm) close_books(sm, result_.ticks);
    result_.attribution = tally_->finish(result_.l2_bytes, result_.hbm_bytes, result_.hbm_written_bytes);
  }

  void advance(std::int32_t slot, std::int32_t index, std::int64_t now) {
    CtaState* cta = &ctas_[static_cast<std::size_t>(slot)];
    AgentState* agent = &cta->agents[static_cast<std::size_t>(index)];
    if (agent->blocked) {
      add_wait(agent->reason, now - agent->blocked_since);
      agent->blocked = false;
      if (tally_) tally_->unblock(cta->sm, slot, index);
    }
    while (true) {
      if (agent->position < 0) {
        agent->position = item_of(*cta, agent->item_index);
        if (agent->position < 0) {
          finish_agent(slot, *agent, now);
          return;
        }
        agent->item = sequence_.at(agent->position);
        if (index == 0)
          offset_trips_[static_cast<std::size_t>(cta->sm % kStartOffsets)] += static_cast<double>(agent->item.tile->trips() + 1);
        agent->last_arriver = false;
        enter_section(*agent, static_cast<std::size_t>(index), 0);
      }
      const auto& steps = plan_.agents[static_cast<std::size_t>(index)].sections[agent->section];
      if (agent->op >= steps.size() || agent->step >= agent->steps) {
        next_step(*agent, static_cast<std::size_t>(index), now);
        continue;
      }
      const PlannedStep& step = steps[agent->op];
      const std::int64_t trip = agent->step - step.skew;
      if (!applies(*agent, step, trip) || (step.is_mask && !config_.mask_cost)) {
        ++agent->op;
        continue;
      }
      if (!execute(slot, index, step, trip, now)) return;
    }
  }

  void enter_section(AgentState& agent, std::size_t index, std::size_t section) {
    agent.section = section;
    agent.step = 0;
    agent.op = 0;
    agent.group = 0;
    agent.trips = plan_.trips(section, *agent.item.tile);
    agent.steps = agent.trips > 0 ? agent.trips + plan_.max_skew(index, section) : 0;
  }

  void next_step(AgentState& agent, std::size_t index, std::int64_t now) {
    agent.op = 0;
    if (++agent.step < agent.steps) return;
    if (agent.section + 1 < plan_.is_loop.size()) {
      enter_section(agent, index, agent.section + 1);
    } else {
      if (config_.checkpoints != nullptr) end_item(agent.position, now);
      agent.position = -1;
      ++agent.item_index;
    }
  }

  [[nodiscard]] bool applies(const AgentState& agent, const PlannedStep& step, std::int64_t trip) const {
    if (trip < 0 || trip >= agent.trips) return false;
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

  [[nodiscard]] VisitedTile visit(const AgentState& agent, std::int64_t trip) const {
    return visited_tile(*agent.item.tile, plan_.is_peers[agent.section] != 0, trip);
  }

  // True when the agent may go on at `now`; false when it waits (an event will wake it).
  bool execute(std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t trip, std::int64_t& now) {
    CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    if (step.kind == StepKind::await) return await(cta, slot, index, step, trip, now);
    if (agent.group == 0) {
      std::int64_t ready = now;
      for (ir::TileId t : step.waits) ready = std::max(ready, agent.tile_ready[static_cast<std::size_t>(t)]);
      if (ready > now) {
        if (trace_) trace_->wait_for_tile(slot, index, step.waits, agent.tile_ready, now, ready);
        return go_on_at(slot, index, nullptr, now, ready, Wait::dependency);
      }
      if (trace_) trace_->begin(slot, index, step, agent.section, agent.position, trip, now);
    }
    switch (step.kind) {
      case StepKind::signal:
        if (trace_) trace_->end(slot, index, now, now);
        ++agent.op;
        signal(slot, step.token, take_phase(agent, step.token), agent, now);
        return true;
      case StepKind::chain: return run_chain(cta, slot, index, step, now);
      case StepKind::mma: return step.async ? issue_mma(cta, slot, index, step, now) : run_mma(cta, slot, index, step, now);
      case StepKind::load:
      case StepKind::store: return issue_copy(cta, slot, index, step, trip, now);
      case StepKind::await: break;
    }
    throw Invariant("unknown step");
  }

  bool await(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t trip, std::int64_t now) {
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    const ItemGroup group = step.kernel_scope ? group_of(agent.item) : ItemGroup{};
    std::int64_t& awaited =
        step.kernel_scope ? kernel_awaited_[{cta.id, index, step.token, group}] : agent.awaited[static_cast<std::size_t>(step.token)];
    const std::int64_t phases = awaited + 1 - step.distance;
    const std::int64_t needed = step.kernel_scope ? phases * step.arrivals : phases;
    const std::int64_t reached =
        step.kernel_scope ? kernel_tokens_[{step.token, group}] : cta.tokens[static_cast<std::size_t>(step.token)].complete;
    if (reached >= needed) {
      if (trace_) {
        trace_->begin(slot, index, step, agent.section, agent.position, trip, now);
        trace_->end(slot, index, now, now);
      }
      ++awaited;
      ++agent.op;
      return true;
    }
    const Wait reason = step.awaits_copy ? Wait::copy : Wait::token;
    block(slot, index, &step, reason, now);
    if (trace_) trace_->wait(slot, index, reason, now);
    if (step.kernel_scope) {
      kernel_waiters_.push_back({slot, Waiter{index, needed, step.token, group}});
    } else {
      cta.waiters.push_back(Waiter{index, needed, step.token, {}});
    }
    return false;
  }

  [[nodiscard]] ItemGroup group_of(const ir::Item& item) const {
    return {item.family - kernel_.families.data(), item.slab, item.tile->row_begin};
  }

  // The phase that the agent's next signal on the token belongs to.
  std::int64_t take_phase(AgentState& agent, ir::TokenId token) const {
    return agent.signalled[static_cast<std::size_t>(token)]++ / plan_.token_share[static_cast<std::size_t>(token)];
  }

  void signal(std::int32_t slot, ir::TokenId token, std::int64_t phase, AgentState& agent, std::int64_t now) {
    CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
    const ir::Token& info = kernel_.program.tokens[static_cast<std::size_t>(token)];
    if (info.scope == ir::TokenScope::kernel) {
      const ItemGroup group = group_of(agent.item);
      const std::int64_t count = ++kernel_tokens_[{token, group}];
      if (trace_) trace_->signal(token, count, now);
      if (count == info.arrivals) {
        for (AgentState& a : cta.agents) a.last_arriver = a.last_arriver || a.position == agent.position;
      }
      for (std::size_t i = 0; i < kernel_waiters_.size();) {
        const auto [waiting, w] = kernel_waiters_[i];
        if (w.token == token && w.group == group && count >= w.needed) {
          if (trace_) trace_->caused(waiting, w.agent, now);
          push(now + plan_.l2_latency, Event::Kind::wake, waiting, w.agent);
          kernel_waiters_.erase(kernel_waiters_.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
          ++i;
        }
      }
      return;
    }
    TokenState& state = cta.tokens[static_cast<std::size_t>(token)];
    state.arrive(phase, info.arrivals);
    if (trace_) trace_->signal(token, phase, now);
    for (std::size_t i = 0; i < cta.waiters.size();) {
      const Waiter w = cta.waiters[i];
      if (w.token == token && state.complete >= w.needed) {
        if (trace_) trace_->caused(slot, w.agent, now);
        push(now + plan_.barrier_latency, Event::Kind::wake, slot, w.agent);
        cta.waiters.erase(cta.waiters.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }

  bool run_chain(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t& now) {
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    const std::int64_t start = std::max(now, sm.vector_free);
    sm.vector_free = start + step.group_ticks;
    sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
    std::int64_t end = std::max(start + step.group_own_ticks, sm.issue_free);
    if (step.group_smem_ticks > 0) {
      end = std::max(end, sm.use_smem(now, step.group_smem_ticks));
    }
    if (step.group_tmem_ticks > 0) {
      sm.tmem_free = std::max(now, sm.tmem_free) + step.group_tmem_ticks;
      end = std::max(end, sm.tmem_free);
    }
    if (trace_) {
      trace_->hold(Unit::vector, slot, index, now, start, sm.vector_free);
      hold_shared(slot, index, step, sm, now);
    }
    if (++agent.group < step.groups) {
      return go_on_at(slot, index, &step, now, end, Wait::pipe);
    }
    agent.group = 0;
    ++agent.op;
    end += step.latency;
    add_busy(step, agent);
    if (trace_) trace_->end(slot, index, end, end);
    return go_on_at(slot, index, &step, now, end, start > now ? Wait::pipe : Wait::dependency);
  }

  bool run_mma(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t& now) {
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    sm.tensor_free = std::max(now, sm.tensor_free) + step.group_ticks;
    (void)sm.use_smem(now, step.group_smem_ticks);
    sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
    std::int64_t end = std::max({sm.tensor_free, sm.smem_free, sm.issue_free, now + step.group_own_ticks});
    if (trace_) {
      trace_->hold(Unit::tensor, slot, index, now, sm.tensor_free - step.group_ticks, sm.tensor_free);
      hold_shared(slot, index, step, sm, now);
    }
    if (++agent.group < step.groups) {
      return go_on_at(slot, index, &step, now, end, Wait::pipe);
    }
    agent.group = 0;
    ++agent.op;
    end += step.latency;
    add_busy(step, agent);
    if (trace_) trace_->end(slot, index, end, end);
    return go_on_at(slot, index, &step, now, end, Wait::pipe);
  }

  bool issue_mma(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t& now) {
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    const std::int64_t start = std::max(now, sm.tensor_free);
    sm.tensor_free = start + step.group_ticks * step.groups;
    const std::int64_t end = sm.tensor_free + step.latency;
    for (ir::TileId t : step.busy_tiles) agent.tile_ready[static_cast<std::size_t>(t)] = end;
    ++agent.op;
    add_busy(step, agent);
    end_ = std::max(end_, end);
    const std::int64_t id = new_transfer(slot, index, step, agent);
    TransferState& product = transfers_[static_cast<std::size_t>(id)];
    product.bytes = sm.tensor_free;
    push(start, Event::Kind::mma_start, static_cast<std::int32_t>(id), 0);
    sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks * step.groups;
    if (trace_) {
      trace_->hold(Unit::tensor, slot, index, now, start, sm.tensor_free);
      trace_->hold(Unit::issue, slot, index, now, sm.issue_free - step.group_issue_ticks * step.groups, sm.issue_free);
      trace_->pending(id, slot, index, step, now + step.issue_ticks);
    }
    if (step.issue_ticks == 0) return true;
    return go_on_at(slot, index, &step, now, now + step.issue_ticks, Wait::pipe);
  }

  // An asynchronous MMA takes its operands from SMEM while it runs, not while it queues. When SMEM is late, so is the product.
  void start_mma(std::int32_t id, std::int64_t now) {
    const TransferState& product = transfers_[static_cast<std::size_t>(id)];
    const PlannedStep& step = *product.step;
    CtaState& cta = ctas_[static_cast<std::size_t>(product.cta)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    const std::int64_t smem_end = sm.use_smem(now, step.group_smem_ticks * step.groups);
    if (trace_) trace_->hold_transfer(Unit::smem, id, now, smem_end - step.group_smem_ticks * step.groups, smem_end);
    const std::int64_t end = std::max(product.bytes, smem_end) + step.latency;
    if (smem_end > product.bytes) {
      AgentState& agent = cta.agents[static_cast<std::size_t>(product.agent)];
      for (ir::TileId t : step.busy_tiles) {
        std::int64_t& ready = agent.tile_ready[static_cast<std::size_t>(t)];
        ready = std::max(ready, end);
      }
    }
    push(end, Event::Kind::arrive, id, 0);
  }

  bool issue_copy(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t trip, std::int64_t& now) {
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    const ir::Access& access = step.op->access;
    const VisitedTile visited = plan_.is_loop[agent.section] ? visit(agent, trip) : VisitedTile{};
    const TileAddress address = address_of(access, step.rows_axis, kernel_.program, agent.item, visited);
    const ir::Tensor& tensor = tensors_[static_cast<std::size_t>(access.tensor)];
    // CTAs of a cluster fetch a shared tile in parts of its rows.
    const std::int64_t rank = cta.id % step.sharers;
    const std::int64_t first_row = rank * address.rows / step.sharers;
    const std::int64_t part_rows = (rank + 1) * address.rows / step.sharers - first_row;
    const std::int64_t row_bytes = tensor.cols * ir::bits_of(tensor.dtype) / 8;
    const std::int64_t valid_bytes = part_rows * row_bytes;
    const std::int64_t tile_bytes = (step.op->whole_tile ? step.padded_rows : address.rows) * row_bytes;
    const std::int64_t bytes = step.op->whole_tile ? tile_bytes / step.sharers : valid_bytes;
    const std::int64_t id = new_transfer(slot, index, step, agent);
    TransferState& transfer = transfers_[static_cast<std::size_t>(id)];
    transfer.bytes = step.arrives ? tile_bytes : bytes;
    transfer.is_store = step.kind == StepKind::store;
    const bool atomic = step.op->kind == ir::OpKind::atomic;
    transfer.blocks_agent = !step.async;
    transfer.latency = transfer.is_store ? plan_.store_latency : plan_.l2_latency + step.latency;
    std::int64_t hit = bytes;
    std::int64_t miss = 0;
    if (bytes > 0) {
      if (config_.cache != nullptr) {
        L2Outcome outcome =
            config_.cache->access(access.tensor, address.slab, address.row + first_row, part_rows, transfer.is_store && !atomic);
        if (!transfer.is_store || atomic) {
          hit = outcome.hit_bytes + bytes - valid_bytes;
          miss = outcome.miss_bytes;
        }
        if (atomic) {
          outcome.written_back_bytes +=
              config_.cache->access(access.tensor, address.slab, address.row + first_row, part_rows, true).written_back_bytes;
        }
        if (outcome.written_back_bytes > 0) {
          memory_.write_back(static_cast<double>(now), static_cast<double>(outcome.written_back_bytes) * config_.hbm_write_cost);
          result_.hbm_bytes += static_cast<double>(outcome.written_back_bytes);
          result_.hbm_written_bytes += static_cast<double>(outcome.written_back_bytes);
        }
      } else if (!transfer.is_store) {
        miss_carry_ += (1 - config_.hit_fraction) * static_cast<double>(valid_bytes);
        if (miss_carry_ >= static_cast<double>(valid_bytes) * 0.5) {
          miss = valid_bytes;
          hit = bytes - valid_bytes;
          miss_carry_ -= static_cast<double>(valid_bytes);
        }
      }
    }
    result_.l2_bytes += static_cast<double>(bytes);
    result_.hbm_bytes += static_cast<double>(miss);
    if (!transfer.is_store) {
      result_.loaded_bytes += static_cast<double>(bytes);
      result_.hit_bytes += static_cast<double>(hit);
    }
    if (transfer.is_store) ++cta.stores_in_flight;
    if (tally_ && !transfer.is_store) tally_->loads(cta.sm, 1);
    if (miss > 0) transfer.latency += plan_.hbm_latency;
    if (atomic) hit += bytes;  // L2 reads and writes: as long as moving the bytes twice
    transfer.parts = (miss > 0) + (hit > 0);
    if (transfer.parts == 0) {
      push(now + transfer.latency, Event::Kind::arrive, static_cast<std::int32_t>(id), 0);
    } else {
      const bool multicast = step.sharers > 1 && step.arrives;
      if (miss > 0) memory_.submit(static_cast<double>(now), cta.sm, miss, true, id, multicast);
      if (hit > 0) memory_.submit(static_cast<double>(now), cta.sm, hit, false, id, multicast);
    }
    ++agent.op;
    add_busy(step, agent);
    std::int64_t release = now;
    if (step.async && step.issue_ticks > 0) {
      SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
      sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
      release = std::max(sm.issue_free, now + step.issue_ticks);
      if (trace_) trace_->hold(Unit::issue, slot, index, now, sm.issue_free - step.group_issue_ticks, sm.issue_free);
    }
    if (trace_) {
      trace_->pending(id, slot, index, step, step.async ? release : Recorder::kWhenComplete);
      trace_->submit(id, transfer.is_store, hit, miss, now);
      trace_->rates(static_cast<double>(now), memory_.use());
    }
    if (!step.async) {
      block(slot, index, &step, Wait::copy, now);
      return false;
    }
    if (step.issue_ticks == 0) return true;
    return go_on_at(slot, index, &step, now, release, Wait::pipe);
  }

  std::int64_t new_transfer(std::int32_t slot, std::int32_t index, const PlannedStep& step, AgentState& agent) {
    std::int64_t id = static_cast<std::int64_t>(transfers_.size());
    if (free_transfers_.empty()) {
      transfers_.emplace_back();
    } else {
      id = free_transfers_.back();
      free_transfers_.pop_back();
    }
    TransferState& transfer = transfers_[static_cast<std::size_t>(id)];
    transfer.cta = slot;
    transfer.agent = index;
    transfer.step = &step;
    transfer.bytes = 0;
    transfer.is_store = false;
    transfer.blocks_agent = false;
    transfer.phases.clear();
    for (ir::TokenId token : step.op->completes) transfer.phases.push_back(take_phase(agent, token));
    return id;
  }

  void finish_transfer() {
    double end = 0;
    if (tally_) close_books(memory_.next_sm(), static_cast<std::int64_t>(std::floor(memory_.next_end())));
    const std::int64_t id = memory_.pop(end);
    TransferState& transfer = transfers_[static_cast<std::size_t>(id)];
    if (trace_) {
      trace_->served(id, end);
      trace_->rates(end, memory_.use());
    }
    if (--transfer.parts > 0) return;
    push(static_cast<std::int64_t>(std::ceil(end)) + transfer.latency, Event::Kind::arrive, static_cast<std::int32_t>(id), 0);
  }

  void arrive(std::int32_t id, std::int64_t now) {
    TransferState& transfer = transfers_[static_cast<std::size_t>(id)];  // nothing below starts another
    CtaState& cta = ctas_[static_cast<std::size_t>(transfer.cta)];
    AgentState& agent = cta.agents[static_cast<std::size_t>(transfer.agent)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    if (transfer.step->smem_ticks_per_byte > 0 && transfer.bytes > 0) {
      const auto service = static_cast<std::int64_t>(std::ceil(static_cast<double>(transfer.bytes) * transfer.step->smem_ticks_per_byte));
      transfer.bytes = 0;  // come back when the write into SMEM has ended
      const std::int64_t written = sm.copy_into_smem(now, service);
      if (trace_) trace_->hold_transfer(Unit::smem_copies, id, now, written - service, written);
      push(written, Event::Kind::arrive, id, 0);
      return;
    }
    free_transfers_.push_back(id);
    if (tally_ && transfer.step->kind == StepKind::load) tally_->loads(cta.sm, -1);
    if (trace_) trace_->arrive(id, now);
    for (std::size_t i = 0; i < transfer.phases.size(); ++i)
      signal(transfer.cta, transfer.step->op->completes[i], transfer.phases[i], agent, now);
    if (transfer.is_store) {
      --cta.stores_in_flight;
      end_ = std::max(end_, now);
      retire_if_done(transfer.cta, now);
    }
    if (transfer.blocks_agent) push(now, Event::Kind::wake, transfer.cta, transfer.agent);
  }

  void finish_agent(std::int32_t slot, AgentState& agent, std::int64_t now) {
    agent.done = true;
    CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
    --cta.running_agents;
    retire_if_done(slot, now);
  }

  // --- bookkeeping ---
  [[nodiscard]] double spread() const {
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

  // Every agent that leaves an item counts; the last one ends it.
  void end_item(std::int64_t position, std::int64_t now) {
    auto& left = agents_through_[static_cast<std::size_t>(position)];
    if (++left == static_cast<int>(plan_.agents.size())) config_.checkpoints->push_back({now, result_.wait_cycles});
  }

  void add_busy(const PlannedStep& step, const AgentState& agent) {
    if (!config_.count_work) return;
    for (std::size_t p = 0; p < kPipeCount; ++p) result_.busy_cycles[p] += step.step->demand[p];
    WorkCounts& c = result_.counts;
    c.tensor_flops += step.step->tensor_flops;
    if (step.kind == StepKind::mma) {
      const double useful = step.step->tensor_flops * valid_row_fraction(step, kernel_.program, *agent.item.tile);
      c.useful_tensor_flops += useful;
      c.narrow_tensor_flops += useful * (1 - step.step->operand_bits / 16.0);
    }
    c.exp_count += step.step->exp_count;
    c.fp32_ops += step.step->fp32_ops;
    c.alu_ops += step.step->alu_ops;
    c.sfu_ops += step.step->sfu_ops;
    c.warp_instructions += step.step->warp_instructions;
    c.smem_bytes += step.step->smem_bytes;
  }

  // The holds of a synchronous group beside its own unit.
  void hold_shared(std::int32_t slot, std::int32_t index, const PlannedStep& step, const SmState& sm, std::int64_t now) {
    trace_->hold(Unit::issue, slot, index, now, sm.issue_free - step.group_issue_ticks, sm.issue_free);
    if (step.group_smem_ticks > 0) trace_->hold(Unit::smem, slot, index, now, sm.smem_free - step.group_smem_ticks, sm.smem_free);
  }

  void check_finished() const {
    std::string stuck;
    for (const CtaState& cta : ctas_) {
      if (!cta.active) continue;
      for (std::size_t a = 0; a < cta.agents.size(); ++a) {
        const AgentState& agent = cta.agents[a];
        if (agent.done) continue;
        const auto& steps = plan_.agents[a].sections[agent.section];
        stuck += "\n  CTA " + std::to_string(cta.id) + " agent " + kernel_.program.agents[a].name + " item " +
                 std::to_string(agent.position) + " section " + kernel_.program.sections[agent.section].name + " step " +
                 std::to_string(agent.step) + " waits";
        if (agent.op < steps.size() && steps[agent.op].kind == StepKind::await) {
          stuck += " for token " + kernel_.program.tokens[static_cast<std::size_t>(steps[agent.op].token)].name;
        }
        if (stuck.size() > 2000) break;
      }
    }
    if (!stuck.empty()) throw SimError("deadlock in kernel " + kernel_.name + ":" + stuck);
  }

  const ir::Kernel& kernel_;
  const KernelPlan& plan_;
  const std::vector<ir::Tensor>& tensors_;
  const MachineConfig& config_;
  ir::ItemSequence sequence_;
  MemorySystem memory_;
  std::vector<SmState> sms_;
  int cluster_ = 1;
  std::vector<SmGroup> groups_;
  std::vector<int> group_of_sm_;
  std::vector<CtaState> ctas_;
  std::vector<std::int32_t> free_slots_;
  std::vector<int> agents_through_;  // by item, beside checkpoints only
  std::vector<TransferState> transfers_;
  std::vector<std::int64_t> free_transfers_;
  EventQueue events_;
  std::map<std::pair<ir::TokenId, ItemGroup>, std::int64_t> kernel_tokens_;
  std::map<std::tuple<std::int64_t, std::int32_t, ir::TokenId, ItemGroup>, std::int64_t> kernel_awaited_;
  std::vector<std::pair<std::int32_t, Waiter>> kernel_waiters_;
  std::unique_ptr<Recorder> trace_;  // beside a listener only
  MachineResult result_;
  std::array<double, kStartOffsets> offset_cycles_{};  // resident SM cycles and trips by start offset
  std::array<double, kStartOffsets> offset_trips_{};
  std::int64_t lists_ = 0;
  std::int64_t next_list_ = 0;
  std::int64_t next_item_ = 0;
  std::int64_t next_launch_ = 0;
  std::uint64_t event_age_ = 0;
  std::int64_t end_ = 0;
  double miss_carry_ = 0;
  std::optional<Tally> tally_;  // where attribution is asked for
};

}  // namespace

MachineResult play(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& config) {
  return play(selected, plan_kernel(selected, chip, config), tensors, config);
}

MachineResult play(const SelectedKernel& selected, const KernelPlan& plan, const std::vector<ir::Tensor>& tensors,
                   const MachineConfig& config) {
  return Machine(selected, plan, tensors, config).run();
}

}  // namespace attnsim
