// SPDX-License-Identifier: Apache-2.0
// Attention in double by plain loops, for checks: nothing shared with the kernels but the element types.
#pragma once

#include "validation/cuda/arguments.h"
#include "validation/cuda/platform.cuh"

namespace attnsim::cuda {

// Which keys a query sees, on tokens in their plain order.
struct KeepRule {
  enum Kind { interval, blocks, neighborhood } kind = interval;
  int left = kUnbounded, right = kUnbounded;  // interval, bottom-right aligned
  const std::uint8_t* kept = nullptr;         // blocks: [q tiles, kv_tiles]
  int tile_q = 1, tile_kv = 1, kv_tiles = 1;
  GnaArgs gna;  // neighborhood
};

// Rows `first`, `first` + `step`, ... of [batch, q_len, q_heads]: o [rows, d] and lse [rows] (natural logarithm).
Status reference_forward(const AttentionArgs& a, int head_dim, Dtype dtype, const KeepRule& rule, std::int64_t first, std::int64_t step,
                         int rows, double* o, double* lse, Stream stream);
// All gradients from lse and delta [batch, q_len, q_heads] in double: dq [batch, q_len, q_heads, d], dk and dv [batch, kv_len, kv_heads,
// d].
Status reference_backward(const AttentionArgs& a, int head_dim, Dtype dtype, const KeepRule& rule, const double* lse, const double* delta,
                          double* dq, double* dk, double* dv, Stream stream);
// C [m, n] = A [m, k] B [k, n].
Status reference_gemm(const void* a, const void* b, double* c, int m, int n, int k, Dtype dtype, Stream stream);

}  // namespace attnsim::cuda
