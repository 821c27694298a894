// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Fused forward for dense, causal and window masks (FlashAttention-2 class): one CTA per (query tile, head, batch entry), longest first.
#include "validation/cuda/fused_core.cuh"
#include "validation/cuda/kernels/kernels.cuh"

namespace attnsim::cuda {

namespace {

template <class T>
__global__ void __launch_bounds__(T::kThreads) forward_kernel(AttentionArgs a, float scale) {
  const int q_tiles = ceil_div(a.q_len, T::TileQ);
  const int q_tile = q_tiles - 1 - static_cast<int>(blockIdx.z);  // a causal row is longest at the end
  const int head = static_cast<int>(blockIdx.y);
  const int batch = static_cast<int>(blockIdx.x);
  const RowMap rows{batch, head, q_tile * T::TileQ, 1, a.q_len, a.q_heads};
  const IntervalMask mask(a);
  const IntervalTiles tiles(mask, rows.first_row, least(rows.first_row + T::TileQ, a.q_len) - 1, T::TileKv);
  const ContiguousKeys<T::D> keys(a, batch, head / (a.q_heads / a.kv_heads));
  FusedCore<T> core;
  core.attend(a, rows, tiles, keys, mask, scale);
  core.store(static_cast<typename T::E*>(a.o), a.lse, rows, scale);
  core.tally().flush(a.tally);
}

template <class T>
Status forward(const AttentionArgs& a, Stream stream) {
  const dim3 grid(static_cast<unsigned>(a.batch), static_cast<unsigned>(a.q_heads), static_cast<unsigned>(ceil_div(a.q_len, T::TileQ)));
  return launch(forward_kernel<T>, grid, dim3(T::kThreads), T::kSharedBytes, stream, a, a.scale * kLog2E);
}

}  // namespace

Status forward_fused(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream) {
  return with_fused_tile<128, 128, 128, 64>(a, head_dim, dtype, [&](auto tile) { return forward<decltype(tile)>(a, stream); });
}

}  // namespace attnsim::cuda
