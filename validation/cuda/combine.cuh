// SPDX-License-Identifier: Apache-2.0
// Merges the partial results of one row: O = sum over pieces of 2^(lse_i - lse) O_i, by one warp.
#pragma once

#include "validation/cuda/arguments.h"
#include "validation/cuda/element.cuh"
#include "validation/cuda/tally.cuh"

namespace attnsim::cuda {

// `row` counts over [batch, q_heads, q_len]; piece p of it lies p x rows further. O goes to [batch, q_len, q_heads, D].
template <class E, int D, class Count>
ATTNSIM_D void combine_row(const AttentionArgs& a, std::int64_t row, int pieces, Count& tally) {
  const std::int64_t rows = static_cast<std::int64_t>(a.batch) * a.q_heads * a.q_len;
  const int lane = lane_index();
  float maximum = -INFINITY;
  for (int p = lane; p < pieces; p += 32) maximum = fmaxf(maximum, a.partial_lse[p * rows + row]);
#pragma unroll
  for (int m = 16; m > 0; m /= 2) maximum = fmaxf(maximum, shuffle_xor(maximum, m));
  const float origin = maximum == -INFINITY ? 0.0F : maximum;
  float sum = 0;
  for (int p = lane; p < pieces; p += 32) sum += exp2_approx(a.partial_lse[p * rows + row] - origin);
#pragma unroll
  for (int m = 16; m > 0; m /= 2) sum += shuffle_xor(sum, m);
  const float lse2 = sum > 0 ? origin + log2_approx(sum) : -INFINITY;
  constexpr int kColumns = D / 32;  // of one lane
  float o[kColumns] = {};
  const float inverse = sum > 0 ? 1.0F / sum : 0.0F;
#pragma unroll 4
  for (int p = 0; p < pieces; ++p) {
    const float weight = exp2_approx(a.partial_lse[p * rows + row] - origin) * inverse;
    const float2* from = reinterpret_cast<const float2*>(a.partial_o + (p * rows + row) * D) + lane;
#pragma unroll
    for (int c = 0; c < kColumns / 2; ++c) {
      const float2 pair = from[32 * c];  // a piece without keys holds zeros
      tally.bytes(8);
      o[2 * c] += weight * pair.x;
      o[2 * c + 1] += weight * pair.y;
    }
  }
  const std::int64_t token = row % a.q_len;
  const std::int64_t head = row / a.q_len % a.q_heads;
  const std::int64_t batch = row / a.q_len / a.q_heads;
  std::uint32_t* to = reinterpret_cast<std::uint32_t*>(static_cast<E*>(a.o) + ((batch * a.q_len + token) * a.q_heads + head) * D) + lane;
#pragma unroll
  for (int c = 0; c < kColumns / 2; ++c) to[32 * c] = pack<E>(o[2 * c], o[2 * c + 1]);
  tally.bytes(2 * kColumns + (lane == 0 ? 4 * pieces : 0));
  if (a.lse != nullptr && lane == 0) a.lse[row] = lse2 * kLn2;
}

}  // namespace attnsim::cuda
