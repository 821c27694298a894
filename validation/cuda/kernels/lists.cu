// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Fused forward over explicit KV tile lists: block-sparse attention, and generalized neighborhood attention on permuted tokens, whose
// partly covered tiles take the coordinate mask. One CTA per (query tile, head, batch entry).
#include "validation/cuda/fused_core.cuh"
#include "validation/cuda/kernels/kernels.cuh"

namespace attnsim::cuda {

namespace {

template <class T, class Mask>
__global__ void __launch_bounds__(T::kThreads) list_kernel(AttentionArgs a, float scale) {
  const int q_tile = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const int batch = static_cast<int>(blockIdx.z);
  const RowMap rows{batch, head, q_tile * T::TileQ, 1, a.q_len, a.q_heads};
  const ListTiles tiles(a, batch, q_tile, ceil_div(a.q_len, T::TileQ));
  const ContiguousKeys<T::D> keys(a, batch, head / (a.q_heads / a.kv_heads));
  FusedCore<T> core;
  if constexpr (kSame<Mask, GnaMask>) {
    const GnaMask mask(a.gna, batch % a.list_classes);
    core.attend(a, rows, tiles, keys, mask, scale);
  } else {
    const IntervalMask mask(a);
    core.attend(a, rows, tiles, keys, mask, scale);
  }
  core.store(static_cast<typename T::E*>(a.o), a.lse, rows, scale);
  core.tally().flush(a.tally);
}

template <class T, class Mask>
Status run(const AttentionArgs& a, Stream stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(a.q_len, T::TileQ)), static_cast<unsigned>(a.q_heads), static_cast<unsigned>(a.batch));
  return launch(list_kernel<T, Mask>, grid, dim3(T::kThreads), T::kSharedBytes, stream, a, a.scale * kLog2E);
}

}  // namespace

Status forward_block_sparse(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream) {
  return with_fused_tile<128, 128, 128, 64>(a, head_dim, dtype, [&](auto tile) { return run<decltype(tile), IntervalMask>(a, stream); });
}

Status forward_gna(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream) {
  return with_fused_tile<128, 128, 128, 64>(a, head_dim, dtype, [&](auto tile) { return run<decltype(tile), GnaMask>(a, stream); });
}

}  // namespace attnsim::cuda
