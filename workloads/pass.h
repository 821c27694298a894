// SPDX-License-Identifier: Apache-2.0
// Which direction is computed: attention itself, or the gradients of Q, K and V from the gradient of O.
#pragma once

#include <cstdint>
#include <string_view>

namespace attnsim {

enum class Pass : std::uint8_t { forward, backward };
[[nodiscard]] constexpr std::string_view name_of(Pass pass) {
  return pass == Pass::forward ? "forward" : "backward";
}

}  // namespace attnsim
