// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/fast.h"

#include <algorithm>
#include <cmath>

#include "sim/engine/chip_replay.h"
#include "sim/engine/class_costs.h"
#include "sim/engine/distribution.h"
#include "sim/engine/residency.h"
#include "sim/engine/trip_model.h"

namespace attnsim {

namespace {

// Loop trips up to which the chip is replayed trip by trip; above, classes of items are distributed.
constexpr double kReplayTrips = 20000;

double trips_of(const ir::Kernel& kernel) {
  double trips = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) {
      trips += static_cast<double>((tile.trips() + tile.peers + 1) * family.slab_count);
    }
  }
  return trips;
}

MachineResult replay(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole,
                     bool waves, MachineResult out) {
  TripModel model(selected, tensors, chip, whole);
  const ChipReplay played = replay_chip(selected, tensors, chip, whole, model, whole.cache);
  out.spread = model.spread;
  out.loaded_bytes = played.loaded_bytes;
  out.hit_bytes = played.hit_bytes;
  out.hbm_bytes = played.loaded_bytes - played.hit_bytes + played.written_back_bytes;
  out.hbm_written_bytes = played.written_back_bytes;
  double ticks = played.ticks;
  if (!waves) {  // the same occupied time over all SMs, no faster than the memory
    const double read_equivalent = played.loaded_bytes - played.hit_bytes + played.written_back_bytes * whole.hbm_write_cost;
    ticks = std::max({played.resident_ticks / whole.sms, read_equivalent / whole.rates.hbm, out.l2_bytes / whole.rates.l2});
  }
  out.ticks = static_cast<std::int64_t>(std::ceil(ticks));
  const auto tick = static_cast<double>(kTicksPerCycle);
  out.resident_cycles = played.resident_ticks / tick;
  const double ctas = std::min(whole.ctas_per_sm, static_cast<int>(std::max<std::int64_t>(1, out.items / whole.sms)));
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = model.wait_cycles_per_tick[i] * played.resident_ticks * ctas;
  out.wait_cycles[static_cast<std::size_t>(Wait::copy)] += played.stall_ticks / tick;
  return out;
}

MachineResult spread_classes(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                             const Conditions& conditions, const MachineConfig& whole, MachineResult out) {
  const ir::Kernel& kernel = *selected.kernel;
  const Residency residency = estimate_residency(kernel, tensors, chip, conditions, whole);
  ClassCosts costs(selected, tensors, chip, whole, residency.hit_fraction);
  const CostTable table = cost_table(kernel, costs);
  const Makespan makespan = distribute(kernel, table, whole, conditions.without.count("waves") == 0);
  out.spread = costs.spread();
  out.hbm_bytes = residency.hbm_bytes;
  out.hbm_written_bytes = residency.hbm_written_bytes;
  out.hbm_written_bytes = residency.hbm_written_bytes;
  out.hit_bytes = out.loaded_bytes * residency.hit_fraction;
  const double hbm_ticks = residency.hbm_read_equivalent_bytes / whole.rates.hbm;
  const double l2_ticks = out.l2_bytes / whole.rates.l2;
  out.ticks = static_cast<std::int64_t>(std::ceil(std::max({makespan.ticks, hbm_ticks, l2_ticks}) + makespan.start_ticks));
  out.resident_cycles = 0;
  for (std::size_t f = 0; f < table.size(); ++f) {
    const auto slabs = static_cast<double>(kernel.families[f].slab_count);
    for (const ItemCost* cost : table[f]) {
      out.resident_cycles += cost->shared_ticks / static_cast<double>(kTicksPerCycle) * slabs;
      for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] += cost->wait_cycles[i] * slabs;
    }
  }
  return out;
}

}  // namespace

bool is_replayed(const ir::Kernel& kernel) {
  if (kernel.grid.cluster > 1) return false;  // the replay knows no shared tiles
  return trips_of(kernel) <= kReplayTrips;
}

MachineResult play_fast(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                        const Conditions& conditions, const MachineConfig& whole) {
  MachineResult counted = count_work(selected, tensors, whole, chip);
  const bool waves = conditions.without.count("waves") == 0;
  if (is_replayed(*selected.kernel)) return replay(selected, tensors, chip, whole, waves, std::move(counted));
  return spread_classes(selected, tensors, chip, conditions, whole, std::move(counted));
}

}  // namespace attnsim
