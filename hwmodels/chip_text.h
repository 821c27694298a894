// SPDX-License-Identifier: Apache-2.0
// The text of `attnsim show CHIP`:
//
//   toy-sm80: Toy chip with round numbers ... (toy, isa sm_80, matrix instructions mma_sync)
//   figure                      value  unit      status     source
//   sm.count                        4  SMs       estimated  toy chip: round number for checks by hand
//   ...
//   derived at 1000 MHz         value  unit
//   peak bf16                   4.096  TFLOP/s
//   ...
#pragma once

#include <string>
#include <vector>

#include "hwmodels/chip.h"

namespace attnsim {

struct FigureRow {
  std::string path;
  double value = 0;
  std::string value_text;  // shortest decimal text, true or false
  std::string unit;
  std::string status;
  std::string source;
};
// Every figure of the chip (absent matrix rates left out), links last.
[[nodiscard]] std::vector<FigureRow> figure_rows(const Chip& chip);

struct DerivedRow {
  std::string name;
  double value = 0;
  std::string unit;
};
// Peaks that follow from the figures, at clock.boost_mhz: nothing here is stored.
[[nodiscard]] std::vector<DerivedRow> derived_rows(const Chip& chip);

[[nodiscard]] std::string chip_text(const Chip& chip, bool only_fitted = false);

}  // namespace attnsim
