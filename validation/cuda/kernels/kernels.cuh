// SPDX-License-Identifier: Apache-2.0
// The kernel families as the host sees them. Each launches on `stream` and returns the launch's error, kUnsupported for a head
// dimension or type that is not compiled.
#pragma once

#include "validation/cuda/arguments.h"
#include "validation/cuda/ptx_hopper.cuh"

namespace attnsim::cuda {

constexpr float kLog2E = 1.4426950408889634F;
#ifdef __CUDACC__
constexpr Status kUnsupported = cudaErrorInvalidValue;
#else
constexpr Status kUnsupported = 1;
#endif

// Three kernels; `scores`: [batch, q_heads, q_len, kv_len rounded up to 8] elements of scratch. Writes no lse.
Status forward_naive(const AttentionArgs& a, void* scores, int head_dim, Dtype dtype, Stream stream);
// Dense, causal, window. Tiles of 128 x 128 (d 64) or 128 x 64 (d 128).
Status forward_fused(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream);
// The same tiles over a.list_tiles; with neighborhoods q, k, v, o are permuted and padded, batch counts (entry, class) pairs.
Status forward_block_sparse(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream);
Status forward_gna(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream);

// Gradients dq, dk, dv from d_o, o and lse; delta and dq_sum are scratch. KV tiles of 128, query tiles of 64.
Status backward_fused(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream);

// Rows of a group packed in tiles of 64; KV tiles of 256 (d 64) or 128 (d 128). a.splits > 1 needs the partial buffers.
Status decode_split(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream);
Status decode_paged(const AttentionArgs& a, int head_dim, Dtype dtype, Stream stream);
// `ctas` at once; q_len x group <= 64. Partial buffers for as many pieces as one (batch entry, KV head) can have, counters for each pair.
Status decode_lean(const AttentionArgs& a, int head_dim, Dtype dtype, int ctas, Stream stream);

// Hopper. Tensor maps over [batch, len, heads, d] with boxes of 64 columns x 128 tokens (hopper_maps); a.counters: two zeros.
struct HopperMaps {
  TensorMap q, k, v;
};
Status forward_hopper(const AttentionArgs& a, const HopperMaps& maps, int head_dim, Dtype dtype, int ctas, Stream stream);
// C [m, n] = A [m, k] B [k, n], n and k multiples of 8; boxes of 64 columns x 128 rows of A, x 64 rows of B.
// `tally`: as AttentionArgs::tally.
Status gemm_hopper(const TensorMap& a, const TensorMap& b, void* c, int m, int n, int k, Dtype dtype, int ctas, Stream stream,
                   long long* tally = nullptr);

struct PermuteArgs {
  const void* from = nullptr;
  void* to = nullptr;
  int batch = 1;
  int classes = 1;    // residue classes of the dilation
  int tokens = 1;     // of the box
  int permuted = 1;   // of one class, padded to whole tiles
  int row_bytes = 0;  // of one token: heads x d x 2, a multiple of 16
  bool keys = false;  // tiles of K and V rather than of Q
  GnaArgs gna;
};
// [batch, tokens, row] to [batch, classes, permuted, row], or back.
Status permute_tokens(const PermuteArgs& p, bool inverse, Stream stream);

}  // namespace attnsim::cuda
