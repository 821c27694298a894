// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/slice.h"

#include <algorithm>
#include <cmath>

#include "sim/core/units.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/residency.h"

namespace attnsim {

namespace {

constexpr std::int64_t kItemsPerSlot = 4;
constexpr std::int64_t kMostTrips = 64;
// Below this busy share SMs that take turns meet a free resource, above it each gets its fair share.
constexpr double kSaturatedAbove = 0.9;

// The tile whose trips are nearest to the mean over trips: where a cycle picked at random lies.
const ir::RowTile* typical(const ir::Kernel& kernel) {
  double weight = 0;
  double sum = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) {
      const auto trips = static_cast<double>(tile.trips() + 1);
      weight += trips * static_cast<double>(family.slab_count);
      sum += trips * trips * static_cast<double>(family.slab_count);
    }
  }
  const double mean = weight > 0 ? sum / weight : 0;
  const ir::RowTile* best = nullptr;
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) {
      const auto distance = [&](const ir::RowTile& t) { return std::abs(static_cast<double>(t.trips() + 1) - mean); };
      if (best == nullptr || distance(tile) < distance(*best)) best = &tile;
    }
  }
  return best;
}

// The same runs, cut to kMostTrips in all.
ir::RowTile shortened(const ir::RowTile& tile) {
  ir::RowTile out = tile;
  out.rows = INT32_MAX / 4;  // every row valid
  const double keep = std::min(1.0, static_cast<double>(kMostTrips) / static_cast<double>(std::max<std::int64_t>(1, tile.trips())));
  for (ir::TripRun& run : out.runs) {
    if (run.count > 0) run.count = std::max<std::int64_t>(1, std::llround(static_cast<double>(run.count) * keep));
  }
  return out;
}

}  // namespace

MachineResult play_slice(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                         const Conditions& conditions, const MachineConfig& whole, const MachineResult& played) {
  ir::Kernel kernel = *selected.kernel;
  const ir::RowTile* tile = typical(kernel);
  if (tile == nullptr) return {};
  const Residency residency = estimate_residency(kernel, tensors, chip, conditions, whole);
  ir::ItemFamily family;
  family.slab_count = kItemsPerSlot * whole.ctas_per_sm;
  family.loop_extent = INT64_MAX / 1024;
  family.tiles = {shortened(*tile)};
  kernel.families = {family};
  kernel.grid.lists.clear();
  if (kernel.grid.policy == ir::GridPolicy::lists) kernel.grid.policy = ir::GridPolicy::persistent_dynamic;
  MachineConfig config = whole;
  config.sms = 1;
  config.cache = nullptr;
  config.hit_fraction = residency.hit_fraction;
  config.tensor_hits = residency.tensor_hits.empty() ? nullptr : &residency.tensor_hits;
  const auto ticks = static_cast<double>(std::max<std::int64_t>(1, played.ticks));
  if (played.l2_bytes > kSaturatedAbove * whole.rates.l2 * ticks) config.rates.l2 = whole.rates.l2 / whole.sms;
  if (played.hbm_bytes > kSaturatedAbove * whole.rates.hbm * ticks) config.rates.hbm = whole.rates.hbm / whole.sms;
  SelectedKernel slice = without_flags(selected);
  slice.kernel = &kernel;  // same program, other items
  return play(slice, tensors, chip, config);
}

Attribution scaled_attribution(const MachineResult& slice, const MachineResult& whole, const MachineConfig& config) {
  Attribution out;
  out.reasons = slice.attribution.reasons;
  if (out.empty()) return out;
  const std::size_t unexplained = out.reasons.size();
  out.reasons.emplace_back("beyond the sampled SM");
  const double ticks = static_cast<double>(std::max<std::int64_t>(1, whole.ticks));
  const auto busy_of = [&](Pipe p) { return whole.busy_cycles[static_cast<std::size_t>(p)] * static_cast<double>(kTicksPerCycle); };
  const double sm_ticks = ticks * config.sms;
  const auto sliced = [&](Pipe p) { return slice.busy_cycles[static_cast<std::size_t>(p)] * static_cast<double>(kTicksPerCycle); };
  const double resident = std::min(1.0, whole.resident_cycles * static_cast<double>(kTicksPerCycle) / sm_ticks);
  for (std::size_t s = 0; s < kServerCount; ++s) {
    const auto server = static_cast<Server>(s);
    const Attribution& from = slice.attribution;
    const double total = server == Server::l2 || server == Server::hbm ? ticks : sm_ticks;
    double busy = 0;
    switch (server) {
      case Server::tensor: busy = busy_of(Pipe::tensor); break;
      case Server::issue: busy = busy_of(Pipe::issue); break;
      case Server::smem: {  // held through issue gaps too, in the slice's proportion
        const double own = sliced(Pipe::smem);
        busy = own > 0 ? busy_of(Pipe::smem) * from.busy_ticks[s] / own : 0;
        break;
      }
      case Server::copy: busy = whole.l2_bytes / config.rates.port; break;
      case Server::l2: busy = whole.l2_bytes / config.rates.l2; break;
      case Server::hbm: busy = whole.hbm_bytes / config.rates.hbm; break;
      case Server::vector: {
        // Held longer than any lane works, in the slice's proportion.
        const double lanes = std::max({busy_of(Pipe::fp32), busy_of(Pipe::alu), busy_of(Pipe::sfu)});
        const double slice_lanes = std::max({sliced(Pipe::fp32), sliced(Pipe::alu), sliced(Pipe::sfu)});
        busy = slice_lanes > 0 ? lanes * std::max(1.0, from.busy_ticks[s] / slice_lanes) : lanes;
        break;
      }
    }
    busy = std::min(busy, total);
    out.busy_ticks[s] = busy;
    std::vector<double>& idle = out.idle_ticks[s];
    idle.assign(out.reasons.size(), 0);
    const double tail = std::min(total - busy, total * (1 - resident));
    const auto at_tail = static_cast<std::size_t>(Reason::tail);
    const auto at_dispatch = static_cast<std::size_t>(Reason::dispatch);
    double sum = 0;
    for (std::size_t r = 0; r < from.reasons.size(); ++r) {
      if (r != at_tail && r != at_dispatch) sum += from.idle_ticks[s][r];
    }
    const double rest = total - busy - tail;
    idle[at_tail] = tail;
    if (sum <= 0) {
      idle[unexplained] = rest;
      continue;
    }
    for (std::size_t r = 0; r < from.reasons.size(); ++r) {
      if (r != at_tail && r != at_dispatch) idle[r] = rest * from.idle_ticks[s][r] / sum;
    }
  }
  return out;
}

}  // namespace attnsim
