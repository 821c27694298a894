// SPDX-License-Identifier: Apache-2.0
// Counters that a kernel or a profiler counted, and what a prediction says of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/result/result.h"

namespace attnsim {

// `name` is one of metrics(), or of counters(): those are summed over the pipeline's kernels, percentages averaged by time, grid and CTA
// figures taken of the longest kernel. Absent for other names and where the prediction has no value.
[[nodiscard]] std::optional<double> predicted_counter(const Result& result, std::string_view name);
// Whether some prediction may have it.
[[nodiscard]] bool is_counter(std::string_view name);

struct CounterPair {
  std::string name;
  double measured = 0;
  std::optional<double> predicted;  // absent where the model has no such number
};
// Mean and worst error by kernel and counter; "" without counters.
[[nodiscard]] std::string counters_text(const std::vector<std::pair<std::string, CounterPair>>& by_kernel);

// "dram__bytes_read.sum=1024;lts__t_sector_hit_rate.pct=98.5": a cell of a table of rows. The reader throws std::invalid_argument with what
// is no pair of name and number.
[[nodiscard]] std::string counters_cell(const std::map<std::string, double>& counters);
[[nodiscard]] std::map<std::string, double> read_counters_cell(const std::string& text);

}  // namespace attnsim
