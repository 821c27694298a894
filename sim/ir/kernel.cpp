// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/kernel.h"

#include <algorithm>

#include "sim/core/error.h"

namespace attnsim::ir {

ItemSequence::ItemSequence(const Kernel& kernel) : kernel_(&kernel) {
  for (const ItemFamily& family : kernel.families) {
    first_.push_back(size_);
    size_ += family.item_count();
  }
}

Item ItemSequence::at(std::int64_t position) const {
  require(position >= 0 && position < size_, "item position out of range");
  const auto next = std::upper_bound(first_.begin(), first_.end(), position);
  const ItemFamily& family = kernel_->families[static_cast<std::size_t>(next - first_.begin() - 1)];
  std::int64_t index = position - *(next - 1);
  const auto tiles = static_cast<std::int64_t>(family.tiles.size());
  std::int64_t slab = 0;
  std::int64_t tile = 0;
  if (kernel_->grid.fastest == Fastest::tiles) {
    slab = index / tiles;
    tile = index % tiles;
  } else {
    const std::int64_t wanted = kernel_->grid.section_slabs;
    const std::int64_t section = wanted > 0 ? std::min(wanted, family.slab_count) : family.slab_count;
    const std::int64_t start = index / (section * tiles) * section;
    const std::int64_t width = std::min(section, family.slab_count - start);
    index -= start * tiles;
    const std::int64_t together = tiles % kernel_->grid.cluster_tiles == 0 ? kernel_->grid.cluster_tiles : 1;
    slab = start + index / together % width;
    tile = index / (together * width) * together + index % together;
  }
  if (kernel_->grid.tile_order == TileOrder::descending) tile = tiles - 1 - tile;
  const std::int64_t ways = kernel_->grid.interleave;
  if (ways > 1 && family.slab_count % ways == 0) slab = slab % ways * (family.slab_count / ways) + slab / ways;
  return Item{family.slab_begin + slab, &family, &family.tiles[static_cast<std::size_t>(tile)]};
}

int occupancy(const Program& program, const SmLimits& limits) {
  constexpr std::int64_t kSmemGranule = 1024;
  const std::int64_t smem = (program.smem_bytes() + kSmemGranule - 1) / kSmemGranule * kSmemGranule + kSmemGranule;
  std::int64_t registers = 0;
  for (const Agent& agent : program.agents) {
    const std::int64_t per_warp = (static_cast<std::int64_t>(agent.registers_per_thread) * 32 + 255) / 256 * 256;
    registers += per_warp * agent.warps;
  }
  const std::int64_t by_smem = limits.smem_bytes / smem;
  constexpr std::int64_t kTmemLeast = 16384;  // 32 columns of 128 four-byte lanes
  std::int64_t tmem = kTmemLeast;
  while (tmem < program.tmem_bytes()) tmem *= 2;
  const std::int64_t by_tmem = program.tmem_bytes() > 0 ? limits.tmem_bytes / tmem : limits.ctas;
  const std::int64_t by_registers = registers > 0 ? limits.registers / registers : limits.ctas;
  const std::int64_t by_threads = limits.threads / program.threads();
  return static_cast<int>(std::min({by_smem, by_tmem, by_registers, by_threads, static_cast<std::int64_t>(limits.ctas)}));
}

}  // namespace attnsim::ir
