// SPDX-License-Identifier: Apache-2.0
// What a speedup against a baseline is worth, rung by rung.
//   promise = T_rung(baseline) / T_rung(variant)   what a model that stops here would tell
//   bound   = T_best(baseline) / T_rung(variant)   T_best: measured if there is one, else simulated
#pragma once

#include <array>
#include <optional>

#include "sim/result/result.h"

namespace attnsim {

struct Comparison {
  std::array<std::optional<double>, kRungCount> promise;  // absent where either side is
  std::array<std::optional<double>, kRungCount> bound;
  bool baseline_measured = false;  // which of the two T_best is
};
[[nodiscard]] Comparison compare(const Ladder& variant, const Ladder& baseline);

}  // namespace attnsim
