// SPDX-License-Identifier: Apache-2.0
// Microbenchmarks as an overlay of a chip: every figure that one sets, with its value, status measured and half width.
#pragma once

#include <string>
#include <vector>

#include "validation/bench/backend.h"

namespace attnsim::bench {

// Text of the overlay document (hwmodels/overlay.h). Where two microbenchmarks set one figure, the last one holds.
[[nodiscard]] std::string overlay_text(const Device& device, const std::vector<Microbenchmark>& results, const std::string& version);

}  // namespace attnsim::bench
