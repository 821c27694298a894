// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Gradients of attention under dense, causal and window masks (FlashAttention-2 class): row sums of O dO, a main kernel with one CTA per
// (KV tile, query head, batch entry) that adds dQ by atomics, then conversion of dQ and the sum of dK and dV over the heads of a group.
#include "validation/cuda/epilogue.cuh"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/keys.cuh"
#include "validation/cuda/load_tile.cuh"
#include "validation/cuda/mask.cuh"
#include "validation/cuda/product.cuh"
#include "validation/cuda/softmax.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kThreads = 256;  // eight warps
constexpr int kRows = 64;      // of a CTA of the row kernels
constexpr int kPiece = 8;      // elements of a 16-byte access

template <class E>
ATTNSIM_D void unpack(const uint4& bits, float (&values)[kPiece]) {
  const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < kPiece; ++i) values[i] = to_float(E{static_cast<std::uint16_t>(words[i / 2] >> (16 * (i % 2)))});
}
template <class E>
ATTNSIM_D uint4 packed(const float (&v)[kPiece]) {
  return uint4{pack<E>(v[0], v[1]), pack<E>(v[2], v[3]), pack<E>(v[4], v[5]), pack<E>(v[6], v[7])};
}

// delta = sum of O dO over a row of [batch, q_len, q_heads]; clears the row of the sums of dQ.
template <class E, int D, bool kCounts>
__global__ void __launch_bounds__(kThreads) row_sums_kernel(AttentionArgs a) {
  const DirectTally<kCounts> tally(a.tally);
  constexpr int kPieces = D / kPiece;  // threads of a row
  const std::int64_t rows = static_cast<std::int64_t>(a.batch) * a.q_len * a.q_heads;
  const int piece = static_cast<int>(threadIdx.x) % kPieces;
  for (int r = static_cast<int>(threadIdx.x) / kPieces; r < kRows; r += kThreads / kPieces) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + r;
    float sum = 0;
    if (row < rows) {
      const std::int64_t at = row * D + piece * kPiece;
      float o[kPiece], d_o[kPiece];
      unpack<E>(*reinterpret_cast<const uint4*>(static_cast<const E*>(a.o) + at), o);
      unpack<E>(*reinterpret_cast<const uint4*>(static_cast<const E*>(a.d_o) + at), d_o);
#pragma unroll
      for (int i = 0; i < kPiece; ++i) sum += o[i] * d_o[i];
      *reinterpret_cast<float4*>(a.dq_sum + at) = float4{0, 0, 0, 0};
      *reinterpret_cast<float4*>(a.dq_sum + at + 4) = float4{0, 0, 0, 0};
      tally.bytes(2 * 2 * kPiece + 4 * kPiece);
    }
#pragma unroll
    for (int m = kPieces / 2; m > 0; m /= 2) sum += shuffle_xor(sum, m);
    if (row < rows && piece == 0) {
      const std::int64_t token = row / a.q_heads;
      a.delta[(token / a.q_len * a.q_heads + row % a.q_heads) * a.q_len + token % a.q_len] = sum;
      tally.bytes(4);
    }
  }
}

template <class E_, int D_, bool kCounts_ = false>
struct BackwardTile {
  using E = E_;
  static constexpr bool kCounts = kCounts_;
  static constexpr int D = D_, TileQ = 64, TileKv = 128;
  // Warps side by side along the columns of S, dP (keys), of dK, dV (head_dim), of dQ (head_dim); the others share the rows.
  static constexpr int kScoreColumns = 4, kKeyColumns = 2, kQueryColumns = D == 128 ? 4 : 2;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kKeyBytes = tile_bytes(TileKv, D), kQueryBytes = tile_bytes(TileQ, D), kScoreBytes = tile_bytes(TileQ, TileKv);
  static constexpr std::size_t kSharedBytes = 2 * kKeyBytes + 3 * kQueryBytes + 2 * kScoreBytes;  // K, V, Q twice, dO, P, dS
};

// Query tiles that see keys [first, end), and whether one of them needs the mask.
struct QueryTiles {
  int first = 0, end = 0;
  ATTNSIM_HD QueryTiles(const IntervalMask& mask, int q_len, int first_key, int end_key, int tile_q) {
    const int begin = mask.right < 0 ? 0 : greatest(0, first_key - mask.shift - mask.right);
    const int stop = mask.left < 0 ? q_len : least(q_len, end_key - mask.shift + mask.left);
    first = begin / tile_q;
    end = greatest(first, ceil_div(stop, tile_q));
  }
  ATTNSIM_HD static bool masked(const IntervalMask& mask, int q_len, int first_key, int end_key, int first_q, int tile_q) {
    return mask.row(least(first_q + tile_q, q_len) - 1).begin > first_key || mask.row(first_q).end < end_key;
  }
};

template <class T>
class BackwardCore {
 public:
  using E = typename T::E;

  ATTNSIM_D BackwardCore(const AttentionArgs& args, int batch, int head, int first_key)
      : a_(args),
        rows_{batch, head, 0, 1, args.q_len, args.q_heads},
        keys_{batch, head, first_key, 1, args.kv_len, args.q_heads},
        mask_(args),
        lane_(lane_index()),
        warp_(static_cast<int>(threadIdx.x) / 32),
        tally_(args.tally),
        k_(shared_address(shared_memory())) {}

  ATTNSIM_D void run(float scale) {
    const int first_key = keys_.first_row;
    const ContiguousKeys<T::D> at(a_, keys_.batch, keys_.head / (a_.q_heads / a_.kv_heads));
    const auto key = [&](int r) { return at.at(first_key + r); };
    const QueryTiles tiles(mask_, a_.q_len, first_key, first_key + T::TileKv, T::TileQ);
    if (tiles.end > tiles.first) {
      load_tile<T::TileKv, T::D, kThreads>(k_, static_cast<const E*>(a_.k), keys_.limit(), key, tally_);
      load_tile<T::TileKv, T::D, kThreads>(v(), static_cast<const E*>(a_.v), keys_.limit(), key, tally_);
      load_queries(q((tiles.end - 1) % 2), a_.q, tiles.end - 1);
      load_queries(d_o(), a_.d_o, tiles.end - 1);
      cp_async_commit();
    }
    for (int tile = tiles.end - 1; tile >= tiles.first; --tile) {
      cp_async_wait<0>();
      sync_block();  // Q and dO are here; every warp has read the other Q, P and dS
      if (tile > tiles.first) load_queries(q((tile - 1) % 2), a_.q, tile - 1);
      cp_async_commit();
      if (threadIdx.x == 0) tally_.tile();
      scores(tile, scale);
      sync_block();  // P and dS are written
      const int lane = operand_lane();
      // dV += P^T dO
      multiply<E, T::TileQ / 16, kUnroll>(dv_, LeftOperand<true>(p(), T::TileQ, key_block(), lane),
                                          RightOperand<true>(d_o(), T::TileQ, key_column(), lane), tally_);
      sync_block();  // every warp has read dO
      if (tile > tiles.first) load_queries(d_o(), a_.d_o, tile - 1);
      cp_async_commit();
      add_dq(tile);
      // dK += dS^T Q
      multiply<E, T::TileQ / 16, kUnroll>(dk_, LeftOperand<true>(ds(), T::TileQ, key_block(), lane),
                                          RightOperand<true>(q(tile % 2), T::TileQ, key_column(), lane), tally_);
    }
    cp_async_wait<0>();
    sync_block();  // K and V have been read: their memory takes the results
    store(dv_, grouped() ? a_.dv_heads : a_.dv, 1);
    store(dk_, grouped() ? a_.dk_heads : a_.dk, a_.scale);
  }

 private:
  static constexpr int kScoreRows = T::TileQ / 16 * T::kScoreColumns / T::kWarps;  // blocks of 16 rows of a warp
  static constexpr int kScoreTiles = T::TileKv / 8 / T::kScoreColumns;             // of eight columns
  static constexpr int kKeyRows = T::TileKv / 16 * T::kKeyColumns / T::kWarps;     // of dK, dV
  static constexpr int kKeyTiles = T::D / 8 / T::kKeyColumns;
  static constexpr int kQueryRows = T::TileQ / 16 * T::kQueryColumns / T::kWarps;  // of dQ
  static constexpr int kQueryTiles = T::D / 8 / T::kQueryColumns;

  ATTNSIM_D std::uint32_t v() const { return k_ + T::kKeyBytes; }
  ATTNSIM_D std::uint32_t q(int slot) const { return k_ + 2 * T::kKeyBytes + static_cast<std::uint32_t>(slot * T::kQueryBytes); }
  ATTNSIM_D std::uint32_t d_o() const { return q(2); }
  ATTNSIM_D std::uint32_t p() const { return q(3); }
  ATTNSIM_D std::uint32_t ds() const { return p() + T::kScoreBytes; }
  ATTNSIM_D int key_block() const { return warp_ / T::kKeyColumns * kKeyRows; }
  ATTNSIM_D int key_column() const { return warp_ % T::kKeyColumns * (kKeyTiles / 2); }
  // Operand addresses of the wide tile are worked out where they are used: its accumulators leave no registers for them.
  static constexpr int kUnroll = T::D > 64 ? 2 : 8;
  ATTNSIM_D int operand_lane() const { return T::D > 64 ? recomputed(lane_) : lane_; }
  ATTNSIM_D bool grouped() const { return a_.q_heads != a_.kv_heads; }

  ATTNSIM_D void load_queries(std::uint32_t to, const void* from, int tile) {
    const int first = tile * T::TileQ;
    load_tile<T::TileQ, T::D, kThreads>(
        to, static_cast<const E*>(from), a_.q_len - first, [&](int r) { return rows_.index(first + r) * T::D; }, tally_);
  }

  // P = exp(scale S - lse) and dS = P (dP - delta), both to shared memory.
  ATTNSIM_D void scores(int tile, float scale) {
    const int first_q = tile * T::TileQ, first_key = keys_.first_row;
    const int block = warp_ / T::kScoreColumns * kScoreRows, column = warp_ % T::kScoreColumns * (kScoreTiles / 2);
    int lane = operand_lane();
    float origin[kScoreRows][2];
#pragma unroll
    for (int b = 0; b < kScoreRows; ++b) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        // A row without keys, or behind the last one, has no weights.
        const int row = first_q + 16 * (block + b) + accumulator_row(lane, 2 * h);
        const bool inside = row < a_.q_len;
        const float lse = a_.lse[rows_.lse_index(inside ? row : 0)];
        tally_.bytes(inside ? 8 : 0);  // and delta below
        origin[b][h] = inside && lse != kMinusInfinity ? lse * kLog2E : INFINITY;
      }
    }
    float s[kScoreRows][kScoreTiles][4] = {};
    multiply<E, T::D / 16, kUnroll>(s, LeftOperand<false>(q(tile % 2), T::TileQ, block, lane),
                                    RightOperand<false>(k_, T::TileKv, column, lane), tally_);
    tally_.exps(kScoreRows * kScoreTiles * 4);
    const bool masked = QueryTiles::masked(mask_, a_.q_len, first_key, first_key + T::TileKv, first_q, T::TileQ);
#pragma unroll
    for (int b = 0; b < kScoreRows; ++b) {
      const int row = first_q + 16 * (block + b) + accumulator_row(lane, 0);
      if (masked) {
        const IntervalMask::Row bounds[2] = {mask_.row(row), mask_.row(row + 8)};
        apply_mask(s[b], mask_, bounds, first_key + 16 * column);
      }
#pragma unroll
      for (int h = 0; h < 2; ++h) {
#pragma unroll
        for (int n = 0; n < kScoreTiles; ++n) {
#pragma unroll
          for (int e = 2 * h; e < 2 * h + 2; ++e) s[b][n][e] = exp2_approx(s[b][n][e] * scale - origin[b][h]);
        }
      }
    }
    lane = operand_lane();
    float dp[kScoreRows][kScoreTiles][4];  // starts at -delta
#pragma unroll
    for (int b = 0; b < kScoreRows; ++b) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int row = least(first_q + 16 * (block + b) + accumulator_row(lane, 2 * h), a_.q_len - 1);
        const float minus_delta = -a_.delta[rows_.lse_index(row)];
#pragma unroll
        for (int n = 0; n < kScoreTiles; ++n) dp[b][n][2 * h] = dp[b][n][2 * h + 1] = minus_delta;
      }
    }
    multiply<E, T::D / 16, kUnroll>(dp, LeftOperand<false>(d_o(), T::TileQ, block, lane), RightOperand<false>(v(), T::TileKv, column, lane),
                                    tally_);
    lane = operand_lane();
#pragma unroll
    for (int b = 0; b < kScoreRows; ++b) {
#pragma unroll
      for (int n = 0; n < kScoreTiles; ++n) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const std::uint32_t at =
              tile_offset(16 * (block + b) + accumulator_row(lane, 2 * h), 16 * column + 8 * n + accumulator_col(lane, 0), T::TileQ);
          const float low = s[b][n][2 * h], high = s[b][n][2 * h + 1];
          store_shared_32(p() + at, pack<E>(low, high));
          store_shared_32(ds() + at, pack<E>(low * dp[b][n][2 * h], high * dp[b][n][2 * h + 1]));
        }
      }
    }
  }

  // dS K, added to the sums of dQ.
  ATTNSIM_D void add_dq(int tile) {
    const int block = warp_ / T::kQueryColumns * kQueryRows, column = warp_ % T::kQueryColumns * (kQueryTiles / 2);
    const int lane = operand_lane();
    float dq[kQueryRows][kQueryTiles][4] = {};
    multiply<E, T::TileKv / 16, kUnroll>(dq, LeftOperand<false>(ds(), T::TileQ, block, lane),
                                         RightOperand<true>(k_, T::TileKv, column, lane), tally_);
#pragma unroll
    for (int b = 0; b < kQueryRows; ++b) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = tile * T::TileQ + 16 * (block + b) + accumulator_row(lane, i);
        if (row >= a_.q_len) continue;
        tally_.bytes(4 * kQueryTiles);
        float* to = a_.dq_sum + rows_.index(row) * T::D + 16 * column + accumulator_col(lane, i);
#pragma unroll
        for (int n = 0; n < kQueryTiles; ++n) atomic_add(to + 8 * n, dq[b][n][i]);
      }
    }
  }

  // Through the warp's own part of the memory of K and V.
  ATTNSIM_D void store(const float (&sum)[kKeyRows][kKeyTiles][4], void* out, float scale) {
    constexpr int kColumns = T::D / T::kKeyColumns;
    const int part = warp_ % T::kKeyColumns;
    const float factor[2] = {scale, scale};
    E* to = static_cast<E*>(out) + part * kColumns;
#pragma unroll
    for (int b = 0; b < kKeyRows; ++b) {
      write_rows<E>(sum[b], factor, k_ + static_cast<std::uint32_t>(part * tile_bytes(T::TileKv, kPanelColumns)), T::TileKv,
                    16 * (key_block() + b), [&](int r) {
                      tally_.bytes(r < keys_.limit() ? 16 : 0);
                      return r < keys_.limit() ? to + keys_.index(r) * T::D : nullptr;
                    });
    }
  }

  const AttentionArgs& a_;
  RowMap rows_, keys_;  // of queries; of keys, one copy per query head
  IntervalMask mask_;
  int lane_, warp_;
  DirectTally<T::kCounts> tally_;
  std::uint32_t k_;
  float dk_[kKeyRows][kKeyTiles][4] = {}, dv_[kKeyRows][kKeyTiles][4] = {};
};

template <class T>
__global__ void __launch_bounds__(kThreads) gradients_kernel(AttentionArgs a, float scale) {
  BackwardCore<T>(a, static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.x) * T::TileKv).run(scale);
}

// dQ in the element type.
template <class E, int D, bool kCounts>
__global__ void __launch_bounds__(kThreads) convert_kernel(AttentionArgs a, std::int64_t pieces) {
  const DirectTally<kCounts> tally(a.tally);
  constexpr int kPieces = kRows * D / kPiece;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kPieces;
  for (int i = static_cast<int>(threadIdx.x); i < kPieces && first + i < pieces; i += kThreads) {
    const std::int64_t at = (first + i) * kPiece;
    float values[kPiece];
#pragma unroll
    for (int x = 0; x < kPiece; ++x) values[x] = a.dq_sum[at + x] * a.scale;
    *reinterpret_cast<uint4*>(static_cast<E*>(a.dq) + at) = packed<E>(values);
    tally.bytes((4 + 2) * kPiece);
  }
}

// One gradient per KV head from those of its query heads.
template <class E, int D, bool kCounts>
__global__ void __launch_bounds__(kThreads) sum_heads_kernel(AttentionArgs a, std::int64_t pieces) {
  const int group = a.q_heads / a.kv_heads;
  const std::int64_t piece = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= pieces) return;
  const bool of_k = blockIdx.y == 0;
  const E* from = static_cast<const E*>(of_k ? a.dk_heads : a.dv_heads) + piece / (D / kPiece) * group * D + piece % (D / kPiece) * kPiece;
  float sum[kPiece] = {};
  for (int head = 0; head < group; ++head) {
    float values[kPiece];
    unpack<E>(*reinterpret_cast<const uint4*>(from + static_cast<std::int64_t>(head) * D), values);
#pragma unroll
    for (int x = 0; x < kPiece; ++x) sum[x] += values[x];
  }
  *reinterpret_cast<uint4*>(static_cast<E*>(of_k ? a.dk : a.dv) + piece * kPiece) = packed<E>(sum);
  const DirectTally<kCounts> tally(a.tally);
  tally.bytes(2 * kPiece * (group + 1));
}

ATTNSIM_HD unsigned blocks(std::int64_t count, int each) {
  return static_cast<unsigned>((count + each - 1) / each);
}

template <class T>
Status backward(const AttentionArgs& a, Stream stream) {
  using E = typename T::E;
  const std::int64_t rows = static_cast<std::int64_t>(a.batch) * a.q_len * a.q_heads;
  Status status = launch(row_sums_kernel<E, T::D, T::kCounts>, dim3(blocks(rows, kRows)), dim3(kThreads), 0, stream, a);
  if (status != kSuccess) return status;
  const dim3 grid(blocks(a.kv_len, T::TileKv), static_cast<unsigned>(a.batch), static_cast<unsigned>(a.q_heads));
  status = launch(gradients_kernel<T>, grid, dim3(kThreads), T::kSharedBytes, stream, a, a.scale * kLog2E);
  if (status != kSuccess) return status;
  const std::int64_t pieces = rows * T::D / kPiece;
  status = launch(convert_kernel<E, T::D, T::kCounts>, dim3(blocks(rows, kRows)), dim3(kThreads), 0, stream, a, pieces);
  if (status != kSuccess || a.q_heads == a.kv_heads) return status;
  const std::int64_t key_pieces = static_cast<std::int64_t>(a.batch) * a.kv_len * a.kv_heads * T::D / kPiece;
  return launch(sum_heads_kernel<E, T::D, T::kCounts>, dim3(blocks(key_pieces, kThreads), 2), dim3(kThreads), 0, stream, a, key_pieces);
}

}  // namespace

Status backward_fused(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream) {
  if (a.tally != nullptr && head_dim == 64) return backward<BackwardTile<Bf16, 64, true>>(a, stream);
  if (a.tally != nullptr && head_dim == 128) return backward<BackwardTile<Bf16, 128, true>>(a, stream);
  if (head_dim == 64 && dtype == Dtype::bf16) return backward<BackwardTile<Bf16, 64>>(a, stream);
  if (head_dim == 64 && dtype == Dtype::f16) return backward<BackwardTile<F16, 64>>(a, stream);
  if (head_dim == 128 && dtype == Dtype::bf16) return backward<BackwardTile<Bf16, 128>>(a, stream);
  if (head_dim == 128 && dtype == Dtype::f16) return backward<BackwardTile<F16, 128>>(a, stream);
  return kUnsupported;
}

}  // namespace attnsim::cuda
