// SPDX-License-Identifier: Apache-2.0
// The `fast` engine: plays one SM with its share of the chip on classes of equal items, takes the steady cost of loop trips
// from two lengths, and distributes the items of the grid over SMs with those costs.
#pragma once

#include <vector>

#include "sim/engine/machine.h"
#include "sim/result/conditions.h"

namespace attnsim {

[[nodiscard]] MachineResult play_fast(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                                      const Conditions& conditions, const MachineConfig& whole);

}  // namespace attnsim
