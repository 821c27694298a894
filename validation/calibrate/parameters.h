// SPDX-License-Identifier: Apache-2.0
// What a fit may change: figures of a chip and members of a harness that have a physical meaning, each with the range that physics and
// published microbenchmarks allow. A new one is one row of the table in parameters.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/chip.h"
#include "workloads/harness.h"

namespace attnsim {

struct FitParameter {
  std::string_view name;  // dotted path of a chip figure (hwmodels/figures.h), or a member of a harness
  std::string_view unit;
  bool of_harness;
  bool relative;  // bounds in units of the chip's own value
  double min, max;
  std::string_view meaning;
  std::string_view bounds_source;
};
[[nodiscard]] std::span<const FitParameter> fit_parameters();

inline constexpr int kMostFittedOfHarness = 4;  // of a chip: kMostFittedFigures

// Throws ConfigError with the nearest name.
[[nodiscard]] const FitParameter& fit_parameter(const std::string& name);

struct Bounds {
  double min = 0, max = 0;
};
[[nodiscard]] Bounds bounds_of(const FitParameter& parameter, const Chip& chip);
[[nodiscard]] double value_of(const FitParameter& parameter, const Chip& chip);
[[nodiscard]] double value_of(const FitParameter& parameter, const Conditions& conditions, const Harness& harness);
// Sets a member of a harness on the conditions of a row of that phase; members of other phases leave them as they are.
void set_value(const FitParameter& parameter, double value, const std::string& phase, Conditions& conditions);

}  // namespace attnsim
