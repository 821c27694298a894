// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/gna_axis.h"

#include <algorithm>

#include "workloads/masks/integer.h"

namespace attnsim {

namespace {

std::int64_t overlap(Range a, Range b) {
  return std::max<std::int64_t>(0, std::min(a.end, b.end) - std::max(a.begin, b.begin));
}

std::int64_t left_of(std::int64_t window) {
  return window / 2;
}

}  // namespace

AxisClass axis_class(const GnaAxis& axis, std::int64_t residue) {
  return {ceil_div(axis.length - residue, axis.dilation), axis.window, axis.stride, axis.causal};
}

Range kept_keys(const AxisClass& axis, std::int64_t q) {
  const std::int64_t group = q / axis.stride * axis.stride;
  if (axis.causal) {
    const std::int64_t leader = std::min(group + axis.stride - 1, axis.tokens - 1);
    return {std::max<std::int64_t>(0, leader - axis.window + 1), std::min(q + 1, axis.tokens)};
  }
  const std::int64_t leader = std::min(group + axis.stride / 2, axis.tokens - 1);
  const std::int64_t begin = std::clamp<std::int64_t>(leader - left_of(axis.window), 0, axis.tokens - axis.window);
  return {begin, begin + axis.window};
}

std::int64_t kept_pairs(const AxisClass& axis, Range queries, Range keys) {
  const std::int64_t end = std::min(queries.end, axis.tokens);
  std::int64_t pairs = 0;
  for (std::int64_t q = queries.begin; q < end;) {
    // Queries of one stride group keep the same keys, but for the causal end.
    const std::int64_t next = axis.causal ? q + 1 : std::min(end, (q / axis.stride + 1) * axis.stride);
    pairs += (next - q) * overlap(kept_keys(axis, q), keys);
    q = next;
  }
  return pairs;
}

AxisTiles axis_tiles(const AxisClass& axis, Range queries, std::int64_t tile_kv) {
  const Range first = kept_keys(axis, std::min(queries.begin, axis.tokens - 1));
  const Range last = kept_keys(axis, std::min(queries.end, axis.tokens) - 1);
  AxisTiles tiles;
  tiles.visited = {first.begin / tile_kv, ceil_div(last.end, tile_kv)};
  const std::int64_t dense_end = first.end == axis.tokens ? ceil_div(first.end, tile_kv) : first.end / tile_kv;
  tiles.dense.begin = std::min(ceil_div(last.begin, tile_kv), tiles.visited.end);
  tiles.dense.end = std::max(tiles.dense.begin, dense_end);
  return tiles;
}

std::int64_t dynamic_tiles(const AxisClass& axis, Range queries, std::int64_t tile_kv) {
  return tiles_from_first_key(axis, queries, tile_kv).visited.end;
}

std::int64_t first_key(const AxisClass& axis, Range queries) {
  return kept_keys(axis, std::min(queries.begin, axis.tokens - 1)).begin;
}

AxisTiles tiles_from_first_key(const AxisClass& axis, Range queries, std::int64_t tile_kv) {
  const Range first = kept_keys(axis, std::min(queries.begin, axis.tokens - 1));
  const Range last = kept_keys(axis, std::min(queries.end, axis.tokens) - 1);
  AxisTiles tiles;
  tiles.visited = {0, ceil_div(last.end - first.begin, tile_kv)};
  tiles.dense.begin = ceil_div(last.begin - first.begin, tile_kv);
  tiles.dense.end = std::max(tiles.dense.begin, (first.end - first.begin) / tile_kv);
  return tiles;
}

bool fully_block_sparse(const AxisClass& axis, std::int64_t tile_q, std::int64_t tile_kv) {
  for (std::int64_t q = 0; q < axis.tokens; q += tile_q) {
    const AxisTiles tiles = axis_tiles(axis, {q, q + tile_q}, tile_kv);
    if (tiles.visited.begin != tiles.dense.begin || tiles.visited.end != tiles.dense.end) return false;
  }
  return true;
}

bool natten_fully_block_sparse(const AxisClass& axis, std::int64_t tile_q, std::int64_t tile_kv) {
  if (axis.causal) return false;
  if (axis.window == axis.tokens) return true;
  if (axis.stride % tile_q != 0 || axis.window % tile_kv != 0) return false;
  const std::int64_t last_leader = std::min(axis.tokens / axis.stride * axis.stride + axis.stride / 2, axis.tokens - 1);
  const bool last_aligned = axis.tokens % axis.stride == 0 || kept_keys(axis, last_leader).begin % tile_kv == 0;
  if (!last_aligned) return false;
  if ((left_of(axis.window) - axis.stride / 2) % tile_kv == 0) return true;
  // Two groups, and both windows are shifted to an end.
  return axis.tokens % tile_kv == 0 && ceil_div(axis.tokens, axis.stride) == 2 &&
         axis.stride + axis.stride / 2 >= axis.tokens - axis.window;
}

}  // namespace attnsim
