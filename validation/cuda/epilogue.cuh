// SPDX-License-Identifier: Apache-2.0
// Accumulator fragments to global memory in 16-byte pieces, through a swizzled tile in shared memory that only this warp touches here.
#pragma once

#include "validation/cuda/arguments.h"
#include "validation/cuda/ptx_mma.cuh"

namespace attnsim::cuda {

// One head's rows of a query tile: row r is token r / group of query head head + r % group.
struct RowMap {
  int batch, head, first_row, group, q_len, q_heads;
  ATTNSIM_HD int limit() const { return q_len * group - first_row; }
  ATTNSIM_HD int token(int row) const { return (first_row + row) / group; }
  ATTNSIM_HD int q_head(int row) const { return head + (first_row + row) % group; }
  // Row-major index over [batch, q_len, q_heads] and over [batch, q_heads, q_len].
  ATTNSIM_HD std::int64_t index(int row) const { return (static_cast<std::int64_t>(batch) * q_len + token(row)) * q_heads + q_head(row); }
  ATTNSIM_HD std::int64_t lse_index(int row) const {
    return (static_cast<std::int64_t>(batch) * q_heads + q_head(row)) * q_len + token(row);
  }
};

// o [16 rows, 8 N columns] times a factor per row, to rows `row` .. `row` + 15 of the tile. to(row) is an element pointer or null.
template <class E, int N, class To>
ATTNSIM_D void write_rows(const float (&o)[N][4], const float (&factor)[2], std::uint32_t tile, int tile_rows, int row, const To& to) {
  const int lane = lane_index();
  sync_warp();  // what the warp read from these rows before is done
#pragma unroll
  for (int n = 0; n < N; ++n) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      store_shared_32(tile + tile_offset(row + accumulator_row(lane, 2 * h), 8 * n + accumulator_col(lane, 0), tile_rows),
                      pack<E>(o[n][2 * h] * factor[h], o[n][2 * h + 1] * factor[h]));
    }
  }
  sync_warp();
#pragma unroll
  for (int i = 0; i < 16 * N / 32; ++i) {
    const int r = row + (lane + 32 * i) / N;
    const int chunk = (lane + 32 * i) % N;
    const uint4 value = load_shared_128(tile + tile_offset(r, chunk * 8, tile_rows));
    E* target = to(r);
    if (target != nullptr) *reinterpret_cast<uint4*>(target + chunk * 8) = value;
  }
}

}  // namespace attnsim::cuda
