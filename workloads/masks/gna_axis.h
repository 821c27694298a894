// SPDX-License-Identifier: Apache-2.0
// One axis of generalised neighbourhood attention (NATTEN's definition, arXiv 2504.16922 and SHI-Labs/NATTEN).
//
// Queries come in stride groups [g stride, (g + 1) stride); all of a group share the window of its leader, the middle query
// (the last where causal). A window has `window` keys, one more on the left than on the right where it is even, and is shifted,
// not cut, at the ends. A causal query keeps the keys of that window up to itself. Dilation splits the axis into residue
// classes that do not see each other; what follows holds inside one class.
//
//   {.tokens = 30, .window = 18, .stride = 16}: queries 0..15 keep keys 0..17, queries 16..29 keep 12..29
#pragma once

#include <cstdint>

#include "workloads/masks/mask.h"

namespace attnsim {

struct GnaAxis {
  std::int64_t length = 1;
  std::int64_t window = 1;    // 1 .. length / dilation
  std::int64_t stride = 1;    // 1 .. window
  std::int64_t dilation = 1;  // >= 1
  bool causal = false;
};

// The tokens residue, residue + dilation, ... of an axis, counted 0, 1, ....
struct AxisClass {
  std::int64_t tokens = 1;
  std::int64_t window = 1;
  std::int64_t stride = 1;
  bool causal = false;
};
[[nodiscard]] AxisClass axis_class(const GnaAxis& axis, std::int64_t residue);

// Keys that query q keeps. Both ends grow with q; a query beyond the last token keeps what the last one keeps.
[[nodiscard]] Range kept_keys(const AxisClass& axis, std::int64_t q);
// Kept pairs with query and key in the ranges, tokens only.
[[nodiscard]] std::int64_t kept_pairs(const AxisClass& axis, Range queries, Range keys);

// KV tiles of `tile_kv` keys, counted from key 0.
struct AxisTiles {
  Range visited;  // some query of the tile keeps some key
  Range dense;    // every query keeps every key that exists: a ragged last tile may be dense
};
// `queries` is a query tile and may reach beyond the last token; it holds at least one place.
[[nodiscard]] AxisTiles axis_tiles(const AxisClass& axis, Range queries, std::int64_t tile_kv);
// Tiles visited by kernels whose KV tiles start at the first kept key of each query tile (dynamic KV tiling).
[[nodiscard]] std::int64_t dynamic_tiles(const AxisClass& axis, Range queries, std::int64_t tile_kv);
// The same, counted from that key; a tile that ends behind the last token is not dense.
[[nodiscard]] AxisTiles tiles_from_first_key(const AxisClass& axis, Range queries, std::int64_t tile_kv);
// That key.
[[nodiscard]] std::int64_t first_key(const AxisClass& axis, Range queries);

// Every visited tile of every query tile is dense: the scores need no mask, but for keys that do not exist.
[[nodiscard]] bool fully_block_sparse(const AxisClass& axis, std::int64_t tile_q, std::int64_t tile_kv);
// The closed test by which NATTEN's kernels choose between masking all tiles and none. Causal axes always fail it.
// Never true where fully_block_sparse is false as long as tile_q >= 2 and 2 tile_q >= tile_kv, which holds for every tile shape that NATTEN
// compiles.
[[nodiscard]] bool natten_fully_block_sparse(const AxisClass& axis, std::int64_t tile_q, std::int64_t tile_kv);

}  // namespace attnsim
