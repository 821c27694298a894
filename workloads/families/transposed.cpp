// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/transposed.h"

#include <algorithm>

#include "sim/core/error.h"
#include "workloads/masks/band.h"
#include "workloads/masks/integer.h"
#include "workloads/masks/runs.h"

namespace attnsim {

namespace {

std::int64_t negated(std::int64_t bound) {
  return bound >= kUnbounded ? -kUnbounded : bound <= -kUnbounded ? kUnbounded : -bound;
}

Expression transposed(const Expression& e) {
  ExpressionNode node = e.node();
  switch (node.kind) {
    case ExpressionKind::query: node.kind = ExpressionKind::key; break;
    case ExpressionKind::key: node.kind = ExpressionKind::query; break;
    case ExpressionKind::query_value: node.kind = ExpressionKind::key_value; break;
    case ExpressionKind::key_value: node.kind = ExpressionKind::query_value; break;
    default: break;
  }
  for (Expression& operand : node.of) operand = transposed(operand);
  return Expression(std::move(node));
}

// What one KV tile gathers while the query tiles pass.
struct Column {
  std::vector<TileRun> runs;
  std::int64_t kept = 0;
};

std::vector<Column> columns_of(const Mask& mask, const Tiling& t) {
  const std::int64_t tiles = ceil_div(mask.kv_len(), t.tile_kv);
  std::vector<Column> columns(static_cast<std::size_t>(tiles));
  for (std::int64_t begin = 0, tile = 0; begin < mask.q_len(); begin += t.tile_q, ++tile) {
    const Range queries{begin, std::min(begin + t.tile_q, mask.q_len())};
    for (const TileRun& run : mask.runs(queries, t.tile_kv)) {
      for (std::int64_t i = 0; i < run.count; ++i) {
        const std::int64_t at = run.first + i * run.step;
        const Range keys{at * t.tile_kv, std::min((at + 1) * t.tile_kv, mask.kv_len())};
        const std::int64_t area = (queries.end - queries.begin) * (keys.end - keys.begin);
        const std::int64_t kept = run.partial ? mask.kept(queries, keys) : area;
        Column& column = columns[static_cast<std::size_t>(at)];
        column.kept += kept;
        // Queries that do not exist count as not kept, keys that do not exist are no rows.
        append_run(column.runs, {tile, 1, kept < area || queries.end - queries.begin < t.tile_q});
      }
    }
  }
  return columns;
}

}  // namespace

MaskTest transposed(const MaskTest& test) {
  MaskTest turned;
  for (const Expression& e : test.all_of) turned.all_of.push_back(transposed(e));
  turned.query_values = test.key_values;
  turned.key_values = test.query_values;
  for (const auto& pair : test.pairs) turned.pairs.push_back([pair](std::int64_t q, std::int64_t k) { return pair(k, q); });
  return turned;
}

std::vector<ir::RowTile> kv_row_tiles(const IndexSet& set, const Tiling& tiling) {
  require(set.row_group == 1, "packed rows have no transpose");
  if (const std::optional<Band> band = set.mask->band()) {
    // lower <= k - (q + shift) <= upper is -upper <= q - (k - shift) <= -lower.
    const Band keys{-band->shift, negated(band->upper), negated(band->lower)};
    const IndexSet turned{std::make_shared<BandMask>(keys, set.kv_len(), set.q_len()), 1};
    return row_tiles(turned, {.tile_q = tiling.tile_kv, .tile_kv = tiling.tile_q, .descending = tiling.descending});
  }
  std::vector<ir::RowTile> tiles;
  for (Column& column : columns_of(*set.mask, tiling)) {
    ir::RowTile tile;
    tile.row_begin = static_cast<std::int64_t>(tiles.size()) * tiling.tile_kv;
    tile.rows = std::min(tiling.tile_kv, set.kv_len() - tile.row_begin);
    tile.kept = column.kept;
    tile.runs = trips_of(column.runs, tiling);
    tiles.push_back(std::move(tile));
  }
  return tiles;
}

}  // namespace attnsim
