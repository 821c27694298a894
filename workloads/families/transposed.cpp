// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/transposed.h"

#include "sim/core/error.h"

namespace attnsim {

namespace {

std::int64_t negated(std::int64_t bound) {
  return bound >= kUnbounded ? -kUnbounded : bound <= -kUnbounded ? kUnbounded : -bound;
}

}  // namespace

// lower <= k - (q + shift) <= upper is -upper <= q - (k - shift) <= -lower.
IndexSet transposed(const IndexSet& set) {
  require(set.row_group == 1, "packed rows have no transpose");
  return {{-set.band.shift, negated(set.band.upper), negated(set.band.lower)}, set.kv_len, set.q_len, 1};
}

std::vector<ir::RowTile> kv_row_tiles(const IndexSet& set, const Tiling& tiling) {
  return row_tiles(transposed(set), {.tile_q = tiling.tile_kv, .tile_kv = tiling.tile_q, .descending = tiling.descending});
}

}  // namespace attnsim
