// SPDX-License-Identifier: Apache-2.0
// The committed list of points (bench/points.csv, drawn by bench/make_points.py) as requests.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/predict/predict.h"

namespace attnsim::bench {

struct Point {
  std::string label;  // the row of the list
  Request request;
};

// Chips, schedules and harnesses are read here, before any time is taken. Throws ConfigError.
[[nodiscard]] std::vector<Point> read_points(const std::filesystem::path& file);

// A prefill of `length` tokens with head_dim 128 and one K/V head per four query heads.
[[nodiscard]] Request prefill(const std::string& chip, const std::string& schedule, const std::string& variant_name, std::int64_t length,
                              std::int64_t q_heads);

}  // namespace attnsim::bench
