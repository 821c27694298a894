// SPDX-License-Identifier: Apache-2.0
// What the host hands to a kernel: plain C++, included by device and host code. Lengths in tokens, strides implied by the row-major
// shapes of Shape (validation/bench/backend.h). Pointers are device pointers; those that a kernel does not use may be null.
#pragma once

namespace attnsim::cuda {

constexpr int kAxes = 3;
constexpr int kUnbounded = -1;

// Tokens of a box [length[0], length[1], length[2]] seen through generalized neighborhood attention. An axis that is missing has length
// 1 everywhere. Dilation splits an axis into residue classes; a class is a problem of its own with ceil((length - residue) / dilation)
// tokens. Tokens are permuted tile by tile: token = tile (row-major over tiles) x tile size + place in the tile (row-major).
struct GnaArgs {
  int length[kAxes] = {1, 1, 1};
  int window[kAxes] = {1, 1, 1};
  int stride[kAxes] = {1, 1, 1};
  int dilation[kAxes] = {1, 1, 1};
  int q_tile[kAxes] = {1, 1, 1};   // powers of two
  int kv_tile[kAxes] = {1, 1, 1};  // powers of two
};

// What a counting instance of a kernel adds up.
constexpr int kTallyTiles = 0, kTallyMma = 1, kTallyExps = 2, kTallyBytes = 3, kTallyWgmma = 4, kTallyFlops = 5, kTallies = 6;
constexpr int kFlopsPerMma = 2 * 16 * 8 * 16;  // m16n8k16

struct AttentionArgs {
  const void* q = nullptr;  // [batch, q_len, q_heads, d]
  const void* k = nullptr;  // [batch, kv_len, kv_heads, d], or [pages, page, kv_heads, d]
  const void* v = nullptr;
  void* o = nullptr;     // [batch, q_len, q_heads, d]
  float* lse = nullptr;  // [batch, q_heads, q_len], natural logarithm; may be null
  int batch = 1;
  int q_heads = 1;
  int kv_heads = 1;
  int q_len = 1;
  int kv_len = 1;
  float scale = 1;         // of Q K^T, 1 / sqrt(d)
  int left = kUnbounded;   // keys before, and
  int right = kUnbounded;  // after the query's own position, which is q + kv_len - q_len
  // KV tiles per query tile: list_tiles[list_offsets[t] .. list_offsets[t + 1]), each 2 x tile + (1 if it needs the mask).
  const int* list_offsets = nullptr;
  const int* list_tiles = nullptr;
  int list_classes = 1;  // batch entry b uses the lists of class b % list_classes
  GnaArgs gna;
  const int* block_table = nullptr;  // [batch, pages_per_sequence]
  int page = 0;
  int pages_per_sequence = 0;
  int splits = 1;
  float* partial_o = nullptr;    // [splits or pieces, batch, q_heads, q_len, d]
  float* partial_lse = nullptr;  // [splits or pieces, batch, q_heads, q_len], base-2 logarithm
  int* counters = nullptr;       // zeroed; left at zero
  long long* tally = nullptr;    // [kTallies]: the counting instance runs; its output is of no use where the elements are f16
  // Backward.
  const void* d_o = nullptr;
  float* delta = nullptr;   // [batch, q_heads, q_len]
  float* dq_sum = nullptr;  // [batch, q_len, q_heads, d]
  void* dq = nullptr;
  void* dk = nullptr;  // [batch, kv_len, kv_heads, d]
  void* dv = nullptr;
  void* dk_heads = nullptr;  // [batch, kv_len, q_heads, d], where q_heads > kv_heads: one per query head, summed at the end
  void* dv_heads = nullptr;
};

enum class Dtype { bf16, f16 };

}  // namespace attnsim::cuda
