// SPDX-License-Identifier: Apache-2.0
// A warp's product of two tiles in shared memory with mma.sync, and its view of such a tile for ldmatrix.
#pragma once

#include "validation/cuda/ptx_mma.cuh"
#include "validation/cuda/tally.cuh"

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

// An operand: blocks of 16 along the result's rows (or columns) from `first`, and 16 summed values per step. `kTransposed`: the memory's
// rows are the summed index.
template <bool kTransposed>
struct LeftOperand {
  LaneTile tile;
  int first;
  ATTNSIM_D LeftOperand(std::uint32_t address, int rows, int first_block, int lane)
      : tile(address, rows, kTransposed ? ldmatrix_at_row(lane) : ldmatrix_a_row(lane),
             kTransposed ? ldmatrix_at_col(lane) : ldmatrix_a_col(lane)),
        first(first_block) {}
  ATTNSIM_D void load(std::uint32_t (&a)[4], int block, int step) const {
    if constexpr (kTransposed) {
      ldmatrix_transposed(a, tile.address(step, first + block));
    } else {
      ldmatrix(a, tile.address(first + block, step));
    }
  }
};
template <bool kTransposed>
struct RightOperand {
  LaneTile tile;
  int first;
  ATTNSIM_D RightOperand(std::uint32_t address, int rows, int first_block, int lane)
      : tile(address, rows, kTransposed ? ldmatrix_bt_row(lane) : ldmatrix_b_row(lane),
             kTransposed ? ldmatrix_bt_col(lane) : ldmatrix_b_col(lane)),
        first(first_block) {}
  ATTNSIM_D void load(std::uint32_t (&b)[4], int block, int step) const {
    if constexpr (kTransposed) {
      ldmatrix_transposed(b, tile.address(step, first + block));
    } else {
      ldmatrix(b, tile.address(first + block, step));
    }
  }
};

// c [16 kRows, 8 kColumns] += left [16 kRows, 16 kSteps] right [16 kSteps, 8 kColumns]. kUnroll steps at once: fewer hold fewer addresses
// in registers.
template <class E, int kSteps, int kUnroll = kSteps, int kRows, int kColumns, class Left, class Right, class Count = Tally<false>>
ATTNSIM_D void multiply(float (&c)[kRows][kColumns][4], const Left& left, const Right& right, Count&& tally = {}) {
  tally.mma(kSteps * kRows * kColumns);
#pragma unroll kUnroll
  for (int step = 0; step < kSteps; ++step) {
    std::uint32_t a[kRows][4];
#pragma unroll
    for (int r = 0; r < kRows; ++r) left.load(a[r], r, step);
#pragma unroll
    for (int n = 0; n < kColumns / 2; ++n) {
      std::uint32_t both[4];
      right.load(both, n, step);
      const std::uint32_t low[2] = {both[0], both[1]}, high[2] = {both[2], both[3]};
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        mma_16x8x16<E>(c[r][2 * n], a[r], low);
        mma_16x8x16<E>(c[r][2 * n + 1], a[r], high);
      }
    }
  }
}

}  // namespace attnsim::cuda
