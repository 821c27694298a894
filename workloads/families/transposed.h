// SPDX-License-Identifier: Apache-2.0
// The index set read by columns: KV tiles as rows, with runs of the query tiles that visit them. What the backward pass walks.
//
//   kv_row_tiles({causal, 4096, 4096, 1}, {.tile_q = 64, .tile_kv = 128})   // 32 tiles; the first is visited by all 64 query tiles
#pragma once

#include <optional>
#include <vector>

#include "workloads/families/index_set.h"

namespace attnsim {

// What a kernel tests where keys are rows and queries columns: keys and queries have changed places.
[[nodiscard]] MaskTest transposed(const MaskTest& test);

// The queries that visit each KV tile, in lists one behind another, each padded to whole tiles of `tile_q`: places of a virtual sequence of
// queries.
struct QueryLists {
  std::vector<std::int32_t> query;  // by place; -1: padding
  std::vector<ir::RowTile> tiles;   // one per KV tile; trips are tiles of places
};
// Behind `before` places of other lists.
[[nodiscard]] QueryLists query_lists(const Mask& mask, const Tiling& tiling, std::int64_t before);
// The test with the query's number read from a table by place, where it needs no table of its own.
[[nodiscard]] std::optional<MaskTest> by_place(const MaskTest& test, const std::vector<std::int32_t>& query);

// One tile per KV tile in ascending order, also those that no query visits (their gradients are zero). Trips are query tiles; a partial
// one needs mask ops. `kept` counts pairs. Of the tiling only tile_q, tile_kv and descending (query tiles from the last) count. Bands have
// a closed form; of other masks the tiles that the query tiles visit are sorted by column.
[[nodiscard]] std::vector<ir::RowTile> kv_row_tiles(const IndexSet& set, const Tiling& tiling);

}  // namespace attnsim
