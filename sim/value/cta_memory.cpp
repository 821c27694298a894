// SPDX-License-Identifier: Apache-2.0
#include "sim/value/cta_memory.h"

#include <algorithm>
#include <limits>

namespace attnsim::value {

CtaMemory::CtaMemory(const ir::Program& program) : program_(&program), storage_(program.tiles.size()) {
  for (std::size_t t = 0; t < program.tiles.size(); ++t) {
    auto& storage = storage_[static_cast<std::size_t>(program.storage_of(static_cast<ir::TileId>(t)))];
    const auto size = static_cast<std::size_t>(program.padded_elements(static_cast<ir::TileId>(t)) * program.tiles[t].stages);
    storage.resize(std::max(storage.size(), size), std::numeric_limits<double>::quiet_NaN());
  }
}

Eigen::Map<Matrix> CtaMemory::slot(ir::TileId tile, std::int64_t slot) {
  const ir::Tile& t = program_->tiles[static_cast<std::size_t>(tile)];
  auto& storage = storage_[static_cast<std::size_t>(program_->storage_of(tile))];
  double* begin = storage.data() + (slot % t.stages) * program_->padded_elements(tile);
  return {begin, program_->padded(t.rows), program_->padded(t.cols)};
}

}  // namespace attnsim::value
