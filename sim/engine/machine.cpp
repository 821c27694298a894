// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/machine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>
#include <tuple>

#include "sim/core/error.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/machine_state.h"

namespace attnsim {

namespace {

using ir::When;
using namespace machine;

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

class Machine {
 public:
  Machine(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& config)
      : kernel_(*selected.kernel),
        plan_(plan_kernel(selected, chip, config)),
        tensors_(tensors),
        config_(config),
        sequence_(kernel_),
        memory_(config.sms, config.rates),
        sms_(static_cast<std::size_t>(config.sms)) {}

  MachineResult run() {
    setup_grid();
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
    result_.spread = spread();
    deliver_events();
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
    for (int i = 0; i < cluster_; ++i) launch(groups_[static_cast<std::size_t>(group)].first_sm + i, now);
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
    cta.exhausted = false;
    cta.items.clear();
    cta.waiters.clear();
    cta.stores_in_flight = 0;
    cta.running_agents = static_cast<int>(plan_.agents.size());
    cta.tokens.assign(kernel_.program.tokens.size(), TokenState{});
    for (std::size_t t = 0; t < cta.tokens.size(); ++t) {
      cta.tokens[t].initial = kernel_.program.tokens[t].initial_count / kernel_.program.tokens[t].arrivals;
      cta.tokens[t].complete = cta.tokens[t].initial;
    }
    cta.agents.resize(plan_.agents.size());
    for (std::size_t a = 0; a < cta.agents.size(); ++a) {
      AgentState& agent = cta.agents[a];
      agent = AgentState{};
      agent.awaited.assign(cta.tokens.size(), 0);
      agent.signalled.assign(cta.tokens.size(), 0);
      agent.tile_ready.assign(kernel_.program.tiles.size(), 0);
      agent.loop_trips.assign(kernel_.program.sections.size(), 0);
      agent.blocked = true;
      agent.blocked_since = now;
      const int offset = config_.sms > 1 ? sm % kStartOffsets : config_.start_offset;
      const std::int64_t stagger =
          ticks_ceil(kStartOffsetCycles * offset * static_cast<double>(a + sms_[static_cast<std::size_t>(sm)].resident)).count();
      push(now + plan_.start_latency + stagger, Event::Kind::wake, slot, static_cast<std::int32_t>(a));
    }
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
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    if (--sm.resident == 0) {
      const double cycles = to_cycles(Ticks(now - sm.resident_since)).count();
      result_.resident_cycles += cycles;
      offset_cycles_[static_cast<std::size_t>(cta.sm % kStartOffsets)] += cycles;
    }
    free_slots_.push_back(slot);
    free_place(cta.sm, now);
  }

  // --- agents ---
  void push(std::int64_t time, Event::Kind kind, std::int32_t a, std::int32_t b) {
    events_.push(Event{time, event_sequence_++, kind, a, b});
  }

  void block(AgentState& agent, Wait reason, std::int64_t now) {
    agent.blocked = true;
    agent.reason = reason;
    agent.blocked_since = now;
  }

  void wake_at(std::int32_t slot, std::int32_t index, std::int64_t now, std::int64_t time, Wait reason) {
    block(ctas_[static_cast<std::size_t>(slot)].agents[static_cast<std::size_t>(index)], reason, now);
    push(time, Event::Kind::wake, slot, index);
  }

  void advance(std::int32_t slot, std::int32_t index, std::int64_t now) {
    CtaState* cta = &ctas_[static_cast<std::size_t>(slot)];
    AgentState* agent = &cta->agents[static_cast<std::size_t>(index)];
    if (agent->blocked) {
      result_.wait_cycles[static_cast<std::size_t>(agent->reason)] += to_cycles(Ticks(now - agent->blocked_since)).count();
      agent->blocked = false;
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
        enter_section(*agent, 0);
      }
      const auto& steps = plan_.agents[static_cast<std::size_t>(index)].sections[agent->section];
      if (agent->op >= steps.size() || agent->step >= agent->trips + plan_.max_skew(static_cast<std::size_t>(index), agent->section)) {
        next_step(*agent, static_cast<std::size_t>(index));
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

  void enter_section(AgentState& agent, std::size_t section) {
    agent.section = section;
    agent.step = 0;
    agent.op = 0;
    agent.group = 0;
    agent.trips = plan_.trips(section, *agent.item.tile);
  }

  void next_step(AgentState& agent, std::size_t index) {
    agent.op = 0;
    const std::int64_t steps = agent.trips > 0 ? agent.trips + plan_.max_skew(index, agent.section) : 0;
    if (++agent.step < steps) return;
    agent.loop_trips[agent.section] += plan_.is_loop[agent.section] ? agent.trips : 0;
    if (agent.section + 1 < plan_.is_loop.size()) {
      enter_section(agent, agent.section + 1);
    } else {
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
  bool execute(std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t trip, std::int64_t now) {
    CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    if (step.kind == StepKind::await) return await(cta, slot, index, step, now);
    if (agent.group == 0) {
      std::int64_t ready = now;
      for (ir::TileId t : step.waits) ready = std::max(ready, agent.tile_ready[static_cast<std::size_t>(t)]);
      if (ready > now) {
        wake_at(slot, index, now, ready, Wait::dependency);
        return false;
      }
    }
    switch (step.kind) {
      case StepKind::signal:
        note(cta, agent, index, step, trip, now, now);
        ++agent.op;
        signal(slot, step.token, take_phase(agent, step.token), agent, now);
        return true;
      case StepKind::chain: return run_chain(cta, slot, index, step, trip, now);
      case StepKind::mma: return step.async ? issue_mma(cta, slot, index, step, trip, now) : run_mma(cta, slot, index, step, trip, now);
      case StepKind::load:
      case StepKind::store: return issue_copy(cta, slot, index, step, trip, now);
      case StepKind::await: break;
    }
    throw Invariant("unknown step");
  }

  bool await(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t now) {
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    const ItemGroup group = step.kernel_scope ? group_of(agent.item) : ItemGroup{};
    std::int64_t& awaited =
        step.kernel_scope ? kernel_awaited_[{cta.id, index, step.token, group}] : agent.awaited[static_cast<std::size_t>(step.token)];
    const std::int64_t phases = awaited + 1 - step.distance;
    const std::int64_t needed = step.kernel_scope ? phases * step.arrivals : phases;
    const std::int64_t reached =
        step.kernel_scope ? kernel_tokens_[{step.token, group}] : cta.tokens[static_cast<std::size_t>(step.token)].complete;
    if (reached >= needed) {
      note(cta, agent, index, step, 0, now, now);
      ++awaited;
      ++agent.op;
      return true;
    }
    block(agent, step.awaits_copy ? Wait::copy : Wait::token, now);
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
      if (count == info.arrivals) {
        for (AgentState& a : cta.agents) a.last_arriver = a.last_arriver || a.position == agent.position;
      }
      for (std::size_t i = 0; i < kernel_waiters_.size();) {
        const auto [waiting, w] = kernel_waiters_[i];
        if (w.token == token && w.group == group && count >= w.needed) {
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
    for (std::size_t i = 0; i < cta.waiters.size();) {
      const Waiter w = cta.waiters[i];
      if (w.token == token && state.complete >= w.needed) {
        push(now + plan_.barrier_latency, Event::Kind::wake, slot, w.agent);
        cta.waiters.erase(cta.waiters.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }

  bool run_chain(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t trip, std::int64_t now) {
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    const std::int64_t start = std::max(now, sm.vector_free);
    sm.vector_free = start + step.group_ticks;
    sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
    std::int64_t end = std::max(start + step.group_own_ticks, sm.issue_free);
    if (step.group_smem_ticks > 0) {
      end = std::max(end, sm.use_smem(now, step.group_smem_ticks));
    }
    if (++agent.group < step.groups) {
      wake_at(slot, index, now, end, Wait::pipe);
      return false;
    }
    agent.group = 0;
    ++agent.op;
    end += step.latency;
    add_busy(step, agent);
    note(cta, agent, index, step, trip, now, end);
    wake_at(slot, index, now, end, start > now ? Wait::pipe : Wait::dependency);
    return false;
  }

  bool run_mma(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t trip, std::int64_t now) {
    AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    sm.tensor_free = std::max(now, sm.tensor_free) + step.group_ticks;
    (void)sm.use_smem(now, step.group_smem_ticks);
    sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
    std::int64_t end = std::max({sm.tensor_free, sm.smem_free, sm.issue_free, now + step.group_own_ticks});
    if (++agent.group < step.groups) {
      wake_at(slot, index, now, end, Wait::pipe);
      return false;
    }
    agent.group = 0;
    ++agent.op;
    end += step.latency;
    add_busy(step, agent);
    note(cta, agent, index, step, trip, now, end);
    wake_at(slot, index, now, end, Wait::pipe);
    return false;
  }

  bool issue_mma(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t trip, std::int64_t now) {
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
    fill(product.event, cta, agent, index, step, trip, now);
    push(start, Event::Kind::mma_start, static_cast<std::int32_t>(id), 0);
    sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks * step.groups;
    if (step.issue_ticks == 0) return true;
    wake_at(slot, index, now, now + step.issue_ticks, Wait::pipe);
    return false;
  }

  // An asynchronous MMA takes its operands from SMEM while it runs, not while it queues. When SMEM is late, so is the product.
  void start_mma(std::int32_t id, std::int64_t now) {
    const TransferState& product = transfers_[static_cast<std::size_t>(id)];
    const PlannedStep& step = *product.step;
    CtaState& cta = ctas_[static_cast<std::size_t>(product.cta)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    const std::int64_t smem_end = sm.use_smem(now, step.group_smem_ticks * step.groups);
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

  bool issue_copy(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t trip, std::int64_t now) {
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
    const std::int64_t bytes = part_rows * row_bytes;
    const std::int64_t id = new_transfer(slot, index, step, agent);
    TransferState& transfer = transfers_[static_cast<std::size_t>(id)];
    transfer.bytes = step.arrives ? address.rows * row_bytes : bytes;
    transfer.is_store = step.kind == StepKind::store;
    transfer.blocks_agent = !step.async;
    transfer.latency = transfer.is_store ? plan_.store_latency : plan_.l2_latency + step.latency;
    // A store reads registers when it issues, SMEM until it completes.
    transfer.noted = transfer.is_store && step.from_registers;
    if (transfer.noted) {
      note(cta, agent, index, step, trip, now, now);
    } else {
      fill(transfer.event, cta, agent, index, step, trip, now);
    }
    std::int64_t hit = bytes;
    std::int64_t miss = 0;
    if (bytes > 0) {
      if (config_.cache != nullptr) {
        const L2Outcome outcome = config_.cache->access(access.tensor, address.slab, address.row + first_row, part_rows, transfer.is_store);
        if (!transfer.is_store) {
          hit = outcome.hit_bytes;
          miss = outcome.miss_bytes;
        }
        if (outcome.written_back_bytes > 0) {
          memory_.write_back(static_cast<double>(now), static_cast<double>(outcome.written_back_bytes) * config_.hbm_write_cost);
          result_.hbm_bytes += static_cast<double>(outcome.written_back_bytes);
        }
      } else if (!transfer.is_store) {
        miss_carry_ += (1 - config_.hit_fraction) * static_cast<double>(bytes);
        if (miss_carry_ >= static_cast<double>(bytes) * 0.5) {
          miss = bytes;
          hit = 0;
          miss_carry_ -= static_cast<double>(bytes);
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
    if (miss > 0) transfer.latency += plan_.hbm_latency;
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
    if (!step.async) {
      block(agent, Wait::copy, now);
      return false;
    }
    if (step.issue_ticks == 0) return true;
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
    wake_at(slot, index, now, std::max(sm.issue_free, now + step.issue_ticks), Wait::pipe);
    return false;
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
    transfer.noted = false;
    transfer.phases.clear();
    for (ir::TokenId token : step.op->completes) transfer.phases.push_back(take_phase(agent, token));
    return id;
  }

  void finish_transfer() {
    double end = 0;
    const std::int64_t id = memory_.pop(end);
    TransferState& transfer = transfers_[static_cast<std::size_t>(id)];
    if (--transfer.parts > 0) return;
    push(static_cast<std::int64_t>(std::ceil(end)) + transfer.latency, Event::Kind::arrive, static_cast<std::int32_t>(id), 0);
  }

  void arrive(std::int32_t id, std::int64_t now) {
    TransferState transfer = transfers_[static_cast<std::size_t>(id)];
    CtaState& cta = ctas_[static_cast<std::size_t>(transfer.cta)];
    AgentState& agent = cta.agents[static_cast<std::size_t>(transfer.agent)];
    SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
    if (transfer.step->smem_ticks_per_byte > 0 && transfer.bytes > 0) {
      const auto service = static_cast<std::int64_t>(std::ceil(static_cast<double>(transfer.bytes) * transfer.step->smem_ticks_per_byte));
      transfers_[static_cast<std::size_t>(id)].bytes = 0;  // come back when the write into SMEM has ended
      push(sm.copy_into_smem(now, service), Event::Kind::arrive, id, 0);
      return;
    }
    free_transfers_.push_back(id);
    if (config_.listener != nullptr && !transfer.noted) {
      transfer.event.complete_cycle = to_cycles(Ticks(now)).count();
      recorded_.push_back(transfer.event);
    }
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

  void add_busy(const PlannedStep& step, const AgentState& agent) {
    for (std::size_t p = 0; p < kPipeCount; ++p) result_.busy_cycles[p] += step.step->demand[p];
    WorkCounts& c = result_.counts;
    c.tensor_flops += step.step->tensor_flops;
    if (step.kind == StepKind::mma) {
      c.useful_tensor_flops += step.step->tensor_flops * valid_row_fraction(step, kernel_.program, *agent.item.tile);
    }
    c.exp_count += step.step->exp_count;
    c.fp32_ops += step.step->fp32_ops;
    c.alu_ops += step.step->alu_ops;
    c.sfu_ops += step.step->sfu_ops;
    c.warp_instructions += step.step->warp_instructions;
    c.smem_bytes += step.step->smem_bytes;
  }

  void fill(OpEvent& event, const CtaState& cta, const AgentState& agent, std::int32_t index, const PlannedStep& step, std::int64_t trip,
            std::int64_t issue) const {
    event.node = config_.node;
    event.cta = cta.id;
    event.sm = cta.sm;
    event.agent = index;
    event.section = static_cast<int>(agent.section);
    event.position = step.position;
    event.item = agent.position;
    event.trip = trip;
    event.issue_cycle = to_cycles(Ticks(issue)).count();
  }

  void note(const CtaState& cta, const AgentState& agent, std::int32_t index, const PlannedStep& step, std::int64_t trip,
            std::int64_t issue, std::int64_t complete) {
    if (config_.listener == nullptr) return;
    OpEvent event;
    fill(event, cta, agent, index, step, trip, issue);
    event.complete_cycle = to_cycles(Ticks(complete)).count();
    const ir::Op* base = kernel_.program.agents[static_cast<std::size_t>(index)].sections[agent.section].data();
    for (const ir::Op* op : step.step->ops) {
      event.position = static_cast<int>(op - base);
      recorded_.push_back(event);
    }
  }

  void deliver_events() {
    if (config_.listener == nullptr) return;
    std::stable_sort(recorded_.begin(), recorded_.end(),
                     [](const OpEvent& a, const OpEvent& b) { return a.complete_cycle < b.complete_cycle; });
    for (const OpEvent& event : recorded_) config_.listener->on_op(event);
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
  KernelPlan plan_;
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
  std::vector<TransferState> transfers_;
  std::vector<std::int64_t> free_transfers_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::map<std::pair<ir::TokenId, ItemGroup>, std::int64_t> kernel_tokens_;
  std::map<std::tuple<std::int64_t, std::int32_t, ir::TokenId, ItemGroup>, std::int64_t> kernel_awaited_;
  std::vector<std::pair<std::int32_t, Waiter>> kernel_waiters_;
  std::vector<OpEvent> recorded_;
  MachineResult result_;
  std::array<double, kStartOffsets> offset_cycles_{};  // resident SM cycles and trips by start offset
  std::array<double, kStartOffsets> offset_trips_{};
  std::int64_t lists_ = 0;
  std::int64_t next_list_ = 0;
  std::int64_t next_item_ = 0;
  std::int64_t next_launch_ = 0;
  std::int64_t event_sequence_ = 0;
  std::int64_t end_ = 0;
  double miss_carry_ = 0;
};

}  // namespace

std::string_view name_of(Wait w) {
  constexpr std::array<std::string_view, kWaitCount> kNames{"copy", "token", "pipe", "dependency", "start"};
  return kNames.at(static_cast<std::size_t>(w));
}

MachineResult play(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& config) {
  Machine machine(selected, tensors, chip, config);
  return machine.run();
}

}  // namespace attnsim
