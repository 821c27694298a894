// SPDX-License-Identifier: Apache-2.0
// Kernels that bring the tokens of a layout into the order of boxes and back (NATTEN's token permutation: 128 threads move 8 rows,
// 16 threads a row, csrc/include/natten/cuda/tokperm/token_permute_kernel.cuh). Padding is filled with zeros.
#pragma once

#include <vector>

#include "workloads/families/tile_list.h"

namespace attnsim {

// Q, K and V of `outside` to those of `inside`.
[[nodiscard]] std::vector<ir::Kernel> reordering_kernels(const TileListPlan& plan, const TileListTensors& outside,
                                                         const TileListTensors& inside);
// Rows of Q, O and LSE, of K and V become places of the boxes' orders: the kernel works on tensors in the layout's order.
void address_boxes(ir::Program& program, const BoxPlan& boxes, const TileListTensors& tensors);
// O and LSE of `inside` to those of `outside`.
[[nodiscard]] std::vector<ir::Kernel> restoring_kernels(const TileListPlan& plan, const TileListTensors& inside,
                                                        const TileListTensors& outside);

}  // namespace attnsim
