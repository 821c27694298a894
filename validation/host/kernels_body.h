// SPDX-License-Identifier: Apache-2.0
// Body of one instruction set's kernels: included by kernels_*.cpp, each compiled with its own flags and ATTNSIM_LANES. No
// inline function of a standard header is called, so that the linker can't pick one compiled for a newer processor.
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "validation/host/kernels.h"

namespace attnsim::host {
namespace {

constexpr int kLanes = ATTNSIM_LANES;
constexpr int kBlockRows = ATTNSIM_BLOCK_ROWS;
constexpr int kBlockCols = 2 * kLanes;
using Vec = float __attribute__((vector_size(kLanes * 4)));
using IntVec = std::int32_t __attribute__((vector_size(kLanes * 4)));

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) {
  std::memcpy(p, &v, sizeof v);
}
inline Vec all(float x) {
  return x - Vec{};  // x + 0 would not fold: it turns -0 into 0
}
inline Vec maximum(Vec a, Vec b) {
#if ATTNSIM_LANES == 16
  return _mm512_max_ps(a, b);
#elif ATTNSIM_LANES == 8
  return _mm256_max_ps(a, b);
#elif defined(__SSE2__)
  return _mm_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}

inline float sum(Vec v) {
  float total = 0;
  for (int i = 0; i < kLanes; ++i) total += v[i];
  return total;
}
inline float largest(Vec v) {
  float most = v[0];
  for (int i = 1; i < kLanes; ++i) most = v[i] > most ? v[i] : most;
  return most;
}

// 2^x for x <= 0: x = n + f with f in [-1/2, 1/2], 2^f by Chebyshev interpolation of degree 5 (relative error 1.0e-7), n added to
// the exponent. Below -126 the result is 2^-126, which vanishes beside the row's largest weight of 1.
inline Vec exp2_of(Vec x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: the sum's low bits are the nearest integer
  x = maximum(x, all(-126.0F));
  const Vec shifted = x + kRound;
  const Vec f = x - (shifted - kRound);
  Vec p = all(0.00133908634F);
  p = p * f + 0.00967603192F;
  p = p * f + 0.0555035711F;
  p = p * f + 0.240221075F;
  p = p * f + 0.693147188F;
  p = p * f + 1.00000008F;
  const IntVec bits = reinterpret_cast<IntVec>(p) + (reinterpret_cast<IntVec>(shifted) << 23);
  return reinterpret_cast<Vec>(bits);
}

// --- panels

// Swaps the off-diagonal half x half blocks of every 2 half x 2 half block: all sizes in turn transpose the lanes x lanes matrix.
template <int half, int... i>
inline void swap_blocks(Vec& a, Vec& b, std::integer_sequence<int, i...>) {
  const Vec upper = __builtin_shufflevector(a, b, ((i & half) == 0 ? i : kLanes + i - half)...);
  const Vec lower = __builtin_shufflevector(a, b, ((i & half) == 0 ? i + half : kLanes + i)...);
  a = upper;
  b = lower;
}
template <int half = 1>
inline void transpose(Vec (&v)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & half) == 0) swap_blocks<half>(v[i], v[i + half], std::make_integer_sequence<int, kLanes>());
  }
  if constexpr (2 * half < kLanes) transpose<2 * half>(v);
}

void pack_transposed(const float* k, std::size_t stride, int valid, int keys, int head_dim, float* panels) {
  const int whole = head_dim / kLanes * kLanes;
  for (int first = 0; first < keys; first += kLanes) {
    float* panel =
        panels + static_cast<std::size_t>(first / kBlockCols * kBlockCols) * static_cast<std::size_t>(head_dim) + first % kBlockCols;
    const float* rows = k + static_cast<std::size_t>(first) * stride;
    if (first + kLanes <= valid) {
      for (int d = 0; d < whole; d += kLanes) {
        Vec block[kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) block[i] = load(rows + static_cast<std::size_t>(i) * stride + d);
        transpose(block);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) store(panel + (d + i) * kBlockCols, block[i]);
      }
    }
    const int done = first + kLanes <= valid ? whole : 0;
    for (int d = done; d < head_dim; ++d) {
      for (int i = 0; i < kLanes; ++i)
        panel[d * kBlockCols + i] = first + i < valid ? rows[static_cast<std::size_t>(i) * stride + static_cast<std::size_t>(d)] : 0;
    }
  }
}

void pack(const float* v, std::size_t stride, int valid, int keys, int head_dim, float* panels) {
  const int blocks = (head_dim + kBlockCols - 1) / kBlockCols;
  for (int key = 0; key < keys; ++key) {
    const float* row = v + static_cast<std::size_t>(key) * stride;
    for (int b = 0; b < blocks; ++b) {
      float* to = panels + (static_cast<std::size_t>(b) * static_cast<std::size_t>(keys) + static_cast<std::size_t>(key)) * kBlockCols;
      const int cols = head_dim - b * kBlockCols;
      if (key < valid && cols >= kBlockCols) {
        store(to, load(row + b * kBlockCols));
        store(to + kLanes, load(row + b * kBlockCols + kLanes));
      } else {
        for (int i = 0; i < kBlockCols; ++i) to[i] = key < valid && i < cols ? row[b * kBlockCols + i] : 0;
      }
    }
  }
}

// --- product

inline void register_block(const float* a, std::size_t a_stride, int k, const float* panel, float* c, std::size_t c_stride,
                           bool accumulate) {
  Vec x[kBlockRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kBlockRows; ++r) {
    x[r][0] = accumulate ? load(c + static_cast<std::size_t>(r) * c_stride) : Vec{};
    x[r][1] = accumulate ? load(c + static_cast<std::size_t>(r) * c_stride + kLanes) : Vec{};
  }
  for (int p = 0; p < k; ++p) {
    const Vec b0 = load(panel);
    const Vec b1 = load(panel + kLanes);
    panel += kBlockCols;
#pragma GCC unroll 16
    for (int r = 0; r < kBlockRows; ++r) {
      const Vec left = all(a[static_cast<std::size_t>(r) * a_stride + static_cast<std::size_t>(p)]);
      x[r][0] += left * b0;
      x[r][1] += left * b1;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kBlockRows; ++r) {
    store(c + static_cast<std::size_t>(r) * c_stride, x[r][0]);
    store(c + static_cast<std::size_t>(r) * c_stride + kLanes, x[r][1]);
  }
}

void product(const float* a, std::size_t a_stride, int rows, int k, const float* panels, int n, float* c, std::size_t c_stride,
             bool accumulate) {
  for (int col = 0; col < n; col += kBlockCols) {
    const float* panel = panels + static_cast<std::size_t>(col) * static_cast<std::size_t>(k);
    for (int row = 0; row < rows; row += kBlockRows) {
      const auto r = static_cast<std::size_t>(row);
      register_block(a + r * a_stride, a_stride, k, panel, c + r * c_stride + col, c_stride, accumulate);
    }
  }
}

// --- rows

void softmax(float* s, std::size_t stride, int rows, int cols, float scale, float* m, float* l, float* alpha) {
  const float infinity = __builtin_inff();
  for (int r = 0; r < rows; ++r) {
    float* row = s + static_cast<std::size_t>(r) * stride;
    Vec most0 = all(m[r]);
    Vec most1 = most0;
    int c = 0;
    for (; c + kBlockCols <= cols; c += kBlockCols) {
      most0 = maximum(most0, load(row + c));
      most1 = maximum(most1, load(row + c + kLanes));
    }
    if (c < cols) most0 = maximum(most0, load(row + c));
    const float next = largest(maximum(most0, most1));
    const float shift = next == -infinity ? 0 : next * scale;
    Vec total0 = Vec{};
    Vec total1 = Vec{};
    for (c = 0; c + kBlockCols <= cols; c += kBlockCols) {
      const Vec p0 = exp2_of(load(row + c) * scale - shift);
      const Vec p1 = exp2_of(load(row + c + kLanes) * scale - shift);
      total0 += p0;
      total1 += p1;
      store(row + c, p0);
      store(row + c + kLanes, p1);
    }
    if (c < cols) {
      const Vec p = exp2_of(load(row + c) * scale - shift);
      total0 += p;
      store(row + c, p);
    }
    alpha[r] = exp2_of(all(m[r] * scale - shift))[0];
    l[r] = l[r] * alpha[r] + sum(total0 + total1);
    m[r] = next;
  }
}

void scale_rows(float* o, std::size_t stride, int rows, int cols, const float* factor) {
  for (int r = 0; r < rows; ++r) {
    float* row = o + static_cast<std::size_t>(r) * stride;
    int c = 0;
    for (; c + kLanes <= cols; c += kLanes) store(row + c, load(row + c) * factor[r]);
    for (; c < cols; ++c) row[c] *= factor[r];
  }
}

// --- decode

inline void fetch(const float* p, int floats) {
  for (int i = 0; i < floats; i += 16) __builtin_prefetch(p + i, 0, 2);
}

// Lane i of the result comes from a in the first half of every group of 2 * half lanes, from b in the second; both halves of a group
// of the operand are added.
template <int half, int... i>
inline Vec add_halves(Vec a, Vec b, std::integer_sequence<int, i...>) {
  constexpr auto low = [](int lane) {
    const int within = lane % (2 * half);
    return lane / (2 * half) * 2 * half + within % half + (within < half ? 0 : kLanes);
  };
  return __builtin_shufflevector(a, b, low(i)...) + __builtin_shufflevector(a, b, (low(i) + half)...);
}

// Sums of `kLanes` vectors, lane i from vector i: pairs are added crosswise until one is left.
template <int half = kLanes / 2>
inline Vec sums(Vec (&v)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < half; ++i) v[i] = add_halves<half>(v[i], v[i + half], std::make_integer_sequence<int, kLanes>());
  if constexpr (half > 1) {
    return sums<half / 2>(v);
  } else {
    return v[0];
  }
}

void scores(const float* q, int rows, int head_dim, const float* k, std::size_t stride, int valid, int keys, float* s, std::size_t s_stride,
            const float* ahead) {
  const int whole = head_dim / kLanes * kLanes;
  for (int first = 0; first < keys; first += kLanes) {
    const float* key[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      const int index = first + i < valid ? first + i : valid - 1;
      key[i] = k + static_cast<std::size_t>(index) * stride;
      if (ahead != nullptr) fetch(ahead + static_cast<std::size_t>(first + i) * stride, head_dim);
    }
    for (int r = 0; r < rows; ++r) {
      const float* query = q + static_cast<std::size_t>(r) * static_cast<std::size_t>(head_dim);
      Vec dot[kLanes] = {};
      for (int d = 0; d < whole; d += kLanes) {
        const Vec left = load(query + d);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) dot[i] += left * load(key[i] + d);
      }
      Vec result = sums(dot);
      for (int d = whole; d < head_dim; ++d) {
        for (int i = 0; i < kLanes; ++i) result[i] += query[d] * key[i][d];
      }
      store(s + static_cast<std::size_t>(r) * s_stride + first, result);
    }
  }
}

// Accumulators of `count` rows by `vectors` vectors of columns stay in registers over all keys; V is read once for the rows.
template <int count, int vectors>
inline void value_block(const float* p, std::size_t p_stride, const float* v, std::size_t stride, int valid, float* o,
                        std::size_t o_stride) {
  Vec x[count][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < count; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < vectors; ++i) x[r][i] = load(o + static_cast<std::size_t>(r) * o_stride + i * kLanes);
  }
  for (int key = 0; key < valid; ++key) {
    const float* row = v + static_cast<std::size_t>(key) * stride;
#pragma GCC unroll 8
    for (int r = 0; r < count; ++r) {
      const Vec weight = all(p[static_cast<std::size_t>(r) * p_stride + static_cast<std::size_t>(key)]);
#pragma GCC unroll 8
      for (int i = 0; i < vectors; ++i) x[r][i] += weight * load(row + i * kLanes);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < count; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < vectors; ++i) store(o + static_cast<std::size_t>(r) * o_stride + i * kLanes, x[r][i]);
  }
}

template <int count, int vectors>
inline void value_rows(const float* p, std::size_t p_stride, const float* v, std::size_t stride, int valid, int head_dim, float* o,
                       std::size_t o_stride) {
  int d = 0;
  for (; d + vectors * kLanes <= head_dim; d += vectors * kLanes)
    value_block<count, vectors>(p, p_stride, v + d, stride, valid, o + d, o_stride);
  for (; d + kLanes <= head_dim; d += kLanes) value_block<count, 1>(p, p_stride, v + d, stride, valid, o + d, o_stride);
  for (; d < head_dim; ++d) {
    for (int r = 0; r < count; ++r) {
      float* out = o + static_cast<std::size_t>(r) * o_stride + d;
      for (int key = 0; key < valid; ++key)
        *out += p[static_cast<std::size_t>(r) * p_stride + static_cast<std::size_t>(key)] *
                v[static_cast<std::size_t>(key) * stride + static_cast<std::size_t>(d)];
    }
  }
}

void values(const float* p, std::size_t p_stride, int rows, const float* v, std::size_t stride, int valid, int head_dim, float* o,
            std::size_t o_stride, const float* ahead) {
  if (ahead != nullptr) {
    for (int key = 0; key < valid; ++key) fetch(ahead + static_cast<std::size_t>(key) * stride, head_dim);
  }
  int r = 0;
  for (; r + 4 <= rows; r += 4)
    value_rows<4, 2>(p + static_cast<std::size_t>(r) * p_stride, p_stride, v, stride, valid, head_dim,
                     o + static_cast<std::size_t>(r) * o_stride, o_stride);
  for (; r + 2 <= rows; r += 2)
    value_rows<2, 4>(p + static_cast<std::size_t>(r) * p_stride, p_stride, v, stride, valid, head_dim,
                     o + static_cast<std::size_t>(r) * o_stride, o_stride);
  for (; r < rows; ++r)
    value_rows<1, 8>(p + static_cast<std::size_t>(r) * p_stride, p_stride, v, stride, valid, head_dim,
                     o + static_cast<std::size_t>(r) * o_stride, o_stride);
}

// --- microbenchmarks

float fma_chains(long iterations) {
  Vec x[kFmaChains];
  for (int i = 0; i < kFmaChains; ++i) x[i] = all(static_cast<float>(i + 1));
  Vec factor = all(0.999F);
  Vec term = all(0.001F);
  for (long n = 0; n < iterations; ++n) {
#if defined(__x86_64__)
    asm volatile("" : "+x"(factor), "+x"(term));
#endif
#pragma GCC unroll 16
    for (int i = 0; i < kFmaChains; ++i) x[i] = x[i] * factor + term;
  }
  Vec total = x[0];
  for (int i = 1; i < kFmaChains; ++i) total += x[i];
  return sum(total);
}

float exp2_pass(float* data, std::size_t count) {
  for (std::size_t i = 0; i + kBlockCols <= count; i += kBlockCols) {
    store(data + i, exp2_of(load(data + i)) - 1.0F);
    store(data + i + kLanes, exp2_of(load(data + i + kLanes)) - 1.0F);
  }
  return data[0];
}

float max_pass(const float* data, std::size_t count) {
  Vec most[4] = {load(data), load(data), load(data), load(data)};
  for (std::size_t i = 0; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) most[j] = maximum(most[j], load(data + i + j * kLanes));
  }
  return largest(maximum(maximum(most[0], most[1]), maximum(most[2], most[3])));
}

float scale_pass(float* data, std::size_t count) {
  Vec factor = all(0.9999999F);
  for (std::size_t i = 0; i + kBlockCols <= count; i += kBlockCols) {
    store(data + i, load(data + i) * factor);
    store(data + i + kLanes, load(data + i + kLanes) * factor);
  }
  return data[0];
}

float read_pass(const float* data, std::size_t count) {
  Vec total[8] = {};
  for (std::size_t i = 0; i + 8 * kLanes <= count; i += 8 * kLanes) {
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) total[j] += load(data + i + j * kLanes);
  }
  Vec all_of = total[0];
  for (int j = 1; j < 8; ++j) all_of += total[j];
  return sum(all_of);
}

}  // namespace

extern const Kernels ATTNSIM_KERNELS;
const Kernels ATTNSIM_KERNELS{ATTNSIM_ISA, kLanes, kBlockRows, kBlockCols, pack_transposed, pack,     product,    softmax,
                              scale_rows,  scores, values,     fma_chains, exp2_pass,       max_pass, scale_pass, read_pass};

}  // namespace attnsim::host
