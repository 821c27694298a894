// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_90a,code=sm_90a
// C [m, n] = A [m, k] B [k, n] on Hopper: a producer thread drives the copy engine through four stages of 128 x 64 of A and 64 x 256 of B,
// two consumer warpgroups multiply 64 x 256 each. Persistent CTAs walk eight panels of columns together, so that those stay in the L2.
#include "validation/cuda/epilogue.cuh"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/ptx_hopper.cuh"
#include "validation/cuda/ptx_wgmma.cuh"
#include "validation/cuda/tally.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kTileM = 128, kTileN = 256, kTileK = 64, kStages = 4, kBand = 8;
constexpr int kABytes = tile_bytes(kTileM, kTileK), kBBytes = tile_bytes(kTileK, kTileN);
constexpr int kStagingBytes = 8 * 16 * kPanelRowBytes;  // 16 rows of one panel per consumer warp
constexpr std::size_t kSharedBytes = kStages * (kABytes + kBBytes) + kStagingBytes + 128;

struct Place {
  int m, n;
};
ATTNSIM_D Place place(int tile, int m_tiles, int n_tiles) {
  const int first = tile / (kBand * m_tiles) * kBand;
  const int columns = least(kBand, n_tiles - first);
  const int left = tile - first * m_tiles;
  return {left / columns, first + left % columns};
}

template <class E, bool kCounts>
__global__ void __launch_bounds__(384, 1) gemm_kernel(const __grid_constant__ TensorMap a_map, const __grid_constant__ TensorMap b_map,
                                                      E* c, int m, int n, int k, long long* counts) {
#if ATTNSIM_SM90
  const DirectTally<kCounts> tally(counts);
  const std::uint32_t a_tile = shared_address(shared_memory());
  const std::uint32_t b_tile = a_tile + kStages * kABytes;
  const std::uint32_t staging = b_tile + kStages * kBBytes;
  const auto full = [&](int s) { return staging + kStagingBytes + static_cast<std::uint32_t>(8 * s); };
  const auto empty = [&](int s) { return full(kStages + s); };
  const int m_tiles = ceil_div(m, kTileM), n_tiles = ceil_div(n, kTileN), k_tiles = ceil_div(k, kTileK);
  if (threadIdx.x == 0) {
    for (int s = 0; s < kStages; ++s) {
      mbarrier_init(full(s), 1);
      mbarrier_init(empty(s), 8);
    }
    fence_barrier_init();
  }
  sync_block();
  if (threadIdx.x < 128) {
    give_registers<40>();
    if (threadIdx.x == 0) {
      int trip = 0;
      for (int tile = static_cast<int>(blockIdx.x); tile < m_tiles * n_tiles; tile += static_cast<int>(gridDim.x)) {
        const Place at = place(tile, m_tiles, n_tiles);
        for (int i = 0; i < k_tiles; ++i, ++trip) {
          const int s = trip % kStages;
          mbarrier_wait(empty(s), static_cast<unsigned>(trip / kStages + 1) & 1U);
          mbarrier_arrive_expect(full(s), kABytes + kBBytes);
          tally.tile();
          tally.bytes(2 * least(kTileK, k - i * kTileK) * (least(kTileM, m - at.m * kTileM) + least(kTileN, n - at.n * kTileN)));
          tma_load_4d(a_tile + static_cast<std::uint32_t>(s * kABytes), &a_map, full(s), i * kTileK, 0, at.m * kTileM, 0);
#pragma unroll
          for (int panel = 0; panel < kTileN / kPanelColumns; ++panel) {
            tma_load_4d(b_tile + static_cast<std::uint32_t>(s * kBBytes + panel * kTileK * kPanelRowBytes), &b_map, full(s),
                        at.n * kTileN + panel * kPanelColumns, 0, i * kTileK, 0);
          }
        }
      }
    }
  } else {
    take_registers<232>();
    const int group = static_cast<int>(threadIdx.x) / 128 - 1;
    const int warp = static_cast<int>(threadIdx.x) / 32 % 4;
    int trip = 0;
    for (int tile = static_cast<int>(blockIdx.x); tile < m_tiles * n_tiles; tile += static_cast<int>(gridDim.x)) {
      const Place at = place(tile, m_tiles, n_tiles);
      float sum[kTileN / 8][4];  // [64, kTileN] of the group
      for (int i = 0; i < k_tiles; ++i, ++trip) {
        const int s = trip % kStages;
        mbarrier_wait(full(s), static_cast<unsigned>(trip / kStages) & 1U);
        wgmma_fence();
#pragma unroll
        for (int j = 0; j < kTileK / 16; ++j) {
          wgmma_ss<E, kTileN, true>(sum, k_major(a_tile + static_cast<std::uint32_t>(s * kABytes + 64 * group * kPanelRowBytes), kTileM, j),
                                    mn_major(b_tile + static_cast<std::uint32_t>(s * kBBytes), kTileK, j), i > 0 || j > 0);
        }
        wgmma_commit();
        tally.wgmma(kTileK / 16, kTileN);
        wgmma_wait<1>();  // the trip before has read its stage
        if (i > 0 && lane_index() == 0) mbarrier_arrive(empty((trip - 1) % kStages));
      }
      wgmma_wait<0>();
      wgmma_keep(sum);
      if (lane_index() == 0) mbarrier_arrive(empty((trip - 1) % kStages));
      const float one[2] = {1, 1};
      const int first_row = at.m * kTileM + 64 * group + 16 * warp;
      const std::uint32_t own = staging + static_cast<std::uint32_t>((4 * group + warp) * 16 * kPanelRowBytes);
#pragma unroll
      for (int panel = 0; panel < kTileN / kPanelColumns; ++panel) {
        const int column = at.n * kTileN + panel * kPanelColumns;
        float part[8][4];
#pragma unroll
        for (int j = 0; j < 8; ++j) {
#pragma unroll
          for (int e = 0; e < 4; ++e) part[j][e] = sum[8 * panel + j][e];
        }
        write_rows<E>(part, one, own, 16, 0, [&](int row) {
          const int chunk = (lane_index() % 8) * 8;
          const bool inside = first_row + row < m && column + chunk < n;
          tally.bytes(inside ? 16 : 0);
          return inside ? c + static_cast<std::int64_t>(first_row + row) * n + column : nullptr;
        });
      }
    }
  }
#endif
}

}  // namespace

Status gemm_hopper(const TensorMap& a, const TensorMap& b, void* c, int m, int n, int k, Dtype dtype, int ctas, Stream stream,
                   long long* tally) {
  const dim3 grid(static_cast<unsigned>(least(ctas, ceil_div(m, kTileM) * ceil_div(n, kTileN))));
  const auto run = [&](auto kernel, auto* to) { return launch(kernel, grid, dim3(384), kSharedBytes, stream, a, b, to, m, n, k, tally); };
  if (tally != nullptr) return run(gemm_kernel<Bf16, true>, static_cast<Bf16*>(c));
  return dtype == Dtype::bf16 ? run(gemm_kernel<Bf16, false>, static_cast<Bf16*>(c)) : run(gemm_kernel<F16, false>, static_cast<F16*>(c));
}

}  // namespace attnsim::cuda
