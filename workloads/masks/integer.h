// SPDX-License-Identifier: Apache-2.0
// Division that rounds down or up, for either sign of `a`; b > 0.
#pragma once

#include <cstdint>

namespace attnsim {

[[nodiscard]] constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}
[[nodiscard]] constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return -floor_div(-a, b);
}

}  // namespace attnsim
