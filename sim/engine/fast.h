// SPDX-License-Identifier: Apache-2.0
// The `fast` engine: plays one SM alone on classes of equal items, takes the steady cost of loop trips
// from two lengths, and distributes the items of the grid over SMs with those costs, no faster than
// L2 and HBM deliver the bytes of all.
#pragma once

#include <vector>

#include "sim/engine/machine.h"
#include "sim/result/conditions.h"

namespace attnsim {

[[nodiscard]] MachineResult play_fast(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                                      const Conditions& conditions, const MachineConfig& whole);

}  // namespace attnsim
