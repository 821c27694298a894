// SPDX-License-Identifier: Apache-2.0
// Index sets of the tile-list family: a mask over packed rows -> row tiles with runs of full and partial KV tiles and the number
// of kept pairs. Row r of a packed index set is query r / row_group, so a tile may begin and end inside a token.
//
//   row_tiles({causal, 1}, {.tile_q = 192, .tile_kv = 128})   // of 4096 queries and keys: 22 tiles, 384 trips in all
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/ir/kernel.h"
#include "workloads/masks/mask.h"

namespace attnsim {

struct IndexSet {
  std::shared_ptr<const Mask> mask;
  std::int64_t row_group = 1;  // query heads packed per token
  [[nodiscard]] std::int64_t q_len() const { return mask->q_len(); }
  [[nodiscard]] std::int64_t kv_len() const { return mask->kv_len(); }
  [[nodiscard]] std::int64_t rows() const { return q_len() * row_group; }
};

struct Tiling {
  std::int64_t tile_q = 128;
  std::int64_t tile_kv = 128;
  bool descending = false;       // visits KV tiles from the last to the first
  bool mask_first_trip = false;  // the first trip counts as partial
  bool visit_absent = false;     // visits every KV tile; absent ones count as partial
  std::int64_t step = 1;         // tiles that are visited together: lists begin and end at its multiples
  std::int64_t splits = 1;       // pieces of ceil(visited tiles / splits) visited KV tiles; the last may be empty
  bool visit_in_empty = false;   // an empty piece visits one tile beyond the last key all the same
};

// Kept (row, key) pairs with row in [row_begin, row_end), key in [key_begin, key_end).
[[nodiscard]] std::int64_t kept_pairs(const IndexSet& set, std::int64_t row_begin, std::int64_t row_end, std::int64_t key_begin,
                                      std::int64_t key_end);

// Visited KV tiles as trips of an item, in the order of the tiling.
[[nodiscard]] ir::TripRuns trips_of(const std::vector<TileRun>& tiles, const Tiling& tiling);

// What cuts off any (query, key) pair of the whole problem, with masks applied per tile of `tile_kv` keys.
struct Cuts {
  bool upper = false;   // keys too far to the right (causal)
  bool lower = false;   // keys too far to the left (window)
  bool other = false;   // a mask that is no band
  bool extent = false;  // the last KV tile is ragged and no other bound hides it
  [[nodiscard]] bool any() const { return upper || lower || other || extent; }
  [[nodiscard]] bool mask() const { return upper || lower || other; }
};
[[nodiscard]] Cuts cuts(const IndexSet& set, std::int64_t tile_kv);

// Row tiles in ascending row order, the splits of one query tile next to each other.
[[nodiscard]] std::vector<ir::RowTile> row_tiles(const IndexSet& set, const Tiling& tiling);

}  // namespace attnsim
