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
  double hbm_bytes = 0;                  // fetched and written back
  double hbm_written_bytes = 0;          // written back
  double hbm_read_equivalent_bytes = 0;  // written bytes at their cost
};
// A tensor that all items of a slab stream (K, V) is fetched once per slab when the slabs in flight fit L2, else once per wave
// of items in flight. Tensors that items own (Q, O) move once. Nothing moves when a warm start finds everything resident.
[[nodiscard]] Residency estimate_residency(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                                           const Conditions& conditions, const MachineConfig& config);

}  // namespace attnsim
