// SPDX-License-Identifier: Apache-2.0
// A plan of timings as data (validation/bench/plans/BACKEND-NAME.json, or a file of the user):
//   {"name": "quick", "description": "...", "policy": {"seconds": 0.2, "min_samples": 5, "noise": 0.01},
//    "rows": [{"kernels": ["fa2-*"], "dtype": ["bf16"], "head_dim": [64, 128], "kv_len": [1024, 8192], "q_heads": [32], "kv_heads": [8],
//              "masks": ["causal", {"mask": "window", "left": 1023}]}]}
// Every entry stands for all combinations of its lists. Without q_len it is kv_len.
#pragma once

#include <string>
#include <vector>

#include "validation/bench/backend.h"

namespace attnsim::bench {

struct PlannedRow {
  std::string kernel;
  Shape shape;
};
struct Plan {
  std::string name;
  TimingPolicy policy;
  std::vector<PlannedRow> rows;      // in an order that keeps neighbours in shape apart in time
  std::vector<std::string> refused;  // "KERNEL: SHAPE: why", of kernels that were named in full
};

// "quick", "full" or a file. Throws ConfigError.
[[nodiscard]] Plan load_plan(const std::string& name, const Backend& backend);

}  // namespace attnsim::bench
