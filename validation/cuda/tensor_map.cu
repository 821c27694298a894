// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80
#include "validation/cuda/tensor_map.h"

namespace attnsim::cuda {

TensorMap tensor_map(const void* base, Dtype dtype, const std::array<std::int64_t, 4>& size, const std::array<std::uint32_t, 4>& box) {
  using Encode = decltype(&cuTensorMapEncodeTiled);
  static const Encode encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
          "cuTensorMapEncodeTiled");
    if (found != cudaDriverEntryPointSuccess) throw std::runtime_error("the driver has no cuTensorMapEncodeTiled");
    return reinterpret_cast<Encode>(function);
  }();
  std::array<cuuint64_t, 4> sizes{};
  std::array<cuuint64_t, 3> strides{};
  cuuint64_t stride = 2;
  for (std::size_t i = 0; i < 4; ++i) {
    sizes[i] = static_cast<cuuint64_t>(size[i]);
    stride *= sizes[i];
    if (i < 3) strides[i] = stride;
  }
  const std::array<cuuint32_t, 4> steps{1, 1, 1, 1};
  TensorMap map{};
  const CUresult result =
      encode(&map, dtype == Dtype::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, const_cast<void*>(base),
             sizes.data(), strides.data(), box.data(), steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) throw std::runtime_error("cuTensorMapEncodeTiled: error " + std::to_string(static_cast<int>(result)));
  return map;
}

}  // namespace attnsim::cuda
