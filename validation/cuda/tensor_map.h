// SPDX-License-Identifier: Apache-2.0
// Tensor maps of the copy engine, through the driver's entry point (no link against libcuda).
#pragma once

#include <array>

#include "validation/cuda/device.h"
#include "validation/cuda/kernels/kernels.cuh"

namespace attnsim::cuda {

// Row-major tensor of 16-bit elements, sizes innermost first; boxes of 64 columns with the 128-byte swizzle, zeros outside.
[[nodiscard]] TensorMap tensor_map(const void* base, Dtype dtype, const std::array<std::int64_t, 4>& size,
                                   const std::array<std::uint32_t, 4>& box);

}  // namespace attnsim::cuda
