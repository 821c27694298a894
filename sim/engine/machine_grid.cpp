// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "sim/core/error.h"
#include "sim/engine/machine_core.h"

namespace attnsim::machine {

void Machine::setup_grid() {
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
      push_outside(groups_[group].first_sm, launch_slot(0), Event::Kind::launch, static_cast<std::int32_t>(group), 0);
    }
  }
}

void Machine::group_sms() {
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

void Machine::add_group(int sm) {
  for (int i = 0; i < cluster_; ++i) group_of_sm_[static_cast<std::size_t>(sm + i)] = static_cast<int>(groups_.size());
  groups_.push_back({sm, {}});
  for (int i = 0; i < cluster_; ++i) groups_.back().free.push_back(0);
}

std::int64_t Machine::launch_slot(std::int64_t now) {
  next_launch_ = std::max(next_launch_ + plan_.launch_interval, now);
  return next_launch_;
}

void Machine::launch_cluster(int group, std::int64_t now) {
  for (int i = 0; i < cluster_; ++i) {
    const int sm = groups_[static_cast<std::size_t>(group)].first_sm + i;
    if (tally_ && i > 0) close_books(sm, now);
    launch(sm, now);
  }
}

void Machine::free_place(int sm, std::int64_t now) {
  const int index = group_of_sm_[static_cast<std::size_t>(sm)];
  SmGroup& group = groups_[static_cast<std::size_t>(index)];
  ++group.free[static_cast<std::size_t>(sm - group.first_sm)];
  if (std::find(group.free.begin(), group.free.end(), 0) != group.free.end()) return;
  for (int& places : group.free) --places;
  if (next_list_ < lists_) push_outside(group.first_sm, launch_slot(now), Event::Kind::launch, index, 0);
}

void Machine::launch(int sm, std::int64_t now) {
  if (next_list_ >= lists_) return;
  if (plan_.policy == ir::GridPolicy::one_item_per_cta) hand_out(now);
  std::int32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::int32_t>(cta_count_++);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  CtaState& cta = ctas_[static_cast<std::size_t>(slot)];
  cta.id = next_list_;
  cta.list = next_list_++;
  cta.slot = slot;
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
    agent.cta = &cta;
    agent.slot = slot;
    agent.index = static_cast<std::int16_t>(a);
    agent.start(cta.tokens.size(), kernel_.program.tiles.size(), now);
    if (tally_) tally_->block(sm, slot, agent.index, agent, nullptr, Wait::start);
    const int offset = !config_.start_offsets ? 0 : config_.sms > 1 ? sm % kStartOffsets : config_.start_offset;
    const std::int64_t stagger =
        ticks_ceil(kStartOffsetCycles * offset * static_cast<double>(a + sms_[static_cast<std::size_t>(sm)].resident)).count();
    push_outside(sm, now + plan_.start_latency + stagger, Event::Kind::wake, slot, agent.index);
  }
  if (trace_) trace_->launch(slot, cta.id, sm, now);
  SmState& state = sms_[static_cast<std::size_t>(sm)];
  if (state.resident++ == 0) state.resident_since = now;
}

void Machine::hand_out(std::int64_t now) {
  if (steady_) {
    if (steady_->is_mark(handed_out_)) leave_out_items();
    steady_->hand_out(now);
  }
  ++handed_out_;
}

std::int64_t Machine::item_of(CtaState& cta, std::int64_t k, std::int64_t now) {
  while (static_cast<std::int64_t>(cta.items.size()) <= k && !cta.exhausted) {
    const auto taken = static_cast<std::int64_t>(cta.items.size());
    std::int64_t position = -1;
    switch (plan_.policy) {
      case ir::GridPolicy::one_item_per_cta: position = taken == 0 ? cta.list : -1; break;
      case ir::GridPolicy::persistent_static:
        hand_out(now);
        position = cta.list + taken * lists_ + left_out_items_;
        break;
      case ir::GridPolicy::persistent_dynamic:
        hand_out(now);
        position = next_item_ < sequence_.size() ? next_item_++ : -1;
        break;
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

void Machine::retire_if_done(std::int32_t slot, std::int64_t now) {
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

void Machine::finish_agent(AgentState& agent, std::int64_t now) {
  agent.done = true;
  --agent.cta->running_agents;
  retire_if_done(agent.slot, now);
}

}  // namespace attnsim::machine
