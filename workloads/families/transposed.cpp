// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/transposed.h"

#include "sim/core/error.h"
#include "workloads/masks/band.h"

namespace attnsim {

namespace {

std::int64_t negated(std::int64_t bound) {
  return bound >= kUnbounded ? -kUnbounded : bound <= -kUnbounded ? kUnbounded : -bound;
}

}  // namespace

// lower <= k - (q + shift) <= upper is -upper <= q - (k - shift) <= -lower.
IndexSet transposed(const IndexSet& set) {
  require(set.row_group == 1, "packed rows have no transpose");
  const std::optional<Band> band = set.mask->band();
  require(band.has_value(), "a mask that is no band has no transpose yet");
  const Band keys{-band->shift, negated(band->upper), negated(band->lower)};
  return {std::make_shared<BandMask>(keys, set.kv_len(), set.q_len()), 1};
}

std::vector<ir::RowTile> kv_row_tiles(const IndexSet& set, const Tiling& tiling) {
  return row_tiles(transposed(set), {.tile_q = tiling.tile_kv, .tile_kv = tiling.tile_q, .descending = tiling.descending});
}

}  // namespace attnsim
