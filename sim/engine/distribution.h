// SPDX-License-Identifier: Apache-2.0
// How the items of a grid spread over the SMs of a chip: each goes, in grid order, to the CTA slot that is free first. An item among
// k on an SM progresses at 1 / duration(k), so a full SM serves its slots independently, and what is left when the grid is empty
// drains SM by SM.
#pragma once

#include <algorithm>
#include <vector>

#include "sim/engine/class_costs.h"

namespace attnsim {

// Calls visit(family, tile, count) for items of one tile in a row, in the order of the grid. Of its first `skipped` items, those that
// are whole sections of slabs are told as skip(family, slabs) instead.
template <class Skip, class Visit>
void each_run(const ir::Kernel& kernel, std::int64_t skipped, Skip skip, Visit visit) {
  for (std::size_t f = 0; f < kernel.families.size(); ++f) {
    const ir::ItemFamily& family = kernel.families[f];
    const std::size_t tiles = family.tiles.size();
    const bool descending = kernel.grid.tile_order == ir::TileOrder::descending;
    const bool by_tiles = kernel.grid.fastest == ir::Fastest::tiles && tiles > 1;
    const std::int64_t wanted = by_tiles ? 1 : kernel.grid.section_slabs;
    const std::int64_t section = wanted > 0 && tiles > 1 ? std::min(wanted, family.slab_count) : family.slab_count;
    const std::int64_t whole =
        std::min(skipped / (section * static_cast<std::int64_t>(std::max<std::size_t>(tiles, 1))), family.slab_count / section);
    const std::int64_t first = whole * section;
    if (first > 0) skip(f, first);
    skipped = first == family.slab_count ? skipped - first * static_cast<std::int64_t>(tiles) : 0;
    for (std::int64_t start = first; start < family.slab_count; start += section) {
      const std::int64_t count = std::min(section, family.slab_count - start);
      for (std::size_t i = 0; i < tiles; ++i) visit(f, descending ? tiles - 1 - i : i, count);
    }
  }
}
template <class Visit>
void each_run(const ir::Kernel& kernel, Visit visit) {
  each_run(
      kernel, 0, [](std::size_t, std::int64_t) {}, visit);
}

// By family and tile of the kernel.
using CostTable = std::vector<std::vector<const ItemCost*>>;
[[nodiscard]] CostTable cost_table(const ir::Kernel& kernel, ClassCosts& costs);

// End of the last item when all SMs are free at 0. Of a grid whose makespan is many of its longest item, only the end is placed
// item by item and the rest taken as spread evenly: an error below one item.
[[nodiscard]] double makespan(const ir::Kernel& kernel, const CostTable& costs, int sms, int slots);

struct Makespan {
  double ticks = 0;        // from the first item's steady part to the end of the last
  double start_ticks = 0;  // before it
};
// Items in grid order over the chip's SMs; without `waves` as if they could be split evenly.
[[nodiscard]] Makespan distribute(const ir::Kernel& kernel, const CostTable& costs, const MachineConfig& whole, bool waves);

}  // namespace attnsim
