// SPDX-License-Identifier: Apache-2.0
// What a prediction says of a counter that a kernel or a profiler counted.
#pragma once

#include <optional>
#include <string_view>

#include "sim/result/result.h"

namespace attnsim {

// `name` is one of metrics(), or of counters(): those are summed over the pipeline's kernels, percentages averaged by time, grid and CTA
// figures taken of the longest kernel. Absent for other names and where the prediction has no value.
[[nodiscard]] std::optional<double> predicted_counter(const Result& result, std::string_view name);

}  // namespace attnsim
