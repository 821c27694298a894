// SPDX-License-Identifier: Apache-2.0
// Fused attention over a list of KV tiles with mma.sync and cp.async: the core of the forward, list, neighborhood, split and stream-K
// kernels. One CTA holds TileQ rows of one head; with packed heads a row is (token, head of the group). Four warps load and compute;
// K and V have one buffer each: V arrives during Q K^T, the next K during softmax and P V.
#pragma once

#include "validation/cuda/epilogue.cuh"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/keys.cuh"
#include "validation/cuda/load_tile.cuh"
#include "validation/cuda/mask.cuh"
#include "validation/cuda/product.cuh"
#include "validation/cuda/softmax.cuh"

namespace attnsim::cuda {

template <class E_, int D_, int TileQ_, int TileKv_, bool kCounts_ = false, int Warps_ = 4>
struct FusedTile {
  using E = E_;
  static constexpr int D = D_, TileQ = TileQ_, TileKv = TileKv_, Warps = Warps_;
  static constexpr bool kCounts = kCounts_;
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
    load_tile<T::TileQ, T::D, T::kThreads>(
        q_tile_, static_cast<const E*>(a.q), rows.limit(), [&](int r) { return rows.index(r) * T::D; }, tally_);
    load_keys(k_tile_, a.k, keys, tiles.tile(0), a.kv_len);
    cp_async_commit();
    for (int i = 0; i < tiles.count(); ++i) {
      cp_async_wait<0>();
      sync_block();  // K is here, and every warp has read V
      load_keys(v_tile_, a.v, keys, tiles.tile(i), a.kv_len);
      cp_async_commit();
      tally_.tile();
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
        tally_.exps(4 * T::kScores);
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
          tally_.bytes(4);
        }
      }
      write_rows<E>(o_[b], inverse, q_tile_, T::TileQ, block_row(b), [&](int row) {
        tally_.bytes(row < rows.limit() ? 16 : 0);
        return row < rows.limit() ? o + rows.index(row) * T::D : nullptr;
      });
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
        tally_.bytes(lane_ % 4 == 0 ? 4 : 0);
#pragma unroll
        for (int n = 0; n < T::kOut; ++n) {
          *reinterpret_cast<float2*>(o + index * T::D + 8 * n + accumulator_col(lane_, 0)) =
              float2{o_[b][n][2 * h] * inverse, o_[b][n][2 * h + 1] * inverse};
          tally_.bytes(8);
        }
      }
    }
  }

  ATTNSIM_D Tally<T::kCounts>& tally() {
    return tally_;
  }

 private:
  ATTNSIM_D int block_row(int block) const {
    return (warp_ * T::kBlocks + block) * 16;
  }

  template <class Keys>
  ATTNSIM_D void load_keys(std::uint32_t tile, const void* source, const Keys& keys, int index, int kv_len) {
    const int first = index * T::TileKv;
    load_tile<T::TileKv, T::D, T::kThreads>(
        tile, static_cast<const E*>(source), kv_len - first, [&](int r) { return keys.at(first + r); }, tally_);
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
          tally_.mma(2);
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
          tally_.mma(2);
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
  Tally<T::kCounts> tally_;
};

// Calls with the tile that is compiled for head_dim 64 or 128 (its TileQ and TileKv) and the type. Counts do not depend on the elements,
// so that bf16 counts for both.
template <int TileQ64, int TileKv64, int TileQ128, int TileKv128, class Call>
Status with_fused_tile(const AttentionArgs& a, int head_dim, Dtype dtype, const Call& call) {
  const bool bf16 = dtype == Dtype::bf16;
  if (head_dim == 64) {
    if (a.tally != nullptr) return call(FusedTile<Bf16, 64, TileQ64, TileKv64, true>{});
    return bf16 ? call(FusedTile<Bf16, 64, TileQ64, TileKv64>{}) : call(FusedTile<F16, 64, TileQ64, TileKv64>{});
  }
  if (head_dim == 128) {
    if (a.tally != nullptr) return call(FusedTile<Bf16, 128, TileQ128, TileKv128, true>{});
    return bf16 ? call(FusedTile<Bf16, 128, TileQ128, TileKv128>{}) : call(FusedTile<F16, 128, TileQ128, TileKv128>{});
  }
  return kUnsupported;
}

}  // namespace attnsim::cuda
