// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/runs.h"

#include <algorithm>

namespace attnsim {

void append_run(std::vector<TileRun>& runs, const TileRun& run) {
  if (run.count <= 0) return;
  if (!runs.empty() && runs.back().partial == run.partial) {
    TileRun& last = runs.back();
    const std::int64_t gap = run.first - last.last();
    const bool goes_on = last.count == 1 || last.step == gap;
    if (goes_on && (run.count == 1 || run.step == gap)) {
      last.step = gap;
      last.count += run.count;
      return;
    }
  }
  runs.push_back(run);
  if (run.count == 1) runs.back().step = 1;
}

std::int64_t tiles_in(const std::vector<TileRun>& runs) {
  std::int64_t tiles = 0;
  for (const TileRun& run : runs) tiles += run.count;
  return tiles;
}

std::vector<TileRun> slice_of(const std::vector<TileRun>& runs, std::int64_t begin, std::int64_t end) {
  std::vector<TileRun> slice;
  std::int64_t before = 0;
  for (const TileRun& run : runs) {
    const std::int64_t from = std::max<std::int64_t>(begin - before, 0);
    const std::int64_t to = std::min(end - before, run.count);
    if (from < to) append_run(slice, {run.first + from * run.step, to - from, run.partial, run.step});
    before += run.count;
  }
  return slice;
}

std::vector<TileRun> with_absent(const std::vector<TileRun>& runs, std::int64_t tiles) {
  std::vector<TileRun> all;
  std::int64_t next = 0;
  for (const TileRun& run : runs) {
    const std::int64_t pieces = run.step == 1 ? 1 : run.count;
    for (std::int64_t i = 0; i < pieces; ++i) {
      const std::int64_t first = run.first + i * run.step;
      const std::int64_t end = first + run.count / pieces;
      append_run(all, next, first, true);
      append_run(all, first, end, run.partial);
      next = end;
    }
  }
  append_run(all, next, tiles, true);
  return all;
}

}  // namespace attnsim
