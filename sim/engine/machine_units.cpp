// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/engine/machine_core.h"

namespace attnsim::machine {

bool Machine::run_chain(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t& now) {
  AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
  SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
  const std::int64_t start = std::max(now, sm.vector_free);
  sm.vector_free = start + step.group_ticks;
  sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
  std::int64_t end = std::max(start + step.group_own_ticks, sm.issue_free);
  if (step.group_sync_ticks > 0) {
    sm.sync_free = std::max(now, sm.sync_free) + step.group_sync_ticks;
    end = std::max(end, sm.sync_free);
  }
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
  count_step(step, agent);
  if (trace_) trace_->end(slot, index, end, end);
  return go_on_at(slot, index, &step, now, end, start > now ? Wait::pipe : Wait::dependency);
}

bool Machine::run_mma(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t& now) {
  AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
  SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
  sm.tensor_free = std::max(now, sm.tensor_free) + step.group_ticks;
  (void)sm.use_smem(now, step.group_smem_ticks);
  sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
  sm.sync_free = std::max(now, sm.sync_free) + step.group_sync_ticks;
  std::int64_t end = std::max({sm.tensor_free, sm.sync_free, sm.smem_free, sm.issue_free, now + step.group_own_ticks});
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
  count_step(step, agent);
  if (trace_) trace_->end(slot, index, end, end);
  return go_on_at(slot, index, &step, now, end, Wait::pipe);
}

bool Machine::issue_mma(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t& now) {
  AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
  SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
  if (step.by_steps) return issue_shared_mma(cta, slot, index, step, now);
  const std::int64_t start = std::max(now, sm.tensor_free);
  sm.tensor_free = start + step.group_ticks * step.groups;
  const std::int64_t end = sm.tensor_free + step.latency;
  for (ir::TileId t : step.busy_tiles) agent.tile_ready[static_cast<std::size_t>(t)] = end;
  ++agent.op;
  count_step(step, agent);
  end_ = std::max(end_, end);
  const std::int64_t id = new_transfer(slot, index, step, agent);
  TransferState& product = transfers_[static_cast<std::size_t>(id)];
  product.bytes = sm.tensor_free;
  push(cta.sm, start, Event::Kind::mma_start, static_cast<std::int32_t>(id), 0);
  sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks * step.groups;
  if (trace_) {
    trace_->hold(Unit::tensor, slot, index, now, start, sm.tensor_free);
    trace_->hold(Unit::issue, slot, index, now, sm.issue_free - step.group_issue_ticks * step.groups, sm.issue_free);
    trace_->pending(id, slot, index, step, now + step.issue_ticks);
  }
  if (step.issue_ticks == 0) return true;
  return go_on_at(slot, index, &step, now, now + step.issue_ticks, Wait::pipe);
}

// Later products may put off the end of earlier ones: `arrive` looks again.
bool Machine::issue_shared_mma(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t& now) {
  AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
  SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
  const std::int64_t work = step.group_ticks * step.groups;
  const std::int64_t queued = std::max(now, sm.tensor_free);
  sm.tensor_free = queued + work;
  ++agent.op;
  count_step(step, agent);
  const std::int64_t id = new_transfer(slot, index, step, agent);
  const std::int64_t owner = static_cast<std::int64_t>(slot) * static_cast<std::int64_t>(plan_.agents.size()) + index;
  sm.products.advance(now);
  sm.products.add({id, owner, work});
  std::int64_t start = now;
  sm.products.project([&](std::int64_t product, std::int64_t tick) {
    TransferState& t = transfers_[static_cast<std::size_t>(product)];
    if (product != id && t.cta == slot && t.agent == index) start = std::max(start, tick);
    t.bytes = tick;
    AgentState& its = ctas_[static_cast<std::size_t>(t.cta)].agents[static_cast<std::size_t>(t.agent)];
    for (ir::TileId tile : t.step->busy_tiles) {
      std::int64_t& ready = its.tile_ready[static_cast<std::size_t>(tile)];
      ready = std::max(ready, tick + t.step->latency);
    }
    end_ = std::max(end_, tick + t.step->latency);
  });
  push(cta.sm, start, Event::Kind::mma_start, static_cast<std::int32_t>(id), 0);
  sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks * step.groups;
  if (trace_) {
    trace_->hold(Unit::tensor, slot, index, now, queued, sm.tensor_free);
    trace_->hold(Unit::issue, slot, index, now, sm.issue_free - step.group_issue_ticks * step.groups, sm.issue_free);
    trace_->pending(id, slot, index, step, now + step.issue_ticks);
  }
  if (step.issue_ticks == 0) return true;
  return go_on_at(slot, index, &step, now, now + step.issue_ticks, Wait::pipe);
}

void Machine::start_mma(std::int32_t id, std::int64_t now) {
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
  push(cta.sm, end, Event::Kind::arrive, id, 0);
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

void Machine::hold_shared(std::int32_t slot, std::int32_t index, const PlannedStep& step, const SmState& sm, std::int64_t now) {
  trace_->hold(Unit::issue, slot, index, now, sm.issue_free - step.group_issue_ticks, sm.issue_free);
  if (step.group_smem_ticks > 0) trace_->hold(Unit::smem, slot, index, now, sm.smem_free - step.group_smem_ticks, sm.smem_free);
}

}  // namespace attnsim::machine
