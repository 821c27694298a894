// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Stream-K ("lean") decode: the KV tiles of all (batch entry, KV head) pairs are one line, cut into equal stretches, one per CTA. A pair
// that a cut splits is merged by the last CTA to finish a piece of it.
#include "validation/cuda/combine.cuh"
#include "validation/cuda/fused_core.cuh"
#include "validation/cuda/kernels/kernels.cuh"

namespace attnsim::cuda {

namespace {

// CTA g of n takes tiles [g t / n, (g + 1) t / n) of t.
ATTNSIM_HD std::int64_t stretch_begin(int g, int ctas, std::int64_t tiles) {
  return g * tiles / ctas;
}
ATTNSIM_HD int cta_of(std::int64_t tile, int ctas, std::int64_t tiles) {
  return static_cast<int>(((tile + 1) * ctas - 1) / tiles);
}

template <class T>
__global__ void __launch_bounds__(T::kThreads) lean_kernel(AttentionArgs a, float scale) {
  const int group = a.q_heads / a.kv_heads;
  const IntervalMask mask(a);
  const IntervalTiles whole(mask, 0, a.q_len - 1, T::TileKv);
  const int per_pair = whole.count();
  const int ctas = static_cast<int>(gridDim.x);
  const int cta = static_cast<int>(blockIdx.x);
  const std::int64_t tiles = static_cast<std::int64_t>(a.batch) * a.kv_heads * per_pair;
  const std::int64_t all_rows = static_cast<std::int64_t>(a.batch) * a.q_heads * a.q_len;
  std::int64_t at = stretch_begin(cta, ctas, tiles);
  const std::int64_t end = stretch_begin(cta + 1, ctas, tiles);
  while (at < end) {
    const int pair = static_cast<int>(at / per_pair);
    const std::int64_t pair_begin = static_cast<std::int64_t>(pair) * per_pair;
    const int begin = static_cast<int>(at - pair_begin);
    const int length = least(per_pair - begin, static_cast<int>(end - at));
    const int batch = pair / a.kv_heads;
    const int kv_head = pair % a.kv_heads;
    const RowMap rows{batch, kv_head * group, 0, group, a.q_len, a.q_heads};
    const TilesPiece<IntervalTiles> piece{whole, begin, length};
    const ContiguousKeys<T::D> keys(a, batch, kv_head);
    FusedCore<T> core;
    core.attend(a, rows, piece, keys, mask, scale);
    if (length == per_pair) {
      core.store(static_cast<typename T::E*>(a.o), a.lse, rows, scale);
    } else {
      const int first_cta = cta_of(pair_begin, ctas, tiles);
      const int pieces = cta_of(pair_begin + per_pair - 1, ctas, tiles) - first_cta + 1;
      const int slot = cta - first_cta;
      core.store_partial(a.partial_o + slot * all_rows * T::D, a.partial_lse + slot * all_rows, rows, scale);
      fence_device();
      sync_block();  // every thread's part of the piece is out
      int* finished = reinterpret_cast<int*>(shared_memory());
      if (threadIdx.x == 0) *finished = atomic_add(a.counters + pair, 1);
      sync_block();
      const bool last = *finished == pieces - 1;
      if (last) {
        fence_device();
        for (int row = static_cast<int>(threadIdx.x) / 32; row < a.q_len * group; row += T::Warps) {
          combine_row<typename T::E, T::D>(a, rows.lse_index(row), pieces, core.tally());
        }
        if (threadIdx.x == 0) a.counters[pair] = 0;
      }
    }
    core.tally().flush(a.tally);
    at += length;
    sync_block();  // shared memory is free for the next pair
  }
}

template <class T>
Status lean(const AttentionArgs& a, int ctas, Stream stream) {
  if (a.q_len * (a.q_heads / a.kv_heads) > T::TileQ) return kUnsupported;
  const IntervalTiles whole(IntervalMask(a), 0, a.q_len - 1, T::TileKv);
  ctas = least(ctas, a.batch * a.kv_heads * whole.count());  // a CTA without tiles would count as a piece
  return launch(lean_kernel<T>, dim3(static_cast<unsigned>(ctas)), dim3(T::kThreads), T::kSharedBytes, stream, a, a.scale * kLog2E);
}

}  // namespace

Status decode_lean(const AttentionArgs& a, int head_dim, Dtype dtype, int ctas, Stream stream) {
  return with_fused_tile<64, 256, 64, 128>(a, head_dim, dtype, [&](auto tile) { return lean<decltype(tile)>(a, ctas, stream); });
}

}  // namespace attnsim::cuda
