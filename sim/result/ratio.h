// SPDX-License-Identifier: Apache-2.0
// A metric or counter that a result does not have is no number.
#pragma once

#include <limits>

namespace attnsim {

inline constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

[[nodiscard]] inline double ratio(double a, double b) {
  return b > 0 ? a / b : kAbsent;
}

}  // namespace attnsim
