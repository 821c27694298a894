// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/bounds.h"

#include <algorithm>

#include "sim/bounds/grid.h"
#include "sim/bounds/timeline.h"

namespace attnsim {

namespace {

using namespace bounds;

void set(Ladder& ladder, Rung rung, const RungTime& time) {
  ladder.time_us[static_cast<std::size_t>(rung)] = time.us;
  ladder.limiter[static_cast<std::size_t>(rung)] = time.limiter;
}

void set_resource_rungs(Ladder& ladder, const RungWork& work, const Chip& chip, double clock_mhz) {
  set(ladder, Rung::flops, flops_rung(work, chip, clock_mhz));
  set(ladder, Rung::roofline, roofline_rung(work, chip, clock_mhz));
  set(ladder, Rung::tile, tile_rung(work, chip, clock_mhz));
}

// One kernel alone, without its launch.
RungTime kernel_schedule(const RungWork& work, const ir::Kernel& kernel, const Chip& chip, double clock_mhz) {
  const GridBound grid = grid_bound(work.work, kernel, chip);
  RungTime rung{grid.cycles / clock_mhz, grid.limiter};
  const double start_us = work.work.items > 0 ? chip.launch.cta_start_cycles / clock_mhz : 0;
  rung.raise(start_us + work.work.counts.l2_bytes / chip.l2.bandwidth_bytes_per_clk / clock_mhz, name_of(Resource::l2));
  rung.raise(start_us + hbm_us(work.traffic.hbm_bytes, chip.hbm.bandwidth_gb_per_s), name_of(Resource::hbm));
  return rung;
}

// Bytes that the slowest rank must send or receive over one link, at least.
double link_bytes(const ir::Transfer& transfer) {
  const auto bytes = static_cast<double>(transfer.bytes.count());
  return transfer.pattern == ir::TransferPattern::p2p ? bytes : bytes * (transfer.ranks - 1) / transfer.ranks;
}

}  // namespace

Bounds compute_bounds(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions) {
  return compute_bounds(pipeline, select_instructions(pipeline, chip), chip, conditions);
}

Bounds compute_bounds(const ir::Pipeline& pipeline, const std::vector<SelectedKernel>& selected, const Chip& chip,
                      const Conditions& conditions) {
  const double clock_mhz = highest_clock_mhz(chip, conditions);
  const std::size_t n = pipeline.nodes().size();
  PipelineTraffic traffic = compute_traffic(pipeline, chip.l2_effective(), conditions.l2);
  const L2Start start = conditions.l2_start(traffic.whole.touched_bytes, static_cast<double>(chip.l2_effective().count()));
  if (start != conditions.l2) traffic = compute_traffic(pipeline, chip.l2_effective(), start);
  Bounds out;
  out.kernel_ladder.resize(n);
  out.kernel_counts.resize(n);
  std::vector<RungTime> node_us(n);
  RungWork whole;
  for (std::size_t i = 0; i < n; ++i) {
    const ir::Node& node = pipeline.nodes()[i];
    if (const auto* kernel = std::get_if<ir::Kernel>(&node.work)) {
      RungWork work;
      work.work = count_work(selected[i], pipeline.tensors(), chip);
      work.traffic = traffic.nodes[i];
      work.work.counts.hbm_bytes = work.traffic.compulsory_bytes;
      set_resource_rungs(out.kernel_ladder[i], work, chip, clock_mhz);
      node_us[i] = kernel_schedule(work, *kernel, chip, clock_mhz);
      set(out.kernel_ladder[i], Rung::schedule, node_us[i]);
      out.kernel_counts[i] = work.work.counts;
      whole.add(work.work);
    } else if (const auto* transfer = std::get_if<ir::Transfer>(&node.work)) {
      const double bytes = link_bytes(*transfer);
      whole.link_bytes += bytes;
      node_us[i] = {link_us(bytes, chip), std::string(name_of(Resource::link))};
    } else {
      node_us[i] = {std::get<ir::HostGap>(node.work).time.count() / 1e3, "host"};
    }
  }
  whole.traffic = traffic.whole;
  whole.work.counts.hbm_bytes = traffic.whole.compulsory_bytes;
  set_resource_rungs(out.ladder, whole, chip, clock_mhz);
  set(out.ladder, Rung::schedule, timeline_bound(pipeline, chip, conditions, node_us, whole));
  out.counts = whole.work.counts;
  return out;
}

}  // namespace attnsim
