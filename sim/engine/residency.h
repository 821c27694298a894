// SPDX-License-Identifier: Apache-2.0
// Closed forms for the `fast` engine: work of all items, and L2 hits from the reuse distance over the items in flight.
#pragma once

#include <vector>

#include "sim/engine/machine.h"
#include "sim/result/conditions.h"

namespace attnsim {

// Busy cycles, counts and bytes of every item; ticks and waits stay 0.
[[nodiscard]] MachineResult count_work(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const MachineConfig& config,
                                       const Chip& chip);

struct Residency {
  double hit_fraction = 0;               // of the loaded bytes
  std::vector<double> tensor_hits;       // the same of each tensor; empty: not told apart
  double hbm_bytes = 0;                  // fetched and written back
  double hbm_written_bytes = 0;          // written back
  double hbm_read_equivalent_bytes = 0;  // written bytes at their cost
};
// A tensor that all items of a slab stream (K, V) is fetched once when what the items in flight walk, and the results that pass
// meanwhile, fit L2. Else items that walk in step, or less apart than L2 holds, share a fetch, and others find the part of all that L2
// holds. Tensors that items own (Q, O) move once. Nothing moves when a warm start finds everything resident.
// `loaded_bytes`: of count_work; 0: not known.
[[nodiscard]] Residency estimate_residency(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                                           const Conditions& conditions, const MachineConfig& config, double loaded_bytes = 0);

}  // namespace attnsim
