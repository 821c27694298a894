// SPDX-License-Identifier: Apache-2.0
// Block patterns from files: which [block_q x block_k] blocks a head keeps.
//
//   .json  {"rows": 3, "columns": 3, "heads": [[[[0, 1]], [[0, 2]], [[0, 1], [2, 1]]]]}    per head, per block row: [first, count] runs
//   .npy   bool or 8-bit integers, C order, [rows, columns] or [heads, rows, columns]; not 0: kept
//   else   run lists: a line `rows columns heads`, then lines `head row first count`, heads and rows ascending; # comments
#pragma once

#include <string>
#include <vector>

#include "workloads/masks/block_mask.h"

namespace attnsim {

// One pattern per head of the file. Throws ConfigError at `pointer`, naming the file and the place in it.
[[nodiscard]] std::vector<std::shared_ptr<const BlockPattern>> load_patterns(const std::string& path, const std::string& pointer);

}  // namespace attnsim
