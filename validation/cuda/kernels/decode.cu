// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Split-KV decode, contiguous or paged: the heads of a group are rows of one tile, the KV tiles are cut into a.splits ranges, a second
// kernel merges (FlashAttention-2 decode class). One CTA per (row tile of a KV head, split, batch entry).
#include "validation/cuda/combine.cuh"
#include "validation/cuda/fused_core.cuh"
#include "validation/cuda/kernels/kernels.cuh"

namespace attnsim::cuda {

namespace {

template <class T, template <int> class Keys>
__global__ void __launch_bounds__(T::kThreads) decode_kernel(AttentionArgs a, float scale) {
  const int group = a.q_heads / a.kv_heads;
  const int row_tiles = ceil_div(a.q_len * group, T::TileQ);
  const int kv_head = static_cast<int>(blockIdx.x) / row_tiles;
  const int split = static_cast<int>(blockIdx.y);
  const int batch = static_cast<int>(blockIdx.z);
  const RowMap rows{batch, kv_head * group, static_cast<int>(blockIdx.x) % row_tiles * T::TileQ, group, a.q_len, a.q_heads};
  const IntervalMask mask(a);
  const int last_row = least(rows.first_row + T::TileQ, a.q_len * group) - 1;
  const IntervalTiles whole(mask, rows.first_row / group, last_row / group, T::TileKv);
  const int each = ceil_div(whole.count(), a.splits);
  const int begin = least(split * each, whole.count());
  const TilesPiece<IntervalTiles> tiles{whole, begin, least(each, whole.count() - begin)};
  const Keys<T::D> keys(a, batch, kv_head);
  FusedCore<T> core;
  core.attend(a, rows, tiles, keys, mask, scale);
  if (a.splits == 1) {
    core.store(static_cast<typename T::E*>(a.o), a.lse, rows, scale);
    core.tally().flush(a.tally);
    return;
  }
  const std::int64_t all_rows = static_cast<std::int64_t>(a.batch) * a.q_heads * a.q_len;
  core.store_partial(a.partial_o + split * all_rows * T::D, a.partial_lse + split * all_rows, rows, scale);
  core.tally().flush(a.tally);
}

constexpr int kCombineWarps = 4;  // one row each

template <class E, int D, bool kCounts>
__global__ void __launch_bounds__(32 * kCombineWarps) combine_kernel(AttentionArgs a) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kCombineWarps + threadIdx.x / 32;
  Tally<kCounts> tally;
  if (row < static_cast<std::int64_t>(a.batch) * a.q_heads * a.q_len) combine_row<E, D>(a, row, a.splits, tally);
  tally.flush(a.tally);
}

template <class T, template <int> class Keys>
Status decode(const AttentionArgs& a, Stream stream) {
  const int row_tiles = ceil_div(a.q_len * (a.q_heads / a.kv_heads), T::TileQ);
  const dim3 grid(static_cast<unsigned>(a.kv_heads * row_tiles), static_cast<unsigned>(a.splits), static_cast<unsigned>(a.batch));
  const Status status = launch(decode_kernel<T, Keys>, grid, dim3(T::kThreads), T::kSharedBytes, stream, a, a.scale * kLog2E);
  if (status != kSuccess || a.splits == 1) return status;
  const int rows = a.batch * a.q_heads * a.q_len;
  return launch(combine_kernel<typename T::E, T::D, T::kCounts>, dim3(static_cast<unsigned>(ceil_div(rows, kCombineWarps))),
                dim3(32 * kCombineWarps), 0, stream, a);
}

}  // namespace

Status decode_split(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream) {
  return with_fused_tile<64, 256, 64, 128>(a, head_dim, dtype,
                                           [&](auto tile) { return decode<decltype(tile), ContiguousKeys>(a, stream); });
}

Status decode_paged(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream) {
  return with_fused_tile<64, 256, 64, 128>(a, head_dim, dtype, [&](auto tile) { return decode<decltype(tile), PagedKeys>(a, stream); });
}

}  // namespace attnsim::cuda
