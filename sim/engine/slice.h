// SPDX-License-Identifier: Apache-2.0
// One SM plays a few typical items of a kernel: what stands for a run that is extrapolated or too long to record.
#pragma once

#include <vector>

#include "sim/engine/machine.h"
#include "sim/result/conditions.h"

namespace attnsim {

// `whole`: the configuration of the chip, with its listener and its wish for attribution. `played`: the run. Where the run kept L2 or HBM
// busy, the SM has its fair share of it.
[[nodiscard]] MachineResult play_slice(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                                       const Conditions& conditions, const MachineConfig& whole, const MachineResult& played);

// The slice's reasons scaled to the idle ticks of the whole run, of which SMs without a CTA are the tail.
[[nodiscard]] Attribution scaled_attribution(const MachineResult& slice, const MachineResult& whole, const MachineConfig& config);

}  // namespace attnsim
