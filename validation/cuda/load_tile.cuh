// SPDX-License-Identifier: Apache-2.0
// A tile from global to shared memory with cp.async.
#pragma once

#include "validation/cuda/ptx_mma.cuh"
#include "validation/cuda/tally.cuh"

namespace attnsim::cuda {

// [Rows, Cols] from global memory by all threads, 16 bytes each; rows at or beyond `limit` become zeros. at(row) is an element offset.
template <int Rows, int Cols, int Threads, class E, class At, class Count = Tally<false>>
ATTNSIM_D void load_tile(std::uint32_t tile, const E* source, int limit, const At& at, Count&& tally = {}) {
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
    tally.bytes(valid ? 16 : 0);
  }
}

}  // namespace attnsim::cuda
