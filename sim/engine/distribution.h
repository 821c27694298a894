// SPDX-License-Identifier: Apache-2.0
// How the items of a grid spread over the SMs of a chip.
#pragma once

#include "sim/engine/class_costs.h"

namespace attnsim {

struct Makespan {
  double ticks = 0;        // from the first item's steady part to the end of the last
  double start_ticks = 0;  // before it
};
// Items in grid order over the chip's SMs; without `waves` as if they could be split evenly.
[[nodiscard]] Makespan distribute(const ir::Kernel& kernel, ClassCosts& costs, const MachineConfig& whole, bool waves);

}  // namespace attnsim
