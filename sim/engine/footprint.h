// SPDX-License-Identifier: Apache-2.0
// Bytes that must stay in L2 for a call to find its tensors there.
#pragma once

#include <span>
#include <vector>

#include "sim/ir/kernel.h"
#include "sim/ir/pipeline.h"

namespace attnsim {

// Of a tensor whose rows these kernels walk by trips alone (K, V) the rows between the first and the last that they visit: a window over a
// long cache touches little of it. Of others, and of those that no kernel touches, all; memory that two share counts once.
[[nodiscard]] double touched_bytes(std::span<const ir::Kernel* const> kernels, const std::vector<ir::Tensor>& tensors);

}  // namespace attnsim
