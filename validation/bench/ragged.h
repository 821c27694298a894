// SPDX-License-Identifier: Apache-2.0
// Random problems for checks: lengths that are no multiple of any tile, groups, masks, short and long sides.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "validation/bench/backend.h"

namespace attnsim::bench {

// `count` shapes that the kernel does not refuse, the same for the same seed. Fewer where it refuses nearly all that are drawn.
[[nodiscard]] std::vector<Shape> ragged_shapes(const Backend& backend, const std::string& kernel, int count, std::uint64_t seed);

}  // namespace attnsim::bench
