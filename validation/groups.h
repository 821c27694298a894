// SPDX-License-Identifier: Apache-2.0
// Outcomes by file, device, kernel, phase and band of measured time. Beside them one group per file and device over all kernels and
// phases ("all", "all").
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "validation/evaluate.h"
#include "validation/statistics.h"

namespace attnsim {

enum class SizeBand { all, gt_50us, le_50us };
[[nodiscard]] std::string_view name_of(SizeBand band);

struct Group {
  std::string file, device, kernel, phase;
  SizeBand band = SizeBand::all;
  ErrorSummary errors;
  std::optional<double> speedup_mape;
  std::optional<double> roofline_mape;  // rows whose FLOPs, bytes and chip are known
  std::optional<double> fitted_roofline_mape;
  std::string chip;                    // "" when not known
  std::vector<std::string> schedules;  // that its rows were mapped to, sorted
};

// In order of first appearance of file and device; "all" first, then kernels and phases in order of appearance; three bands each.
[[nodiscard]] std::vector<Group> group_outcomes(std::span<const RowOutcome> outcomes);

// For each row, the row that its speedup is taken against: of the same file, device, set, dtype, shape and pass the one with the densest
// mask; among equals of the same kernel, then the fastest, then the first. Absent for that row itself and others as dense.
[[nodiscard]] std::vector<std::optional<std::size_t>> speedup_baselines(std::span<const RowOutcome> outcomes);

}  // namespace attnsim
