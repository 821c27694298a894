// SPDX-License-Identifier: Apache-2.0
// A random attention problem in 16-bit elements, its buffers (device pointers are host pointers under emulation), and a straight-line
// reference in double: element loops over (batch, head, query, key), nothing shared with the kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "validation/cuda/arguments.h"
#include "validation/cuda/element.cuh"
#include "validation/cuda/ptx_hopper.cuh"

namespace attnsim::cuda::test {

// Whether query q of batch entry b sees key k.
using Keep = std::function<bool(int b, int q, int k)>;

// Dense, causal or window, bottom-right aligned.
Keep interval(int q_len, int kv_len, int left, int right);

// A shape and the window about each query's place; -1: no limit on that side.
struct IntervalSetting {
  int batch, q_heads, kv_heads, q_len, kv_len, d;
  int left, right;
  Dtype dtype;
};

struct Reference {
  std::vector<double> o;    // [batch, q_len, q_heads, d]
  std::vector<double> lse;  // [batch, q_heads, q_len]
  std::vector<double> dq, dk, dv;
};

struct Case {
  AttentionArgs args;
  int d = 64;
  Dtype dtype = Dtype::bf16;
  std::vector<std::uint16_t> q, k, v, o, d_o;
  std::vector<float> lse;

  // Fills q, k, v with normal numbers, poisons o and lse.
  Case(int batch, int q_heads, int kv_heads, int q_len, int kv_len, int head_dim, Dtype type, std::uint64_t seed);
  [[nodiscard]] double value(std::uint16_t bits) const;
  [[nodiscard]] std::uint16_t rounded(double x) const;
  [[nodiscard]] Reference reference(const Keep& keep, bool backward = false) const;
};

// Results of a backward pass, poisoned, and its work space; the case's arguments point to them.
struct Gradients {
  std::vector<std::uint16_t> dq, dk, dv, dk_heads, dv_heads;
  std::vector<float> delta, dq_sum;
  explicit Gradients(Case& c);
};

// Largest difference over the largest reference value; infinite where any value is not finite.
double worst_error(const std::vector<double>& reference, const std::function<double(std::size_t)>& value);
double worst_output_error(const Case& c, const Reference& r);

// [batch, len, heads, d], boxes of 64 columns x rows.
TensorMap map_of(const void* base, int batch, int len, int heads, int d, int rows);

// Of P rounded to the element type and of the rounded output.
inline double tolerance(Dtype dtype) {
  return dtype == Dtype::bf16 ? 8e-3 : 1e-3;
}

}  // namespace attnsim::cuda::test
