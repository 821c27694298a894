// SPDX-License-Identifier: Apache-2.0
// What a kernel leaves in L2 that is played by classes of items, for a later kernel that is played with the L2 model: slabs in flight load
// what they need and store their results, then the next ones do. What is stored is dirty, as after a play: its way to HBM falls into the
// time of kernels to come, in the place of what kernels before left to this one.
#pragma once

#include <vector>

#include "sim/engine/fast.h"
#include "sim/engine/l2_cache.h"

namespace attnsim {

// Of the part's slabs. Nothing where no later kernel reads what this one stores.
void leave_results(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip, const ChipPart& part,
                   L2Cache& cache);

}  // namespace attnsim
