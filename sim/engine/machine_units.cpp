// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/engine/machine_core.h"

namespace attnsim::machine {

namespace {

// What a group takes of the units; its end.
std::int64_t chain_group(SmState& sm, const PlannedStep& step, std::int64_t now) {
  const std::int64_t start = std::max(now, sm.vector_free);
  sm.vector_free = start + step.group_ticks;
  sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
  std::int64_t end = std::max(start + step.group_own_ticks, sm.issue_free);
  if (step.group_sync_ticks > 0) {
    sm.sync_free = std::max(now, sm.sync_free) + step.group_sync_ticks;
    end = std::max(end, sm.sync_free);
  }
  if (step.group_smem_ticks > 0) {
    end = std::max(end, step.interleaved ? sm.use_smem_between(now, step.group_smem_ticks) : sm.use_smem(now, step.group_smem_ticks));
  }
  if (step.group_tmem_ticks > 0) {
    sm.tmem_free = std::max(now, sm.tmem_free) + step.group_tmem_ticks;
    end = std::max(end, sm.tmem_free);
  }
  return end;
}

std::int64_t mma_group(SmState& sm, const PlannedStep& step, std::int64_t now) {
  sm.tensor_free = std::max(now, sm.tensor_free) + step.group_ticks;
  (void)sm.use_smem(now, step.group_smem_ticks);
  sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
  sm.sync_free = std::max(now, sm.sync_free) + step.group_sync_ticks;
  return std::max({sm.tensor_free, sm.sync_free, sm.smem_free, sm.issue_free, now + step.group_own_ticks});
}

}  // namespace

void Machine::run_alone(AgentState& agent, const PlannedStep& step, std::int64_t& now) {
  SmState& sm = *sm_;
  const bool chain = step.kind == StepKind::chain;
  std::int64_t& unit = chain ? sm.vector_free : sm.tensor_free;
  const bool all_free = unit <= now && sm.issue_free <= now && sm.sync_free <= now && sm.smem_free <= now && sm.tmem_free <= now;
  if (!all_free) return;
  const std::int64_t each = step.group_alone_ticks;
  const std::int64_t ticks = alone_until() - 1 - now;
  if (each <= 0 || ticks < 2 * each) return;
  const std::int64_t times = std::min<std::int64_t>(step.groups - agent.group - 1, ticks / each);
  const std::int64_t last = now + (times - 1) * each;
  unit = last + step.group_ticks;
  sm.issue_free = last + step.group_issue_ticks;
  if (step.group_sync_ticks > 0) sm.sync_free = last + step.group_sync_ticks;
  if (step.group_smem_ticks > 0) {
    sm.smem_free = last + step.group_smem_ticks;
    sm.smem_all_free = std::max(sm.smem_all_free + times * step.group_smem_ticks, last + step.group_smem_ticks);
  }
  if (chain && step.group_tmem_ticks > 0) sm.tmem_free = last + step.group_tmem_ticks;
  agent.group += static_cast<int>(times);
  now = last + each;
  add_wait(Wait::pipe, times * each);
  end_ = std::max(end_, now);
}

void Machine::resume_groups(AgentState& agent, std::int64_t now) {
  const PlannedStep& step = *agent.op;
  SmState& sm = *sm_;
  const bool chain = step.kind == StepKind::chain;
  add_wait(agent.reason, now - agent.blocked_since);
  while (agent.group + 1 < step.groups) {
    run_undisturbed(agent, step, now);
    if (agent.group + 1 == step.groups) break;
    const std::int64_t end = chain ? chain_group(sm, step, now) : mma_group(sm, step, now);
    ++agent.group;
    if (!comes_next(end)) {
      agent.reason = Wait::pipe;
      agent.blocked_since = now;
      return push(end, Event::Kind::wake, agent.slot, agent.index);
    }
    add_wait(Wait::pipe, end - now);
    end_ = std::max(end_, end);
    now = end;
  }
  agent.blocked = false;
  advance(agent, now);
}

bool Machine::run_chain(AgentState& agent, const PlannedStep& step, std::int64_t& now) {
  SmState& sm = *sm_;
  run_undisturbed(agent, step, now);
  const std::int64_t end = chain_group(sm, step, now);
  const std::int64_t start = sm.vector_free - step.group_ticks;
  if (trace_) {
    trace_->hold(Unit::vector, agent.slot, agent.index, now, start, sm.vector_free);
    hold_shared(agent, step, sm, now);
  }
  if (++agent.group < step.groups) {
    return go_on_at(agent, &step, now, end, Wait::pipe);
  }
  agent.group = 0;
  ++agent.op;
  const std::int64_t complete = end + step.latency;
  count_step(step, agent);
  if (trace_) trace_->end(agent.slot, agent.index, complete, complete);
  return go_on_at(agent, &step, now, complete, start > now ? Wait::pipe : Wait::dependency);
}

bool Machine::run_mma(AgentState& agent, const PlannedStep& step, std::int64_t& now) {
  SmState& sm = *sm_;
  run_undisturbed(agent, step, now);
  const std::int64_t end = mma_group(sm, step, now);
  if (trace_) {
    trace_->hold(Unit::tensor, agent.slot, agent.index, now, sm.tensor_free - step.group_ticks, sm.tensor_free);
    hold_shared(agent, step, sm, now);
  }
  if (++agent.group < step.groups) {
    return go_on_at(agent, &step, now, end, Wait::pipe);
  }
  agent.group = 0;
  ++agent.op;
  const std::int64_t complete = end + step.latency;
  count_step(step, agent);
  if (trace_) trace_->end(agent.slot, agent.index, complete, complete);
  return go_on_at(agent, &step, now, complete, Wait::pipe);
}

bool Machine::issue_mma(AgentState& agent, const PlannedStep& step, std::int64_t& now) {
  SmState& sm = *sm_;
  if (step.by_steps) return issue_shared_mma(agent, step, now);
  const std::int64_t start = std::max(now, sm.tensor_free);
  sm.tensor_free = start + step.group_ticks * step.groups;
  const std::int64_t end = sm.tensor_free + step.latency;
  for (ir::TileId t : step.busy_tiles) agent.tile_ready[static_cast<std::size_t>(t)] = end;
  ++agent.op;
  count_step(step, agent);
  end_ = std::max(end_, end);
  const std::int64_t id = new_transfer(agent, step);
  TransferState& product = transfers_[static_cast<std::size_t>(id)];
  product.bytes = sm.tensor_free;
  return go_on_from_mma(agent, step, id, start, now);
}

// Later products may put off the end of earlier ones: `arrive` looks again.
bool Machine::issue_shared_mma(AgentState& agent, const PlannedStep& step, std::int64_t& now) {
  SmState& sm = *sm_;
  const std::int64_t work = step.group_ticks * step.groups;
  sm.tensor_free = std::max(now, sm.tensor_free) + work;
  ++agent.op;
  count_step(step, agent);
  const std::int64_t id = new_transfer(agent, step);
  const std::int64_t owner = static_cast<std::int64_t>(agent.slot) * static_cast<std::int64_t>(plan_.agents.size()) + agent.index;
  sm.products.advance(now);
  sm.products.add({id, owner, work});
  std::int64_t start = now;
  sm.products.project([&](std::int64_t product, std::int64_t tick) {
    TransferState& t = transfers_[static_cast<std::size_t>(product)];
    if (product != id && t.agent == &agent) start = std::max(start, tick);
    t.bytes = tick;
    for (ir::TileId tile : t.step->busy_tiles) {
      std::int64_t& ready = t.agent->tile_ready[static_cast<std::size_t>(tile)];
      ready = std::max(ready, tick + t.step->latency);
    }
    end_ = std::max(end_, tick + t.step->latency);
  });
  return go_on_from_mma(agent, step, id, start, now);
}

bool Machine::go_on_from_mma(AgentState& agent, const PlannedStep& step, std::int64_t id, std::int64_t start, std::int64_t& now) {
  SmState& sm = *sm_;
  push(start, Event::Kind::mma_start, static_cast<std::int32_t>(id), 0);
  sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks * step.groups;
  if (trace_) {
    trace_->hold(Unit::tensor, agent.slot, agent.index, now, sm.tensor_free - step.group_ticks * step.groups, sm.tensor_free);
    trace_->hold(Unit::issue, agent.slot, agent.index, now, sm.issue_free - step.group_issue_ticks * step.groups, sm.issue_free);
    trace_->pending(id, agent.slot, agent.index, step, now + step.issue_ticks);
  }
  if (step.issue_ticks == 0) return true;
  return go_on_at(agent, &step, now, now + step.issue_ticks, Wait::pipe);
}

void Machine::start_mma(std::int32_t id, std::int64_t now) {
  const TransferState& product = transfers_[static_cast<std::size_t>(id)];
  const PlannedStep& step = *product.step;
  AgentState& agent = *product.agent;
  SmState& sm = *sm_;
  const std::int64_t smem_end = sm.use_smem(now, step.group_smem_ticks * step.groups);
  if (trace_) trace_->hold_transfer(Unit::smem, id, now, smem_end - step.group_smem_ticks * step.groups, smem_end);
  const std::int64_t end = std::max(product.bytes, smem_end) + step.latency;
  if (smem_end > product.bytes) {
    for (ir::TileId t : step.busy_tiles) {
      std::int64_t& ready = agent.tile_ready[static_cast<std::size_t>(t)];
      ready = std::max(ready, end);
    }
  }
  push(end, Event::Kind::arrive, id, 0);
}

void Machine::add_counts() {
  for (const PlannedAgent& agent : plan_.agents) {
    for (const auto& section : agent.sections) {
      for (const PlannedStep& step : section) {
        const StepCount& count = step_counts_[step.id];
        if (count.times == 0) continue;
        const double rows = step.kind == StepKind::mma ? static_cast<double>(padded_rows(step, kernel_.program)) : 1;
        add_work(result_, *step.step, static_cast<double>(count.times), static_cast<double>(count.valid_rows) / rows);
      }
    }
  }
}

void Machine::hold_shared(const AgentState& agent, const PlannedStep& step, const SmState& sm, std::int64_t now) {
  trace_->hold(Unit::issue, agent.slot, agent.index, now, sm.issue_free - step.group_issue_ticks, sm.issue_free);
  if (step.group_smem_ticks > 0) trace_->hold(Unit::smem, agent.slot, agent.index, now, sm.smem_free - step.group_smem_ticks, sm.smem_free);
}

}  // namespace attnsim::machine
