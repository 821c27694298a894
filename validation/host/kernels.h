// SPDX-License-Identifier: Apache-2.0
// The inner loops of the host kernels, compiled once per instruction set from kernels_body.inc; `best_kernels()` picks what the
// processor has. All matrices are FP32 and row-major; `panels` are blocks of `block_cols` columns, each stored [k][block_cols] and
// padded with zeros, so that the product's inner loop reads them in order.
#pragma once

#include <cstddef>

namespace attnsim::host {

struct Kernels {
  const char* isa;  // "avx512", "avx2", "portable"
  int lanes;        // FP32 elements of a vector
  int block_rows;   // rows of a register block of the product
  int block_cols;   // its columns: two vectors

  // panels [ceil(keys / block_cols)][head_dim][block_cols] of K^T; k [valid x head_dim], rows `stride` apart; keys >= valid.
  void (*pack_transposed)(const float* k, std::size_t stride, int valid, int keys, int head_dim, float* panels);
  // panels [ceil(head_dim / block_cols)][keys][block_cols] of V.
  void (*pack)(const float* v, std::size_t stride, int valid, int keys, int head_dim, float* panels);
  // c [rows x n] = (accumulate ? c : 0) + a [rows x k] * panels; rows a multiple of block_rows, n of block_cols.
  void (*product)(const float* a, std::size_t a_stride, int rows, int k, const float* panels, int n, float* c, std::size_t c_stride,
                  bool accumulate);
  // Online softmax of s [rows x cols] in base 2: m = max(m, row maximum), s = exp2((s - m) * scale), alpha = exp2((m_old - m) * scale),
  // l = l * alpha + row sum. cols a multiple of lanes; a masked score is -infinity.
  void (*softmax)(float* s, std::size_t stride, int rows, int cols, float scale, float* m, float* l, float* alpha);
  // row [cols] becomes -infinity outside [begin, end); cols a multiple of lanes.
  void (*keep)(float* row, int cols, int begin, int end);
  // o [rows x cols] *= factor of the row.
  void (*scale_rows)(float* o, std::size_t stride, int rows, int cols, const float* factor);
  // s [rows x keys] = q [rows x head_dim] * k^T, keys a multiple of lanes (rows of k beyond `valid` are not read); fetches `ahead`.
  void (*scores)(const float* q, int rows, int head_dim, const float* k, std::size_t stride, int valid, int keys, float* s,
                 std::size_t s_stride, const float* ahead);
  // o [rows x head_dim] += p [rows x valid] * v.
  void (*values)(const float* p, std::size_t p_stride, int rows, const float* v, std::size_t stride, int valid, int head_dim, float* o,
                 std::size_t o_stride, const float* ahead);

  // What the microbenchmarks time. Each returns a value so that nothing is optimised away.
  float (*fma_chains)(long iterations);  // kFmaChains independent chains, one vector FMA of each per iteration
  float (*exp2_pass)(float* data, std::size_t count);
  float (*max_pass)(const float* data, std::size_t count);
  float (*scale_pass)(float* data, std::size_t count);
  float (*read_pass)(const float* data, std::size_t count);
};
inline constexpr int kFmaChains = 12;

// Largest relative error of the polynomial exp2 against 2^x on [-126, 0], rounding included; held by a test.
inline constexpr double kExp2Error = 4e-7;

[[nodiscard]] const Kernels& best_kernels();
// "avx512", "avx2", "portable"; nullptr where the processor lacks it.
[[nodiscard]] const Kernels* kernels_named(const char* isa);

}  // namespace attnsim::host
