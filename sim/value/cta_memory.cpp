// SPDX-License-Identifier: Apache-2.0
#include "sim/value/cta_memory.h"

#include <algorithm>
#include <limits>

namespace attnsim::value {

namespace {

std::int64_t elements(const ir::Program& program, std::size_t tile) {
  return program.padded_elements(static_cast<ir::TileId>(tile)) * program.tiles[tile].stages;
}

// Where a tile begins in its storage: aliases of one tile lie one behind the other.
std::int64_t offset_of(const ir::Program& program, std::size_t tile) {
  const ir::TileId parent = program.tiles[tile].alias_of;
  if (parent == ir::kNone) return 0;
  std::int64_t offset = offset_of(program, static_cast<std::size_t>(parent));
  for (std::size_t t = 0; t < tile; ++t) {
    if (program.tiles[t].alias_of == parent) offset += elements(program, t);
  }
  return offset;
}

}  // namespace

CtaMemory::CtaMemory(const ir::Program& program) : program_(&program), storage_(program.tiles.size()) {
  for (std::size_t t = 0; t < program.tiles.size(); ++t) {
    auto& storage = storage_[static_cast<std::size_t>(program.storage_of(static_cast<ir::TileId>(t)))];
    offsets_.push_back(offset_of(program, t));
    if (program.tiles[t].view_of != ir::kNone) continue;
    const auto end = static_cast<std::size_t>(offsets_.back() + elements(program, t));
    storage.resize(std::max(storage.size(), end), std::numeric_limits<double>::quiet_NaN());
  }
}

Slot CtaMemory::slot(ir::TileId tile, std::int64_t slot) {
  const ir::Tile& t = program_->tiles[static_cast<std::size_t>(tile)];
  const ir::TileId shown = program_->shown_by(tile);
  auto& storage = storage_[static_cast<std::size_t>(program_->storage_of(tile))];
  double* begin = storage.data() + offsets_[static_cast<std::size_t>(shown)] + (slot % t.stages) * program_->padded_elements(shown);
  const int stride = program_->padded(program_->tiles[static_cast<std::size_t>(shown)].cols);
  return {begin + t.view_column, program_->padded(t.rows), program_->padded(t.cols), Eigen::OuterStride<>(stride)};
}

}  // namespace attnsim::value
