// SPDX-License-Identifier: Apache-2.0
// How the items of a grid spread over the SMs of a chip: each goes, in grid order, to the CTA slot that is free first. An item among
// k on an SM progresses at 1 / duration(k), so a full SM serves its slots independently, and what is left when the grid is empty
// drains SM by SM.
#pragma once

#include <vector>

#include "sim/engine/class_costs.h"

namespace attnsim {

// `count` items of one tile in a row, in the order of the grid.
struct ItemRun {
  std::size_t family = 0;
  std::size_t tile = 0;
  std::int64_t count = 1;
};
[[nodiscard]] std::vector<ItemRun> item_runs(const ir::Kernel& kernel);

// By family and tile of the kernel.
using CostTable = std::vector<std::vector<const ItemCost*>>;
[[nodiscard]] CostTable cost_table(const ir::Kernel& kernel, ClassCosts& costs);

// End of the last item when all SMs are free at 0.
[[nodiscard]] double makespan(const std::vector<ItemRun>& runs, const CostTable& costs, int sms, int slots);

struct Makespan {
  double ticks = 0;        // from the first item's steady part to the end of the last
  double start_ticks = 0;  // before it
};
// Items in grid order over the chip's SMs; without `waves` as if they could be split evenly.
[[nodiscard]] Makespan distribute(const ir::Kernel& kernel, const CostTable& costs, const MachineConfig& whole, bool waves);

}  // namespace attnsim
