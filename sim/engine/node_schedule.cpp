// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/node_schedule.h"

#include <algorithm>
#include <map>
#include <utility>

#include "sim/engine/chip_share.h"

namespace attnsim {

NodeSchedule::NodeSchedule(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions, double clock_mhz)
    : pipeline_(pipeline), chip_(chip), conditions_(conditions), states_(pipeline.nodes().size()) {
  if (has_effect(conditions, "cta_start")) cta_start_us_ = chip.launch.cta_start_cycles / clock_mhz;
  const auto at = [&](int node) -> State& { return states_[static_cast<std::size_t>(node)]; };
  std::map<int, int> last_kernel;  // of each stream
  for (const int index : pipeline.order()) {
    const ir::Node& node = pipeline.nodes()[static_cast<std::size_t>(index)];
    State& state = at(index);
    if (std::holds_alternative<ir::Transfer>(node.work)) state.runs = Runs::transfer;
    if (std::holds_alternative<ir::HostGap>(node.work)) state.runs = Runs::gap;
    const auto previous = last_kernel.find(node.stream);
    if (previous != last_kernel.end()) state.previous_kernel = previous->second;
    state.fed = state.previous_kernel >= 0;
    for (const ir::Edge& edge : pipeline.edges()) {
      if (edge.to != index) continue;
      state.after.push_back(edge.from);
      state.fed = state.fed || at(edge.from).runs != Runs::gap;
    }
    if (state.runs == Runs::kernel) last_kernel[node.stream] = index;
  }
}

double NodeSchedule::launch_gap_us(const State& state, const ir::Kernel& kernel) const {
  if (!has_effect(conditions_, "launch")) return 0;
  const bool behind_a_call = conditions_.chained && state.after.empty();
  if (!state.fed && !behind_a_call) return conditions_.include_launch ? chip_.launch.kernel_us : 0;
  if (kernel.grid.programmatic_launch && state.previous_kernel >= 0) return 0;
  const bool plain = conditions_.launches == LaunchKind::plain && chip_.launch.stream_kernel_us > 0;
  return plain ? chip_.launch.stream_kernel_us : chip_.launch.dependent_kernel_us;
}

double NodeSchedule::head_start_us(const ir::Kernel& kernel, const State& previous) const {
  const std::int64_t per_sm = ctas_per_sm(kernel, chip_);
  const bool has_lists = kernel.grid.policy == ir::GridPolicy::lists;
  const std::int64_t ctas = has_lists ? static_cast<std::int64_t>(kernel.grid.lists.size()) : ir::ItemSequence(kernel).size();
  const std::int64_t sms = std::min<std::int64_t>((ctas + per_sm - 1) / per_sm, static_cast<std::int64_t>(previous.drains_us.size()));
  return sms == 0 ? 0 : std::min(cta_start_us_, previous.drains_us[static_cast<std::size_t>(sms - 1)]);
}

NodeStart NodeSchedule::start_of(int index) const {
  const State& state = states_[static_cast<std::size_t>(index)];
  double ready = 0;
  for (const int before : state.after) ready = std::max(ready, states_[static_cast<std::size_t>(before)].end_us);
  if (state.runs == Runs::gap) return {index, ready, 0};
  if (state.runs == Runs::transfer) return {index, std::max(ready, link_free_us_), 0};
  const auto& kernel = std::get<ir::Kernel>(pipeline_.nodes()[static_cast<std::size_t>(index)].work);
  const double free = std::max(ready, chip_free_us_);
  double start = std::max(ready + launch_gap_us(state, kernel), chip_free_us_);
  const bool directly_after = std::find(state.after.begin(), state.after.end(), state.previous_kernel) != state.after.end();
  if (kernel.grid.programmatic_launch && directly_after) {
    const State& previous = states_[static_cast<std::size_t>(state.previous_kernel)];
    if (previous.end_us >= start) start -= head_start_us(kernel, previous);
  }
  return {index, start, start - free};
}

NodeStart NodeSchedule::next() const {
  NodeStart first;
  for (const int index : pipeline_.order()) {
    const State& state = states_[static_cast<std::size_t>(index)];
    const bool ready =
        std::all_of(state.after.begin(), state.after.end(), [&](int n) { return states_[static_cast<std::size_t>(n)].done; });
    if (state.done || !ready) continue;
    const NodeStart start = start_of(index);
    if (first.node < 0 || start.start_us < first.start_us) first = start;
  }
  return first;
}

void NodeSchedule::done(const NodeStart& node, double duration_us, std::vector<double> drains_us) {
  State& state = states_[static_cast<std::size_t>(node.node)];
  state.done = true;
  state.end_us = node.start_us + duration_us;
  state.drains_us = std::move(drains_us);
  if (state.runs == Runs::kernel) chip_free_us_ = std::max(chip_free_us_, state.end_us);
  if (state.runs == Runs::transfer) link_free_us_ = std::max(link_free_us_, state.end_us);
  end_us_ = std::max(end_us_, state.end_us);
}

}  // namespace attnsim
