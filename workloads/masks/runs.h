// SPDX-License-Identifier: Apache-2.0
// Lists of tile runs, built and cut.
#pragma once

#include <vector>

#include "workloads/masks/mask.h"

namespace attnsim {

// Appends a run behind the others; tiles of one kind at equal distances become one run.
void append_run(std::vector<TileRun>& runs, const TileRun& run);
// Appends [begin, end) where it is not empty, joined to the run before it when that ends there and is of the same kind.
inline void append_run(std::vector<TileRun>& runs, std::int64_t begin, std::int64_t end, bool partial) {
  if (begin < end) append_run(runs, {begin, end - begin, partial});
}
// Tiles in all runs.
[[nodiscard]] std::int64_t tiles_in(const std::vector<TileRun>& runs);
// The visited tiles number [begin, end) of the list.
[[nodiscard]] std::vector<TileRun> slice_of(const std::vector<TileRun>& runs, std::int64_t begin, std::int64_t end);
// The same tiles, and every other of `tiles` as a partial one.
[[nodiscard]] std::vector<TileRun> with_absent(const std::vector<TileRun>& runs, std::int64_t tiles);

}  // namespace attnsim
