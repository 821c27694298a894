// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/band.h"

#include <algorithm>

#include "workloads/masks/integer.h"

namespace attnsim {

namespace {

// Sum over q in [first, last) of clamp(q + offset, low, high).
std::int64_t sum_clamped(std::int64_t first, std::int64_t last, std::int64_t offset, std::int64_t low, std::int64_t high) {
  const std::int64_t rise = std::clamp(low - offset, first, last);  // below: low
  const std::int64_t flat = std::clamp(high - offset, rise, last);  // from here: high
  const std::int64_t n = flat - rise;
  const std::int64_t middle = n > 0 ? n * (rise + offset) + n * (n - 1) / 2 : 0;
  return low * (rise - first) + middle + high * (last - flat);
}

}  // namespace

bool BandMask::keeps(std::int64_t q, std::int64_t k) const {
  const std::int64_t offset = k - q - band_.shift;
  return band_.lower <= offset && offset <= band_.upper;
}

std::vector<TileRun> BandMask::runs(Range queries, std::int64_t tile_kv) const {
  std::vector<TileRun> runs;
  runs.reserve(3);
  put_runs(queries, tile_kv, runs);
  return runs;
}

void BandMask::put_runs(Range queries, std::int64_t tile_kv, std::vector<TileRun>& list) const {
  list.clear();
  if (queries.empty() || band_.lower > band_.upper) return;
  const std::int64_t last = queries.end - 1;
  const std::int64_t key_begin = std::clamp<std::int64_t>(left_end(queries.begin), 0, kv_len());
  const std::int64_t key_end = std::clamp<std::int64_t>(right_end(last), 0, kv_len());
  if (key_begin >= key_end) return;
  const std::int64_t begin = key_begin / tile_kv;
  const std::int64_t end = ceil_div(key_end, tile_kv);
  const std::int64_t all_begin = std::clamp<std::int64_t>(left_end(last), 0, kv_len());
  const std::int64_t all_end = std::clamp<std::int64_t>(right_end(queries.begin), 0, kv_len());
  const std::int64_t full_begin = std::clamp(ceil_div(all_begin, tile_kv), begin, end);
  const std::int64_t full_end = std::clamp(all_end / tile_kv, full_begin, end);
  if (full_begin == full_end) {
    list.push_back({begin, end - begin, true});
    return;
  }
  list.resize(3);  // filled in place: million-token sequences come by here once a row tile
  std::size_t n = 0;
  if (begin < full_begin) list[n++] = {begin, full_begin - begin, true};
  list[n++] = {full_begin, full_end - full_begin, false};
  if (full_end < end) list[n++] = {full_end, end - full_end, true};
  list.resize(n);
}

std::int64_t BandMask::kept(Range queries, Range keys) const {
  if (queries.empty() || keys.empty() || band_.lower > band_.upper) return 0;
  return sum_clamped(queries.begin, queries.end, band_.shift + band_.upper + 1, keys.begin, keys.end) -
         sum_clamped(queries.begin, queries.end, band_.shift + band_.lower, keys.begin, keys.end);
}

MaskTest BandMask::test() const {
  MaskTest test;
  if (band_.upper < kUnbounded) test.all_of.push_back(key() <= query() + (band_.shift + band_.upper));
  if (band_.lower > -kUnbounded) test.all_of.push_back(query() + (band_.shift + band_.lower) <= key());
  return test;
}

}  // namespace attnsim
