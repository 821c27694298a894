// SPDX-License-Identifier: Apache-2.0
// Where element (row, col) of a tile of 16-bit elements lies in shared memory, and which element of a fragment a lane holds.
// A tile [rows, cols] is kept as panels of 64 columns, [cols / 64][rows][64]: a row of a panel is 128 bytes, and its eight 16-byte
// chunks are permuted by the row's number modulo eight. This is the 128-byte swizzle of the copy engine and of wgmma descriptors
// (PTX ISA, "Swizzling modes"): bits 4..6 of the address are XORed with bits 7..9. Panels start at multiples of 1024 bytes.
#pragma once

#include "validation/cuda/platform.cuh"

namespace attnsim::cuda {

constexpr int kPanelColumns = 64;
constexpr int kPanelRowBytes = 128;

constexpr ATTNSIM_HD std::uint32_t swizzle128(std::uint32_t byte_offset) {
  return byte_offset ^ ((byte_offset >> 7 & 7U) << 4);
}

// Bytes from the start of the tile.
constexpr ATTNSIM_HD std::uint32_t tile_offset(int row, int col, int rows) {
  return static_cast<std::uint32_t>(col / kPanelColumns * rows * kPanelRowBytes) +
         swizzle128(static_cast<std::uint32_t>(row * kPanelRowBytes + col % kPanelColumns * 2));
}

constexpr ATTNSIM_HD int tile_bytes(int rows, int cols) {
  return rows * cols * 2;
}

// Accumulator of a 16 x 8 product (mma.m16n8k16, and each group of eight columns of wgmma): lane holds value i = 0..3 of
constexpr ATTNSIM_HD int accumulator_row(int lane, int i) {
  return lane / 4 + i / 2 * 8;
}
constexpr ATTNSIM_HD int accumulator_col(int lane, int i) {
  return lane % 4 * 2 + i % 2;
}

// ldmatrix.x4: matrix m = 0..3 is addressed by lanes 8m .. 8m + 7, one row of eight elements each. Lane's row and column inside a
// 16 x 16 block read as an A operand: matrices (rows 0-7, cols 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15).
constexpr ATTNSIM_HD int ldmatrix_a_row(int lane) {
  return lane % 16;
}
constexpr ATTNSIM_HD int ldmatrix_a_col(int lane) {
  return lane / 16 * 8;
}
// Read as two B operands of eight columns whose memory rows are the columns n of B (K of Q K^T): (n 0-7, k 0-7), (n 0-7, k 8-15),
// (n 8-15, k 0-7), (n 8-15, k 8-15).
constexpr ATTNSIM_HD int ldmatrix_b_row(int lane) {
  return lane / 16 * 8 + lane % 8;
}
constexpr ATTNSIM_HD int ldmatrix_b_col(int lane) {
  return lane / 8 % 2 * 8;
}
// Transposed read (.trans) of a block whose memory rows are k (V of P V): (k 0-7, n 0-7), (k 8-15, n 0-7), (k 0-7, n 8-15), (k 8-15, n
// 8-15).
constexpr ATTNSIM_HD int ldmatrix_bt_row(int lane) {
  return lane % 16;
}
constexpr ATTNSIM_HD int ldmatrix_bt_col(int lane) {
  return lane / 16 * 8;
}
// Transposed read of a block whose memory rows are k, as an A operand: (k 0-7, m 0-7), (k 0-7, m 8-15), (k 8-15, m 0-7), (k 8-15, m 8-15).
constexpr ATTNSIM_HD int ldmatrix_at_row(int lane) {
  return lane / 16 * 8 + lane % 8;
}
constexpr ATTNSIM_HD int ldmatrix_at_col(int lane) {
  return lane / 8 % 2 * 8;
}

}  // namespace attnsim::cuda
