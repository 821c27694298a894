// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/timeline.h"

#include <algorithm>
#include <map>

namespace attnsim::bounds {

namespace {

struct Launches {
  double first_us = 0;
  double dependent_us = 0;
};

Launches launches(const Chip& chip, const Conditions& conditions) {
  if (conditions.without.count("launch") != 0) return {};
  const double first = conditions.chained ? chip.launch.dependent_kernel_us : conditions.include_launch ? chip.launch.kernel_us : 0;
  if (conditions.launches == LaunchKind::plain && chip.launch.stream_kernel_us > 0) return {first, chip.launch.stream_kernel_us};
  return {first, chip.launch.dependent_kernel_us};
}

bool is_programmatic(const ir::Node& node) {
  const auto* kernel = std::get_if<ir::Kernel>(&node.work);
  return kernel != nullptr && kernel->grid.programmatic_launch;
}

}  // namespace

RungTime timeline_bound(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions, const std::vector<RungTime>& node_us,
                        const RungWork& whole) {
  const Launches launch = launches(chip, conditions);
  const std::size_t n = pipeline.nodes().size();
  std::vector<double> start(n, 0);
  std::vector<double> end(n, 0);
  std::map<int, int> last_kernel;  // of each stream
  bool overlaps = false;
  bool any_kernel = false;
  double launch_us = 0;
  RungTime longest_node;
  RungTime bound;
  for (const int id : pipeline.order()) {
    const auto i = static_cast<std::size_t>(id);
    const ir::Node& node = pipeline.nodes()[i];
    const bool is_kernel = std::holds_alternative<ir::Kernel>(node.work);
    const auto previous = last_kernel.find(node.stream);
    const bool early = is_programmatic(node) && previous != last_kernel.end();
    overlaps = overlaps || early || node.stream != pipeline.nodes().front().stream;
    bool fed = previous != last_kernel.end();  // by the device: a kernel of its stream, or what it depends on
    for (const ir::Edge& edge : pipeline.edges()) {
      if (edge.to == id) fed = fed || !std::holds_alternative<ir::HostGap>(pipeline.nodes()[static_cast<std::size_t>(edge.from)].work);
    }
    double gap = 0;
    if (is_kernel) gap = !fed ? launch.first_us : (early ? 0 : launch.dependent_us);
    double not_before_end = 0;
    for (const ir::Edge& edge : pipeline.edges()) {
      if (edge.to != id) continue;
      const auto from = static_cast<std::size_t>(edge.from);
      const bool overlapped = early && edge.from == previous->second;
      start[i] = std::max(start[i], overlapped ? start[from] : end[from]);
      not_before_end = std::max(not_before_end, end[from]);
    }
    start[i] += gap;
    end[i] = std::max(not_before_end, start[i] + node_us[i].us);
    launch_us += gap;
    longest_node.raise(node_us[i].us, node_us[i].limiter);
    bound.us = std::max(bound.us, end[i]);
    if (is_kernel) {
      last_kernel[node.stream] = id;
      any_kernel = true;
    }
  }
  bound.limiter = launch_us > longest_node.us ? "launch" : longest_node.limiter;
  const double first_us = any_kernel ? launch.first_us : 0;
  if (whole.traffic.hbm_bytes > 0) {
    bound.raise(first_us + hbm_us(whole.traffic.hbm_bytes, chip.hbm.bandwidth_gb_per_s), name_of(Resource::hbm));
  }
  if (overlaps) {
    const RungTime resources = tile_rung(whole, chip, highest_clock_mhz(chip, conditions));
    bound.raise(first_us + resources.us, resources.limiter);
  }
  return bound;
}

}  // namespace attnsim::bounds
