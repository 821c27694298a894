// SPDX-License-Identifier: Apache-2.0
// Online softmax over accumulator fragments. A lane holds two rows per 16-row block (accumulator_row), each shared by four lanes.
// Scores are raw dot products; `scale` = log2(e) / sqrt(d), so that every exponential is an exp2 of one FFMA.
#pragma once

#include "validation/cuda/element.cuh"
#include "validation/cuda/swizzle.cuh"

namespace attnsim::cuda {

constexpr float kMinusInfinity = -INFINITY;

struct RowState {
  float maximum = kMinusInfinity;  // of raw scores so far
  float sum = 0;                   // of this lane's columns, relative to the maximum; the four lanes are added at the end
};

// s [N x 8 columns]: scores in, exp2(scale (s - maximum)) out. Returns for both rows the factor of what was accumulated before.
template <int N>
ATTNSIM_D void softmax_step(float (&s)[N][4], RowState (&state)[2], float (&factor)[2], float scale) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float maximum = state[h].maximum;
#pragma unroll
    for (int n = 0; n < N; ++n) maximum = fmaxf(maximum, fmaxf(s[n][2 * h], s[n][2 * h + 1]));
    maximum = fmaxf(maximum, shuffle_xor(maximum, 1));
    maximum = fmaxf(maximum, shuffle_xor(maximum, 2));
    const float origin = maximum == kMinusInfinity ? 0.0F : maximum * scale;  // a row without keys so far
    factor[h] = exp2_approx(state[h].maximum * scale - origin);
    float sum = state[h].sum * factor[h];
#pragma unroll
    for (int n = 0; n < N; ++n) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        s[n][2 * h + e] = exp2_approx(s[n][2 * h + e] * scale - origin);
        sum += s[n][2 * h + e];
      }
    }
    state[h] = {maximum, sum};
  }
}

template <int N>
ATTNSIM_D void scale_rows(float (&o)[N][4], const float (&factor)[2]) {
#pragma unroll
  for (int n = 0; n < N; ++n) {
    o[n][0] *= factor[0];
    o[n][1] *= factor[0];
    o[n][2] *= factor[1];
    o[n][3] *= factor[1];
  }
}

// The whole row's sum, in all four lanes.
ATTNSIM_D float row_sum(const RowState& state) {
  float sum = state.sum + shuffle_xor(state.sum, 1);
  return sum + shuffle_xor(sum, 2);
}

// log2 of the sum of exponentials of the scaled scores; minus infinity for a row without keys.
ATTNSIM_D float row_lse2(float maximum, float sum, float scale) {
  return sum > 0 ? maximum * scale + log2_approx(sum) : kMinusInfinity;
}

// Columns 16 b .. 16 b + 15 of P as the A operand of the second product.
template <class E, int N>
ATTNSIM_D void pack_p(std::uint32_t (&a)[4], const float (&p)[N][4], int b) {
  a[0] = pack<E>(p[2 * b][0], p[2 * b][1]);
  a[1] = pack<E>(p[2 * b][2], p[2 * b][3]);
  a[2] = pack<E>(p[2 * b + 1][0], p[2 * b + 1][1]);
  a[3] = pack<E>(p[2 * b + 1][2], p[2 * b + 1][3]);
}

// Scores of keys first_key .. first_key + 8 N - 1 that the mask drops become minus infinity. Masks whose test is long (kSlow) are
// evaluated in a rolled loop into one bit per score, so that the unrolled part needs few registers.
template <int N, class Mask, class Row>
ATTNSIM_D void apply_mask(float (&s)[N][4], const Mask& mask, const Row (&rows)[2], int first_key) {
  const int first = first_key + accumulator_col(lane_index(), 0);
  std::uint32_t kept[2][(N + 15) / 16] = {};
  if constexpr (Mask::kSlow) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int word = 0; word < (N + 15) / 16; ++word) {
        std::uint32_t bits = 0;
#pragma unroll 1
        for (int i = 0; i < 2 * (N < 16 ? N : 16); ++i) {
          bits |= (Mask::keep(rows[h], mask.column(first + 128 * word + 8 * (i / 2) + i % 2)) ? 1U : 0U) << i;
        }
        kept[h][word] = bits;
      }
    }
  }
#pragma unroll
  for (int n = 0; n < N; ++n) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        bool keep = (kept[h][n / 16] >> (n % 16 * 2 + e) & 1U) != 0;
        if constexpr (!Mask::kSlow) keep = Mask::keep(rows[h], mask.column(first + 8 * n + e));
        if (!keep) s[n][2 * h + e] = kMinusInfinity;
      }
    }
  }
}

}  // namespace attnsim::cuda
