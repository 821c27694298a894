// SPDX-License-Identifier: Apache-2.0
// The `fast` engine. Kernels of moderate size are replayed on the whole chip trip by trip (chip_replay.h); larger ones play one SM on
// classes of equal items and distribute the items of the grid over SMs, no faster than L2 and HBM deliver the bytes of all.
#pragma once

#include <vector>

#include "sim/engine/machine.h"
#include "sim/result/conditions.h"

namespace attnsim {

// True when the kernel is replayed trip by trip: it then reads and leaves the state of MachineConfig::cache.
[[nodiscard]] bool is_replayed(const ir::Kernel& kernel);
[[nodiscard]] MachineResult play_fast(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                                      const Conditions& conditions, const MachineConfig& whole);

}  // namespace attnsim
