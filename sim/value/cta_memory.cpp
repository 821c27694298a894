// SPDX-License-Identifier: Apache-2.0
#include "sim/value/cta_memory.h"

#include <algorithm>
#include <limits>

namespace attnsim::value {

CtaMemory::CtaMemory(const ir::Program& program) : program_(&program), storage_(program.tiles.size()), offset_(program.tiles.size(), 0) {
  std::vector<std::size_t> aliased(program.tiles.size(), 0);  // aliases of one tile lie side by side
  for (std::size_t t = 0; t < program.tiles.size(); ++t) {
    const auto root = static_cast<std::size_t>(program.storage_of(static_cast<ir::TileId>(t)));
    const auto size = static_cast<std::size_t>(program.padded_elements(static_cast<ir::TileId>(t)) * program.tiles[t].stages);
    if (root != t) {
      offset_[t] = aliased[root];
      aliased[root] += size;
    }
    auto& storage = storage_[root];
    storage.resize(std::max(storage.size(), offset_[t] + size), std::numeric_limits<double>::quiet_NaN());
  }
}

Eigen::Map<Matrix> CtaMemory::slot(ir::TileId tile, std::int64_t slot) {
  const ir::Tile& t = program_->tiles[static_cast<std::size_t>(tile)];
  auto& storage = storage_[static_cast<std::size_t>(program_->storage_of(tile))];
  double* begin = storage.data() + offset_[static_cast<std::size_t>(tile)] + slot % t.stages * program_->padded_elements(tile);
  return {begin, program_->padded(t.rows), program_->padded(t.cols)};
}

}  // namespace attnsim::value
