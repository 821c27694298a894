// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/index_set.h"

#include <algorithm>

#include "workloads/masks/integer.h"
#include "workloads/masks/runs.h"

namespace attnsim {

namespace {

// Takes the first trip off the first run and marks it partial.
void mask_first(ir::TripRuns& runs) {
  if (runs.empty() || runs.front().partial) return;
  ir::TripRun& front = runs.front();
  const ir::TripRun first{front.first, 1, front.step, true};
  front.first += front.step;
  if (--front.count == 0) {
    front = first;
  } else {
    runs.push_front(first);
  }
}

// Up to the ends of the first and the last step of tiles.
std::vector<TileRun> in_steps(const std::vector<TileRun>& runs, std::int64_t step) {
  if (runs.empty()) return {};
  std::vector<TileRun> whole;
  append_run(whole, runs.front().first / step * step, runs.front().first, true);
  for (const TileRun& run : runs) append_run(whole, run);
  const std::int64_t end = runs.back().last() + 1;
  append_run(whole, end, ceil_div(end, step) * step, true);
  return whole;
}

void put_visited(const IndexSet& set, const Tiling& t, std::int64_t row_begin, std::int64_t row_end, std::vector<TileRun>& runs) {
  const bool packed = set.row_group > 1;
  const Range queries = packed ? Range{row_begin / set.row_group, (row_end - 1) / set.row_group + 1} : Range{row_begin, row_end};
  set.mask->put_runs(queries, t.tile_kv, runs);
  if (t.visit_absent) {
    runs = with_absent(runs, ceil_div(set.kv_len(), t.tile_kv));
  } else if (t.step > 1) {
    runs = in_steps(runs, t.step);
  }
}

// Into a list that is empty.
void put_trips(const std::vector<TileRun>& tiles, const Tiling& t, ir::TripRuns& runs) {
  runs.reserve(tiles.size() + (t.mask_first_trip ? 1 : 0));
  for (const TileRun& run : tiles) {
    const auto step = static_cast<int>(run.step);
    runs.push_back({t.descending ? run.last() : run.first, run.count, t.descending ? -step : step, run.partial});
  }
  if (t.descending) std::reverse(runs.begin(), runs.end());
  if (t.mask_first_trip) mask_first(runs);
}

}  // namespace

ir::TripRuns trips_of(const std::vector<TileRun>& tiles, const Tiling& t) {
  ir::TripRuns runs;
  put_trips(tiles, t, runs);
  return runs;
}

std::int64_t kept_pairs(const IndexSet& set, std::int64_t row_begin, std::int64_t row_end, std::int64_t key_begin, std::int64_t key_end) {
  if (row_begin >= row_end || key_begin >= key_end) return 0;
  const std::int64_t g = set.row_group;
  const Range keys{key_begin, key_end};
  if (g == 1) return set.mask->kept({row_begin, row_end}, keys);
  const std::int64_t first = row_begin / g;
  const std::int64_t last = (row_end - 1) / g;
  // Whole tokens of the rows touched, less the rows cut off at both ends.
  std::int64_t kept = g * set.mask->kept({first, last + 1}, keys);
  if (row_begin > first * g) kept -= (row_begin - first * g) * set.mask->kept({first, first + 1}, keys);
  if (row_end < (last + 1) * g) kept -= ((last + 1) * g - row_end) * set.mask->kept({last, last + 1}, keys);
  return kept;
}

Cuts cuts(const IndexSet& set, std::int64_t tile_kv) {
  const std::optional<Band> band = set.mask->band();
  Cuts c;
  c.other = !band;
  bool hidden = false;  // the columns that do not exist
  if (band) {
    const std::int64_t behind_first = band->shift + band->upper + 1;
    c.upper = behind_first < set.kv_len();
    c.lower = set.q_len() - 1 + band->shift + band->lower > 0;
    hidden = c.upper && set.q_len() - 1 + behind_first <= set.kv_len();
  }
  c.extent = set.kv_len() % tile_kv != 0 && !hidden;
  return c;
}

std::vector<ir::RowTile> row_tiles(const IndexSet& set, const Tiling& tiling) {
  std::vector<ir::RowTile> tiles;
  tiles.reserve(static_cast<std::size_t>(ceil_div(set.rows(), tiling.tile_q) * tiling.splits));
  std::vector<TileRun> runs;
  std::vector<TileRun> slice;
  for (std::int64_t row = 0; row < set.rows(); row += tiling.tile_q) {
    const std::int64_t row_end = std::min(row + tiling.tile_q, set.rows());
    put_visited(set, tiling, row, row_end, runs);
    const bool whole = tiling.splits == 1;
    const std::int64_t count = tiles_in(runs);
    const std::int64_t per_split = whole ? count : ceil_div(ceil_div(count, tiling.step), tiling.splits) * tiling.step;
    for (std::int64_t split = 0; split < tiling.splits; ++split) {
      const std::int64_t begin = std::min(split * per_split, count);
      const std::int64_t end = std::min(begin + per_split, count);
      if (!whole) slice = slice_of(runs, begin, end);
      const std::vector<TileRun>& piece = whole ? runs : slice;
      ir::RowTile& tile = tiles.emplace_back();
      tile.row_begin = row;
      tile.rows = row_end - row;
      if (!piece.empty()) {
        const std::int64_t keys_end = (piece.back().last() + 1) * tiling.tile_kv;
        tile.kept = kept_pairs(set, row, row_end, piece.front().first * tiling.tile_kv, std::min(keys_end, set.kv_len()));
      }
      put_trips(piece, tiling, tile.runs);
      tile.split = static_cast<int>(split);
      tile.peers = static_cast<int>(tiling.splits);
      tile.flag = begin == end;
      if (tile.flag && tiling.visit_in_empty) {
        tile.runs = {{.first = ceil_div(set.kv_len(), tiling.tile_kv), .count = 1, .step = 1, .partial = true}};
        tile.flag = false;
      }
    }
  }
  return tiles;
}

}  // namespace attnsim
