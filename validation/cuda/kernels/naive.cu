// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Unfused attention in three kernels: masked scores to memory, softmax over them in place, weighted sum. Tiles of 128 x 128, eight warps;
// every KV tile is computed, masked or not. Scores and weights lie in the element type, rows padded to multiples of eight.
#include "validation/cuda/fused_core.cuh"
#include "validation/cuda/kernels/kernels.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kThreads = 256, kTile = 128, kStep = 64;  // kStep: keys per stage of the weighted sum

ATTNSIM_HD int padded(int kv_len) {
  return ceil_div(kv_len, 8) * 8;
}

// One CTA per (KV tile, query tile, slab); warp w holds rows 32 (w / 2) and columns 64 (w % 2) of the tile.
template <class E, int D, bool kCounts>
__global__ void __launch_bounds__(kThreads) scores_kernel(AttentionArgs a, E* scores) {
  DirectTally<kCounts> tally(a.tally);
  if (threadIdx.x == 0) tally.tile();
  const std::uint32_t q_tile = shared_address(shared_memory()), k_tile = q_tile + tile_bytes(kTile, D);
  const int slab = static_cast<int>(blockIdx.z), head = slab % a.q_heads, batch = slab / a.q_heads;
  const int first_key = static_cast<int>(blockIdx.x) * kTile;
  const RowMap rows{batch, head, static_cast<int>(blockIdx.y) * kTile, 1, a.q_len, a.q_heads};
  const ContiguousKeys<D> keys(a, batch, head / (a.q_heads / a.kv_heads));
  load_tile<kTile, D, kThreads>(
      q_tile, static_cast<const E*>(a.q), rows.limit(), [&](int r) { return rows.index(r) * D; }, tally);
  load_tile<kTile, D, kThreads>(
      k_tile, static_cast<const E*>(a.k), a.kv_len - first_key, [&](int r) { return keys.at(first_key + r); }, tally);
  cp_async_commit();
  cp_async_wait<0>();
  sync_block();
  const int lane = lane_index(), warp = static_cast<int>(threadIdx.x) / 32;
  const int row = warp / 2 * 32, column = warp % 2 * 64;
  float s[2][8][4] = {};  // [2 x 16 rows, 64 columns]
  multiply<E, D / 16>(s, LeftOperand<false>(q_tile, kTile, row / 16, lane), RightOperand<false>(k_tile, kTile, column / 16, lane), tally);
  sync_block();  // Q and K have been read; their memory takes the scores
  const IntervalMask mask(a);
  const float factor[2] = {a.scale, a.scale};
  const int stride = padded(a.kv_len);
#pragma unroll
  for (int b = 0; b < 2; ++b) {
    const int at = row + 16 * b;
    const IntervalMask::Row bounds[2] = {mask.row(rows.token(at + accumulator_row(lane, 0))),
                                         mask.row(rows.token(at + accumulator_row(lane, 2)))};
    apply_mask(s[b], mask, bounds, first_key + column);
    write_rows<E>(s[b], factor, q_tile + static_cast<std::uint32_t>(warp % 2 * tile_bytes(kTile, 64)), kTile, at, [&](int r) {
      const bool inside = r < rows.limit() && first_key + column + lane % 8 * 8 < stride;
      tally.bytes(inside ? 16 : 0);
      return inside ? scores + (static_cast<std::int64_t>(slab) * a.q_len + rows.token(r)) * stride + first_key + column : nullptr;
    });
  }
}

// One CTA per row, three passes over it; padding becomes zeros.
template <class E, bool kCounts>
__global__ void __launch_bounds__(kThreads) softmax_kernel(E* scores, int kv_len, std::int64_t rows, long long* counts) {
  const DirectTally<kCounts> tally(counts);
  if (static_cast<std::int64_t>(blockIdx.x) >= rows) return;
  float* shared = reinterpret_cast<float*>(shared_memory());  // [8 warps]
  const int stride = padded(kv_len), thread = static_cast<int>(threadIdx.x);
  E* row = scores + static_cast<std::int64_t>(blockIdx.x) * stride;
  const auto over_block = [&](float value, bool maximum) {
#pragma unroll
    for (int m = 16; m > 0; m /= 2) value = maximum ? fmaxf(value, shuffle_xor(value, m)) : value + shuffle_xor(value, m);
    if (thread % 32 == 0) shared[thread / 32] = value;
    sync_block();
    value = shared[0];
    for (int w = 1; w < kThreads / 32; ++w) value = maximum ? fmaxf(value, shared[w]) : value + shared[w];
    sync_block();
    return value;
  };
  float top = kMinusInfinity;
  for (int c = thread; c < kv_len; c += kThreads) {
    top = fmaxf(top, to_float(row[c]));
    tally.bytes(2);
  }
  top = over_block(top, true);
  const float origin = top == kMinusInfinity ? 0.0F : top * kLog2E;
  float sum = 0;
  for (int c = thread; c < kv_len; c += kThreads) {
    sum += exp2_approx(to_float(row[c]) * kLog2E - origin);
    tally.exps(1);
    tally.bytes(2);
  }
  sum = over_block(sum, false);
  const float inverse = sum > 0 ? 1.0F / sum : 0.0F;
  for (int c = thread; c < stride; c += kThreads) {
    row[c] = from_float<E>(c < kv_len ? exp2_approx(to_float(row[c]) * kLog2E - origin) * inverse : 0.0F);
    tally.exps(c < kv_len ? 1 : 0);
    tally.bytes(c < kv_len ? 4 : 2);
  }
}

// One CTA per (query tile, slab), two stages of 64 keys; warp w holds rows 32 (w / 2) and columns (D / 2) (w % 2).
template <class E, int D, bool kCounts>
__global__ void __launch_bounds__(kThreads) sum_kernel(AttentionArgs a, const E* weights) {
  DirectTally<kCounts> tally(a.tally);
  constexpr int kStage = tile_bytes(kTile, kStep) + tile_bytes(kStep, D), kColumns = D / 2;
  const std::uint32_t base = shared_address(shared_memory());
  const int slab = static_cast<int>(blockIdx.y), head = slab % a.q_heads, batch = slab / a.q_heads;
  const RowMap rows{batch, head, static_cast<int>(blockIdx.x) * kTile, 1, a.q_len, a.q_heads};
  const ContiguousKeys<D> keys(a, batch, head / (a.q_heads / a.kv_heads));
  const int stride = padded(a.kv_len), steps = ceil_div(a.kv_len, kStep);
  const auto load = [&](int step) {
    const std::uint32_t stage = base + static_cast<std::uint32_t>(step % 2 * kStage);
    const int first = step * kStep, chunk = static_cast<int>(threadIdx.x) % 8, row = static_cast<int>(threadIdx.x) / 8;
#pragma unroll
    for (int i = 0; i < kTile / 32; ++i) {  // weights: ragged in both directions
      const int r = row + 32 * i;
      const bool valid = r < rows.limit() && first + chunk * 8 < stride;
      const std::int64_t at =
          (static_cast<std::int64_t>(slab) * a.q_len + rows.token(valid ? r : 0)) * stride + (valid ? first + chunk * 8 : 0);
      cp_async_16(stage + tile_offset(r, chunk * 8, kTile), weights + at, valid);
      tally.bytes(valid ? 16 : 0);
    }
    load_tile<kStep, D, kThreads>(
        stage + tile_bytes(kTile, kStep), static_cast<const E*>(a.v), a.kv_len - first, [&](int r) { return keys.at(first + r); }, tally);
    cp_async_commit();
  };
  const int lane = lane_index(), warp = static_cast<int>(threadIdx.x) / 32;
  const int row = warp / 2 * 32, column = warp % 2 * kColumns;
  float o[2][kColumns / 8][4] = {};
  load(0);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<0>();
    sync_block();  // this stage is here, and every warp has read the other
    if (step + 1 < steps) load(step + 1);
    const std::uint32_t stage = base + static_cast<std::uint32_t>(step % 2 * kStage);
    multiply<E, kStep / 16>(o, LeftOperand<false>(stage, kTile, row / 16, lane),
                            RightOperand<true>(stage + tile_bytes(kTile, kStep), kStep, column / 16, lane), tally);
  }
  sync_block();  // the stages have been read; their memory takes O
  const float one[2] = {1, 1};
  E* out = static_cast<E*>(a.o);
#pragma unroll
  for (int b = 0; b < 2; ++b) {
    write_rows<E>(o[b], one, base + static_cast<std::uint32_t>(warp % 2 * tile_bytes(kTile, 64)), kTile, row + 16 * b, [&](int r) {
      tally.bytes(r < rows.limit() ? 16 : 0);
      return r < rows.limit() ? out + rows.index(r) * D + column : nullptr;
    });
  }
}

template <class E, int D, bool kCounts>
Status naive(const AttentionArgs& a, void* scores, Stream stream) {
  const auto q_tiles = static_cast<unsigned>(ceil_div(a.q_len, kTile)), kv_tiles = static_cast<unsigned>(ceil_div(a.kv_len, kTile));
  const auto slabs = static_cast<unsigned>(a.batch * a.q_heads);
  E* s = static_cast<E*>(scores);
  Status status =
      launch(scores_kernel<E, D, kCounts>, dim3(kv_tiles, q_tiles, slabs), dim3(kThreads), 2 * tile_bytes(kTile, D), stream, a, s);
  if (status != kSuccess) return status;
  const std::int64_t rows = static_cast<std::int64_t>(slabs) * a.q_len;
  status = launch(softmax_kernel<E, kCounts>, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 64, stream, s, a.kv_len, rows, a.tally);
  if (status != kSuccess) return status;
  return launch(sum_kernel<E, D, kCounts>, dim3(q_tiles, slabs), dim3(kThreads), 2 * (tile_bytes(kTile, kStep) + tile_bytes(kStep, D)),
                stream, a, s);
}

}  // namespace

Status forward_naive(const AttentionArgs& a, void* scores, int head_dim, Dtype dtype, Stream stream) {
  const bool bf16 = dtype == Dtype::bf16;
  if (a.tally != nullptr) {
    if (head_dim == 64) return naive<Bf16, 64, true>(a, scores, stream);
    if (head_dim == 128) return naive<Bf16, 128, true>(a, scores, stream);
  }
  if (head_dim == 64) return bf16 ? naive<Bf16, 64, false>(a, scores, stream) : naive<F16, 64, false>(a, scores, stream);
  if (head_dim == 128) return bf16 ? naive<Bf16, 128, false>(a, scores, stream) : naive<F16, 128, false>(a, scores, stream);
  return kUnsupported;
}

}  // namespace attnsim::cuda
