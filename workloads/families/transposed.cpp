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

QueryLists query_lists(const Mask& mask, const Tiling& t, std::int64_t before) {
  const std::int64_t tiles = ceil_div(mask.kv_len(), t.tile_kv);
  struct Of {
    std::vector<std::int32_t> queries;
    std::int64_t kept = 0;
    bool partial = false;
  };
  std::vector<Of> lists(static_cast<std::size_t>(tiles));
  std::vector<TileRun> runs;
  for (std::int64_t q = 0; q < mask.q_len(); ++q) {
    mask.put_runs({q, q + 1}, t.tile_kv, runs);
    for (const TileRun& run : runs) {
      for (std::int64_t i = 0; i < run.count; ++i) {
        const std::int64_t at = run.first + i * run.step;
        const Range keys{at * t.tile_kv, std::min((at + 1) * t.tile_kv, mask.kv_len())};
        Of& list = lists[static_cast<std::size_t>(at)];
        list.queries.push_back(static_cast<std::int32_t>(q));
        const std::int64_t kept = run.partial ? mask.kept({q, q + 1}, keys) : keys.end - keys.begin;
        list.kept += kept;
        list.partial = list.partial || kept < keys.end - keys.begin;
      }
    }
  }
  QueryLists out;
  for (std::int64_t at = 0; at < tiles; ++at) {
    const Of& list = lists[static_cast<std::size_t>(at)];
    const auto length = static_cast<std::int64_t>(list.queries.size());
    ir::RowTile tile;
    tile.row_begin = at * t.tile_kv;
    tile.rows = std::min(t.tile_kv, mask.kv_len() - tile.row_begin);
    tile.kept = list.kept;
    const std::int64_t trips = ceil_div(length, t.tile_q);
    const std::int64_t first = (before + static_cast<std::int64_t>(out.query.size())) / t.tile_q;
    const std::int64_t full = list.partial ? 0 : length / t.tile_q;
    if (full > 0) tile.runs.push_back({first, full, 1, false});
    if (trips > full) tile.runs.push_back({first + full, trips - full, 1, true});
    out.query.insert(out.query.end(), list.queries.begin(), list.queries.end());
    out.query.resize(static_cast<std::size_t>(static_cast<std::int64_t>(out.query.size()) + trips * t.tile_q - length), -1);
    out.tiles.push_back(std::move(tile));
  }
  return out;
}

namespace {

// `fits` is cleared where the expression reads tables.
Expression with_listed_query(const Expression& e, bool& fits) {
  ExpressionNode node = e.node();
  switch (node.kind) {
    case ExpressionKind::query: return query_value(0);
    case ExpressionKind::query_value:
    case ExpressionKind::key_value:
    case ExpressionKind::pair_value: fits = false; break;
    default: break;
  }
  for (Expression& operand : node.of) operand = with_listed_query(operand, fits);
  return Expression(std::move(node));
}

}  // namespace

std::optional<MaskTest> by_place(const MaskTest& test, const std::vector<std::int32_t>& query) {
  MaskTest listed;
  bool fits = true;
  for (const Expression& e : test.all_of) listed.all_of.push_back(with_listed_query(e, fits));
  if (!fits) return std::nullopt;
  listed.query_values.emplace_back(query.begin(), query.end());
  return listed;
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
