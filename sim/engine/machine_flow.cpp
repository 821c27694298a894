// SPDX-License-Identifier: Apache-2.0
// Vector unit and tensor pipe (of synchronous products) as fluids. Where the group-wise machine serves agents in turns of one
// instruction group, all of them advance here at once: each flow gets a share of its unit by the length of its turns, none more than
// its agent can take, and where issue slots, SMEM or tensor memory are short all of their users slow down alike. Chains of one agent
// that follow one another are one flow; their latencies count as time in which the agent leaves the unit to others.
#include <algorithm>
#include <cmath>

#include "sim/engine/machine_core.h"

namespace attnsim::machine {

namespace {

constexpr double kServed = 0.01;  // ticks

}  // namespace

bool Machine::start_flow(CtaState& cta, std::int32_t slot, std::int32_t index, const PlannedStep& step, std::int64_t& now) {
  AgentState& agent = cta.agents[static_cast<std::size_t>(index)];
  const auto& steps = plan_.agents[static_cast<std::size_t>(index)].sections[agent.section];
  double pipe = 0;
  double own = 0;
  double issue = 0;
  double smem = 0;
  double tmem = 0;
  double groups = 0;
  std::int64_t latency = 0;
  const auto take = [&](const PlannedStep& s) {
    const double n = s.groups;
    pipe += static_cast<double>(s.group_ticks) * n;
    own += static_cast<double>(s.group_own_ticks) * n + static_cast<double>(latency);
    issue += static_cast<double>(s.group_issue_ticks) * n;
    smem += static_cast<double>(s.group_smem_ticks) * n;
    tmem += static_cast<double>(s.group_tmem_ticks) * n;
    groups += n;
    latency = s.latency;
    add_busy(s, agent);
  };
  take(step);
  ++agent.op;
  for (; step.kind == StepKind::chain && agent.op < steps.size(); ++agent.op) {
    const PlannedStep& next = steps[agent.op];
    if (!applies(agent, next, agent.step - next.skew) || (next.is_mask && !config_.mask_cost)) continue;
    if (next.kind != StepKind::chain) break;
    const bool waits = std::any_of(next.waits.begin(), next.waits.end(),
                                   [&](ir::TileId t) { return agent.tile_ready[static_cast<std::size_t>(t)] > now; });
    if (waits) break;
    take(next);
  }
  SmState& sm = sms_[static_cast<std::size_t>(cta.sm)];
  const bool first = sm.flows.empty();
  advance_flows(sm, static_cast<double>(now));
  const auto backlog = static_cast<double>(std::max<std::int64_t>(0, sm.issue_free - now));  // of copies; flows share what is left
  own = std::max({own, pipe, issue + (first ? backlog : 0), smem, tmem});
  if (pipe <= 0) {
    return go_on_at(slot, index, &step, now, now + static_cast<std::int64_t>(std::ceil(own)) + latency, Wait::dependency);
  }
  sm.flows.push_back(
      {slot, index, step.kind == StepKind::mma, pipe, pipe / own, pipe / groups, issue / pipe, smem / pipe, tmem / pipe, 0, latency});
  block(slot, index, &step, Wait::pipe, now);
  set_flow_rates(sm, cta.sm);
  return false;
}

void Machine::advance_flows(SmState& sm, double now) {
  const double elapsed = now - sm.flows_at;
  if (elapsed > 0) {
    for (Flow& flow : sm.flows) flow.left -= elapsed * flow.rate;
    const auto since = static_cast<std::int64_t>(sm.flows_at);
    if (sm.flow_smem > 0) sm.smem_all_free = std::max(sm.smem_all_free, since) + static_cast<std::int64_t>(elapsed * sm.flow_smem);
    if (sm.flow_issue > 0) sm.issue_free = std::max(sm.issue_free, since) + static_cast<std::int64_t>(elapsed * sm.flow_issue);
  }
  sm.flows_at = now;
}

void Machine::flow_event(int index, std::int64_t now) {
  SmState& sm = sms_[static_cast<std::size_t>(index)];
  if (sm.next_flow_event != now) return;  // overtaken by an earlier one
  sm.next_flow_event = kNever;
  advance_flows(sm, static_cast<double>(now));
  for (std::size_t i = 0; i < sm.flows.size();) {
    const Flow flow = sm.flows[i];
    if (flow.left > kServed) {
      ++i;
      continue;
    }
    sm.flows.erase(sm.flows.begin() + static_cast<std::ptrdiff_t>(i));
    push(now + flow.latency, Event::Kind::wake, flow.cta, flow.agent);
  }
  set_flow_rates(sm, index);
}

void Machine::set_flow_rates(SmState& sm, int index) {
  sm.flow_smem = 0;
  sm.flow_issue = 0;
  if (sm.flows.empty()) return;
  for (const bool tensor : {false, true}) {
    // Max-min fair by weight: flows that can take less than their share leave the rest to the others.
    double weights = 0;
    double most = 0;
    for (Flow& flow : sm.flows) {
      if (flow.on_tensor != tensor) continue;
      weights += flow.weight;
      most += flow.most;
      flow.rate = flow.most;
    }
    if (most <= 1) continue;
    for (Flow& flow : sm.flows) {
      if (flow.on_tensor == tensor) flow.rate = -1;
    }
    double left = 1;
    for (bool changed = true; changed;) {
      changed = false;
      for (Flow& flow : sm.flows) {
        if (flow.on_tensor != tensor || flow.rate >= 0 || flow.most * weights > left * flow.weight) continue;
        flow.rate = flow.most;
        left -= flow.most;
        weights -= flow.weight;
        changed = true;
        break;
      }
    }
    for (Flow& flow : sm.flows) {
      if (flow.on_tensor == tensor && flow.rate < 0) flow.rate = left * flow.weight / weights;
    }
  }
  if (plan_.sync_overlap < 1) {
    double sum = 0;
    for (const Flow& flow : sm.flows) sum += flow.rate;
    const double slowdown = std::max(1.0, sum / (1 + plan_.sync_overlap));
    for (Flow& flow : sm.flows) flow.rate /= slowdown;
  }
  const auto slow_down = [&](double Flow::*use) {
    double sum = 0;
    for (const Flow& flow : sm.flows) sum += flow.rate * flow.*use;
    if (sum <= 1) return sum;
    for (Flow& flow : sm.flows) {
      if (flow.*use > 0) flow.rate /= sum;
    }
    return 1.0;
  };
  sm.flow_issue = slow_down(&Flow::issue);
  (void)slow_down(&Flow::tmem);
  sm.flow_smem = slow_down(&Flow::smem);
  double soonest = 1e300;
  for (const Flow& flow : sm.flows) soonest = std::min(soonest, flow.left / flow.rate);
  const auto at = static_cast<std::int64_t>(std::ceil(sm.flows_at + std::max(0.0, soonest)));
  if (at >= sm.next_flow_event) return;
  sm.next_flow_event = at;
  push(at, Event::Kind::flow, index, 0);
}

}  // namespace attnsim::machine
