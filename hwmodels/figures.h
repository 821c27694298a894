// SPDX-License-Identifier: Apache-2.0
// The one table of chip figures. Reading, range checks, the JSON Schema and the listing all follow from it: a new figure of a
// chip is a member in chip.h and one row in figures.cpp.
#pragma once

#include <span>
#include <string_view>

#include "hwmodels/chip.h"

namespace attnsim {

enum class FigureKind { number, integer, boolean };

struct Figure {
  std::string_view path;  // dotted, section first: hbm.bandwidth_gb_per_s
  std::string_view unit;  // as printed
  std::string_view description;
  FigureKind kind;
  double min;
  double max;
  bool min_exclusive;
  bool optional;  // absent means that the chip lacks the unit
  double (*get)(const Chip&);
  void (*set)(Chip&, double);
};
[[nodiscard]] std::span<const Figure> figure_table();  // sections are contiguous, in the order of the documents

[[nodiscard]] std::span<const std::string_view> status_names();  // in the order of FigureStatus
[[nodiscard]] std::string_view name_of(FigureStatus status);
[[nodiscard]] std::span<const std::string_view> isa_choices();
[[nodiscard]] std::span<const std::string_view> instruction_choices();

inline constexpr int kMostFittedFigures = 6;

}  // namespace attnsim
