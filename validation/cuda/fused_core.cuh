// SPDX-License-Identifier: Apache-2.0
// Fused attention over a list of KV tiles with mma.sync and cp.async: the core of the forward, list, neighborhood, split and stream-K
// kernels. One CTA holds TileQ rows of one head; with packed heads a row is (token, head of the group). Four warps load and compute;
// K and V have one buffer each: V arrives during Q K^T, the next K during softmax and P V.
#pragma once

#include "validation/cuda/epilogue.cuh"
#include "validation/cuda/keys.cuh"
#include "validation/cuda/mask.cuh"
#include "validation/cuda/softmax.cuh"

namespace attnsim::cuda {

// A lane's view of a swizzled tile in shared memory for ldmatrix: address(r, c) is its row of the 16 x 16 block (16 r, 16 c).
struct LaneTile {
  std::uint32_t base;  // of block (0, 0)
  int rows;
  ATTNSIM_D LaneTile(std::uint32_t tile, int tile_rows, int lane_row, int lane_col)
      : base(tile + tile_offset(lane_row, lane_col, tile_rows)), rows(tile_rows) {}
  // 16 c columns are 32 c bytes: bits 5 and 6 of the address, which the swizzle XORs.
  ATTNSIM_D std::uint32_t address(int r, int c) const {
    return (base ^ static_cast<std::uint32_t>(c % 4 * 32)) +
           static_cast<std::uint32_t>(r * 16 * kPanelRowBytes + c / 4 * rows * kPanelRowBytes);
  }
};

// [Rows, Cols] from global memory by all threads, 16 bytes each; rows at or beyond `limit` become zeros. at(row) is an element offset.
template <int Rows, int Cols, int Threads, class E, class At>
ATTNSIM_D void load_tile(std::uint32_t tile, const E* source, int limit, const At& at) {
  constexpr int kChunks = Cols / 8;               // of 16 bytes per row
  constexpr int kRowsAtOnce = Threads / kChunks;  // one pass of the CTA
  const int thread = static_cast<int>(threadIdx.x);
  const int chunk = thread % kChunks;
  const int first = thread / kChunks;
#pragma unroll
  for (int i = 0; i < Rows / kRowsAtOnce; ++i) {
    const int row = first + i * kRowsAtOnce;
    const bool valid = row < limit;
    cp_async_16(tile + tile_offset(row, chunk * 8, Rows), source + at(valid ? row : 0) + chunk * 8, valid);
  }
}

template <class E_, int D_, int TileQ_, int TileKv_, int Warps_ = 4>
struct FusedTile {
  using E = E_;
  static constexpr int D = D_, TileQ = TileQ_, TileKv = TileKv_, Warps = Warps_;
  static constexpr int kThreads = Warps * 32;
  static constexpr int kBlocks = TileQ / (16 * Warps);  // 16-row blocks of a warp
  static constexpr int kScores = TileKv / 8;
  static constexpr int kOut = D / 8;
  static constexpr std::size_t kSharedBytes = tile_bytes(TileQ + 2 * TileKv, D);
};

template <class T>
class FusedCore {
 public:
  using E = typename T::E;

  ATTNSIM_D FusedCore() : q_tile_(shared_address(shared_memory())), warp_(static_cast<int>(threadIdx.x) / 32), lane_(lane_index()) {
    k_tile_ = q_tile_ + tile_bytes(T::TileQ, T::D);
    v_tile_ = k_tile_ + tile_bytes(T::TileKv, T::D);
#pragma unroll
    for (int b = 0; b < T::kBlocks; ++b) {
#pragma unroll
      for (int n = 0; n < T::kOut; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) o_[b][n][i] = 0;
      }
    }
  }

  template <class Tiles, class Keys, class Mask>
  ATTNSIM_D void attend(const AttentionArgs& a, const RowMap& rows, const Tiles& tiles, const Keys& keys, const Mask& mask, float scale) {
    if (tiles.count() == 0) return;
    load_tile<T::TileQ, T::D, T::kThreads>(q_tile_, static_cast<const E*>(a.q), rows.limit(), [&](int r) { return rows.index(r) * T::D; });
    load_keys(k_tile_, a.k, keys, tiles.tile(0), a.kv_len);
    cp_async_commit();
    for (int i = 0; i < tiles.count(); ++i) {
      cp_async_wait<0>();
      sync_block();  // K is here, and every warp has read V
      load_keys(v_tile_, a.v, keys, tiles.tile(i), a.kv_len);
      cp_async_commit();
      float s[T::kBlocks][T::kScores][4];  // [16 rows of a block, TileKv]
      multiply_qk(s);
      if (tiles.masked(i)) mask_scores(s, rows, mask, tiles.tile(i) * T::TileKv);
      cp_async_wait<0>();
      sync_block();  // V is here, and every warp has read K
      if (i + 1 < tiles.count()) {
        load_keys(k_tile_, a.k, keys, tiles.tile(i + 1), a.kv_len);
        cp_async_commit();
      }
#pragma unroll
      for (int b = 0; b < T::kBlocks; ++b) {
        float factor[2];
        softmax_step(s[b], state_[b], factor, scale);
        scale_rows(o_[b], factor);
      }
      multiply_pv(s);
    }
  }

  // O / sum, through the warp's own rows of the Q tile, to [batch, q_len, q_heads, D].
  ATTNSIM_D void store(E* o, float* lse, const RowMap& rows, float scale) {
#pragma unroll
    for (int b = 0; b < T::kBlocks; ++b) {
      float inverse[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float sum = row_sum(state_[b][h]);
        inverse[h] = sum > 0 ? 1.0F / sum : 0.0F;
        const int row = block_row(b) + accumulator_row(lane_, 2 * h);
        if (lse != nullptr && lane_ % 4 == 0 && row < rows.limit()) {
          lse[rows.lse_index(row)] = row_lse2(state_[b][h].maximum, sum, scale) * kLn2;
        }
      }
      write_rows<E>(o_[b], inverse, q_tile_, T::TileQ, block_row(b),
                    [&](int row) { return row < rows.limit() ? o + rows.index(row) * T::D : nullptr; });
    }
  }

  // O / sum in f32 to [batch, q_heads, q_len, D] and the base-2 log-sum-exp to [batch, q_heads, q_len].
  ATTNSIM_D void store_partial(float* o, float* lse2, const RowMap& rows, float scale) {
#pragma unroll
    for (int b = 0; b < T::kBlocks; ++b) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float sum = row_sum(state_[b][h]);
        const float inverse = sum > 0 ? 1.0F / sum : 0.0F;
        const int row = block_row(b) + accumulator_row(lane_, 2 * h);
        if (row >= rows.limit()) continue;
        const std::int64_t index = rows.lse_index(row);
        if (lane_ % 4 == 0) lse2[index] = row_lse2(state_[b][h].maximum, sum, scale);
#pragma unroll
        for (int n = 0; n < T::kOut; ++n) {
          *reinterpret_cast<float2*>(o + index * T::D + 8 * n + accumulator_col(lane_, 0)) =
              float2{o_[b][n][2 * h] * inverse, o_[b][n][2 * h + 1] * inverse};
        }
      }
    }
  }

 private:
  ATTNSIM_D int block_row(int block) const {
    return (warp_ * T::kBlocks + block) * 16;
  }

  template <class Keys>
  ATTNSIM_D void load_keys(std::uint32_t tile, const void* source, const Keys& keys, int index, int kv_len) {
    const int first = index * T::TileKv;
    load_tile<T::TileKv, T::D, T::kThreads>(tile, static_cast<const E*>(source), kv_len - first, [&](int r) { return keys.at(first + r); });
  }

  ATTNSIM_D void multiply_qk(float (&s)[T::kBlocks][T::kScores][4]) {
#pragma unroll
    for (int b = 0; b < T::kBlocks; ++b) {
#pragma unroll
      for (int n = 0; n < T::kScores; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) s[b][n][i] = 0;
      }
    }
    const int lane = T::D > 64 ? recomputed(lane_) : lane_;
    const LaneTile q(q_tile_, T::TileQ, block_row(0) + ldmatrix_a_row(lane), ldmatrix_a_col(lane));
    const LaneTile k(k_tile_, T::TileKv, ldmatrix_b_row(lane), ldmatrix_b_col(lane));
#pragma unroll 2
    for (int c = 0; c < T::D / 16; ++c) {
      std::uint32_t a[T::kBlocks][4];
#pragma unroll
      for (int b = 0; b < T::kBlocks; ++b) ldmatrix(a[b], q.address(b, c));
#pragma unroll
      for (int n = 0; n < T::TileKv / 16; ++n) {
        std::uint32_t both[4];
        ldmatrix(both, k.address(n, c));
        const std::uint32_t low[2] = {both[0], both[1]};
        const std::uint32_t high[2] = {both[2], both[3]};
#pragma unroll
        for (int b = 0; b < T::kBlocks; ++b) {
          mma_16x8x16<E>(s[b][2 * n], a[b], low);
          mma_16x8x16<E>(s[b][2 * n + 1], a[b], high);
        }
      }
    }
  }

  ATTNSIM_D void multiply_pv(const float (&p)[T::kBlocks][T::kScores][4]) {
    const int lane = T::D > 64 ? recomputed(lane_) : lane_;
    const LaneTile v(v_tile_, T::TileKv, ldmatrix_bt_row(lane), ldmatrix_bt_col(lane));
#pragma unroll
    for (int r = 0; r < T::TileKv / 16; ++r) {
      std::uint32_t a[T::kBlocks][4];
#pragma unroll
      for (int b = 0; b < T::kBlocks; ++b) pack_p<E>(a[b], p[b], r);
#pragma unroll
      for (int n = 0; n < T::D / 16; ++n) {
        std::uint32_t both[4];
        ldmatrix_transposed(both, v.address(r, n));
        const std::uint32_t low[2] = {both[0], both[1]};
        const std::uint32_t high[2] = {both[2], both[3]};
#pragma unroll
        for (int b = 0; b < T::kBlocks; ++b) {
          mma_16x8x16<E>(o_[b][2 * n], a[b], low);
          mma_16x8x16<E>(o_[b][2 * n + 1], a[b], high);
        }
      }
    }
  }

  template <class Mask>
  ATTNSIM_D void mask_scores(float (&s)[T::kBlocks][T::kScores][4], const RowMap& rows, const Mask& mask, int first_key) {
#pragma unroll
    for (int b = 0; b < T::kBlocks; ++b) {
      const typename Mask::Row bounds[2] = {mask.row(rows.token(block_row(b) + accumulator_row(lane_, 0))),
                                            mask.row(rows.token(block_row(b) + accumulator_row(lane_, 2)))};
      apply_mask(s[b], mask, bounds, first_key);
    }
  }

  std::uint32_t q_tile_, k_tile_, v_tile_;
  int warp_, lane_;
  float o_[T::kBlocks][T::kOut][4];  // [16 rows of a block, D]
  RowState state_[T::kBlocks][2];
};

}  // namespace attnsim::cuda
