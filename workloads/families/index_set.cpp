// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/index_set.h"

#include <algorithm>

namespace attnsim {

namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}
std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return -floor_div(-a, b);
}

// First key not kept on the right of query q, first key kept on the left; before clipping to the keys that exist.
std::int64_t right_end(const IndexSet& s, std::int64_t q) {
  return q + s.band.shift + s.band.upper + 1;
}
std::int64_t left_end(const IndexSet& s, std::int64_t q) {
  return q + s.band.shift + s.band.lower;
}

// Sum over q in [first, last) of clamp(q + offset, low, high).
std::int64_t sum_clamped(std::int64_t first, std::int64_t last, std::int64_t offset, std::int64_t low, std::int64_t high) {
  const std::int64_t rise = std::clamp(low - offset, first, last);  // below: low
  const std::int64_t flat = std::clamp(high - offset, rise, last);  // from here: high
  const std::int64_t n = flat - rise;
  const std::int64_t middle = n > 0 ? n * (rise + offset) + n * (n - 1) / 2 : 0;
  return low * (rise - first) + middle + high * (last - flat);
}

// Kept pairs of whole tokens [first, last), one row each.
std::int64_t kept_tokens(const IndexSet& s, std::int64_t first, std::int64_t last, std::int64_t key_begin, std::int64_t key_end) {
  if (first >= last || key_begin >= key_end || s.band.lower > s.band.upper) return 0;
  return sum_clamped(first, last, s.band.shift + s.band.upper + 1, key_begin, key_end) -
         sum_clamped(first, last, s.band.shift + s.band.lower, key_begin, key_end);
}

// KV tiles [begin, end) that a row tile visits, of which [full_begin, full_end) need no mask.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t full_begin = 0;
  std::int64_t full_end = 0;
};

Range range_of(const IndexSet& s, const Tiling& t, std::int64_t row_begin, std::int64_t row_end) {
  const std::int64_t first = row_begin / s.row_group;
  const std::int64_t last = (row_end - 1) / s.row_group;
  const std::int64_t key_begin = std::clamp<std::int64_t>(left_end(s, first), 0, s.kv_len);
  const std::int64_t key_end = std::clamp<std::int64_t>(right_end(s, last), 0, s.kv_len);
  Range r;
  if (t.visit_absent) {
    r.end = ceil_div(s.kv_len, t.tile_kv);
  } else if (key_begin < key_end && s.band.lower <= s.band.upper) {
    r.begin = key_begin / t.tile_kv;
    r.end = ceil_div(key_end, t.tile_kv);
  } else {
    return r;
  }
  const std::int64_t all_begin = std::clamp<std::int64_t>(left_end(s, last), 0, s.kv_len);
  const std::int64_t all_end = std::clamp<std::int64_t>(right_end(s, first), 0, s.kv_len);
  r.full_begin = std::clamp(ceil_div(all_begin, t.tile_kv), r.begin, r.end);
  r.full_end = std::clamp(all_end / t.tile_kv, r.full_begin, r.end);
  return r;
}

void add_run(std::vector<ir::TripRun>& runs, std::int64_t begin, std::int64_t end, bool partial, bool descending) {
  if (begin >= end) return;
  runs.push_back({descending ? end - 1 : begin, end - begin, descending ? -1 : 1, partial});
}

// Takes the first trip off the first run and marks it partial.
void mask_first(std::vector<ir::TripRun>& runs) {
  if (runs.empty() || runs.front().partial) return;
  ir::TripRun& front = runs.front();
  const ir::TripRun first{front.first, 1, front.step, true};
  front.first += front.step;
  if (--front.count == 0) {
    front = first;
  } else {
    runs.insert(runs.begin(), first);
  }
}

std::vector<ir::TripRun> runs_of(const Range& r, std::int64_t begin, std::int64_t end, const Tiling& t) {
  const auto inside = [&](std::int64_t tile) { return std::clamp(tile, begin, end); };
  std::vector<ir::TripRun> runs;
  add_run(runs, begin, inside(r.full_begin), true, t.descending);
  add_run(runs, inside(r.full_begin), inside(r.full_end), false, t.descending);
  add_run(runs, inside(r.full_end), end, true, t.descending);
  if (t.descending) std::reverse(runs.begin(), runs.end());
  if (t.mask_first_trip) mask_first(runs);
  return runs;
}

}  // namespace

std::int64_t kept_pairs(const IndexSet& set, std::int64_t row_begin, std::int64_t row_end, std::int64_t key_begin, std::int64_t key_end) {
  if (row_begin >= row_end) return 0;
  const std::int64_t g = set.row_group;
  const std::int64_t first = row_begin / g;
  const std::int64_t last = (row_end - 1) / g;
  // Whole tokens of the rows touched, less the rows cut off at both ends.
  return g * kept_tokens(set, first, last + 1, key_begin, key_end) -
         (row_begin - first * g) * kept_tokens(set, first, first + 1, key_begin, key_end) -
         ((last + 1) * g - row_end) * kept_tokens(set, last, last + 1, key_begin, key_end);
}

Cuts cuts(const IndexSet& set, std::int64_t tile_kv) {
  Cuts c;
  c.upper = right_end(set, 0) < set.kv_len;
  c.lower = left_end(set, set.q_len - 1) > 0;
  // Where the upper bound of the last query lies beyond the keys, it can't hide the columns that do not exist.
  const bool hidden = c.upper && right_end(set, set.q_len - 1) <= set.kv_len;
  c.extent = set.kv_len % tile_kv != 0 && !hidden;
  return c;
}

std::vector<ir::RowTile> row_tiles(const IndexSet& set, const Tiling& tiling) {
  std::vector<ir::RowTile> tiles;
  tiles.reserve(static_cast<std::size_t>(ceil_div(set.rows(), tiling.tile_q) * tiling.splits));
  for (std::int64_t row = 0; row < set.rows(); row += tiling.tile_q) {
    const std::int64_t row_end = std::min(row + tiling.tile_q, set.rows());
    const Range range = range_of(set, tiling, row, row_end);
    const std::int64_t per_split = ceil_div(range.end - range.begin, tiling.splits);
    for (std::int64_t split = 0; split < tiling.splits; ++split) {
      const std::int64_t begin = std::min(range.begin + split * per_split, range.end);
      const std::int64_t end = std::min(begin + per_split, range.end);
      ir::RowTile tile;
      tile.row_begin = row;
      tile.rows = row_end - row;
      tile.runs = runs_of(range, begin, end, tiling);
      tile.kept = kept_pairs(set, row, row_end, begin * tiling.tile_kv, std::min(end * tiling.tile_kv, set.kv_len));
      tile.split = static_cast<int>(split);
      tile.peers = static_cast<int>(tiling.splits);
      tile.flag = begin == end;
      tiles.push_back(std::move(tile));
    }
  }
  return tiles;
}

}  // namespace attnsim
