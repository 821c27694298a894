// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/fast.h"

#include <algorithm>
#include <cmath>

#include "sim/engine/class_costs.h"
#include "sim/engine/distribution.h"
#include "sim/engine/residency.h"

namespace attnsim {

MachineResult play_fast(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                        const Conditions& conditions, const MachineConfig& whole) {
  const ir::Kernel& kernel = *selected.kernel;
  MachineResult out = count_work(selected, tensors, whole, chip);
  const Residency residency = estimate_residency(kernel, tensors, chip, conditions, whole);
  ClassCosts costs(selected, tensors, chip, whole, residency.hit_fraction);
  const Makespan makespan = distribute(kernel, costs, whole, conditions.without.count("waves") == 0);
  out.spread = costs.spread();
  out.hbm_bytes = residency.hbm_bytes;
  out.hbm_written_bytes = residency.hbm_written_bytes;
  out.hit_bytes = out.loaded_bytes * residency.hit_fraction;
  const double hbm_ticks = residency.hbm_read_equivalent_bytes / whole.rates.hbm;
  const double l2_ticks = out.l2_bytes / whole.rates.l2;
  out.ticks = static_cast<std::int64_t>(std::ceil(std::max({makespan.ticks, hbm_ticks, l2_ticks}) + makespan.start_ticks));
  out.resident_cycles = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) {
      const ItemCost& cost = costs.cost(class_of(tile));
      out.resident_cycles += cost.shared_ticks / static_cast<double>(kTicksPerCycle) * static_cast<double>(family.slab_count);
      for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] += cost.wait_cycles[i] * static_cast<double>(family.slab_count);
    }
  }
  return out;
}

}  // namespace attnsim
