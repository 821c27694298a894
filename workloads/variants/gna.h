// SPDX-License-Identifier: Apache-2.0
// The variants `gna` and `na`: generalised neighbourhood attention in one to three dimensions.
//
//   "variant": "gna", "params": {"layout": "30x48x80", "window": "18x24x24", "stride": "16x8x8"}, "shape": {"q_len": 115200, ...}
#pragma once

#include <vector>

#include "workloads/masks/gna.h"
#include "workloads/variant.h"

namespace attnsim {

// Throws ConfigError with pointers /params/NAME: extents that are no "AxBxC", as many as the layout has axes (or one for all);
// windows above length / dilation, strides above windows; a layout that does not hold q_len tokens, kv_len that is not
// q_len + extra_keys.
[[nodiscard]] GnaShape gna_shape(const Problem& problem, std::int64_t entry);

// "18x24x24" -> {18, 24, 24}; empty when the text is nothing of the kind.
[[nodiscard]] std::vector<std::int64_t> parse_extents(const std::string& text);

}  // namespace attnsim
