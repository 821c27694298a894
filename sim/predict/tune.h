// SPDX-License-Identifier: Apache-2.0
// Neighbourhoods tuned: every stride and compiled tile shape of a layout and its windows, ranked by simulated time.
//
//   {"chip": "h100-sxm", "layout": "32768", "windows": ["2048"], "heads": 1, "head_dim": 128}
//
// Candidates of one schedule, tile shape and window whose query tiles visit the same KV tiles, all with or all without a test of scores,
// are one: the smallest stride stands for them. Candidates are simulated in order of their schedule bound, in waves; one whose bound is
// above the time of the last place asked for, and that cannot stand on the front, is not. The answer does not depend on threads.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/core/json_fwd.h"
#include "sim/predict/predict.h"

namespace attnsim {

using Extents = std::vector<std::int64_t>;

struct TuneConfig {
  std::string file;
  Chip chip;
  Extents layout, dilation, causal;
  std::vector<Extents> windows;
  std::vector<Extents> strides;  // empty: per axis 1, powers of two up to the window, the window
  Problem problem;               // shape and dtype; params without window and stride
  std::vector<std::string> schedules;
  Conditions conditions;
  std::string harness;
  std::size_t top = 10;  // places that are surely right
};
// Throws ConfigError with every issue. Schedules default to those with tile shapes that run on the chip's isa: its newest first.
[[nodiscard]] TuneConfig parse_tune_config(const JsonDocument& document);

struct TuneCandidate {
  std::string schedule;
  Extents window, stride, q_tile, kv_tile;
  std::int64_t equal_strides = 1;  // strides that do the same work
  bool block_sparse = false;       // no score is tested for its window
  double sparsity = 0;             // 1 - kept pairs / all pairs
  double tile_sparsity = 0;        // 1 - visited tiles / all tiles, of the first dilation class
  double visited_mean = 0;         // KV tiles of a query tile
  std::int64_t visited_most = 0;
  std::int64_t kv_tiles = 0;
  double bound_us = 0;
  std::optional<double> time_us;  // absent: not simulated
  bool front = false;             // no other is as sparse, as fine in stride and faster
};

struct Tuning {
  std::vector<TuneCandidate> candidates;  // simulated ones by time, then the others by bound
  std::int64_t strides_seen = 0;          // candidates before equal ones were joined
  std::int64_t refused = 0;               // that the chip or schedule can't run
  std::string refusal;                    // one of the reasons
  std::string dense_schedule;
  double dense_us = 0;
};

// `step` is called after each prediction, from any thread.
[[nodiscard]] Tuning tune(const TuneConfig& config, int threads, const std::function<void()>& step = {});

}  // namespace attnsim
