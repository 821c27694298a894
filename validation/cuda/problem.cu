// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
#include <cmath>

#include "validation/cuda/launch_plan.h"
#include "validation/cuda/problem.h"

namespace attnsim::cuda {

namespace {

std::size_t q_elements(const bench::Shape& s) {
  return static_cast<std::size_t>(s.batch * s.q_len * s.q_heads * s.head_dim);
}
std::size_t kv_elements(const bench::Shape& s) {
  return static_cast<std::size_t>(s.batch * s.kv_len * s.kv_heads * s.head_dim);
}

}  // namespace

std::size_t input_bytes(const bench::Shape& s, bool product) {
  if (product) return 2 * static_cast<std::size_t>(s.q_len * s.head_dim + s.head_dim * s.kv_len + s.q_len * s.kv_len);
  return 2 * (2 * q_elements(s) + 2 * kv_elements(s)) + (s.backward ? 2 * (3 * q_elements(s) + 2 * kv_elements(s)) : 0);
}

void* Problem::keep(Buffer b) {
  buffers.push_back(std::move(b));
  return buffers.back().get<void>();
}

void* Problem::allocate(std::size_t bytes, int fill) {
  Buffer b(bytes);
  b.fill(fill);
  return keep(std::move(b));
}

Problem::Problem(const bench::Shape& s, bool product, int count, std::uint64_t seed)
    : shape(s), dtype(s.dtype == "f16" ? Dtype::f16 : Dtype::bf16) {
  const auto random = [&](std::size_t elements, std::uint64_t which) {
    Buffer b(2 * elements);
    fill_normal(b, elements, dtype == Dtype::bf16, seed * 64 + which, nullptr);
    return keep(std::move(b));
  };
  for (int i = 0; i < count; ++i) {
    InputSet set;
    AttentionArgs& a = set.args;
    const auto salt = static_cast<std::uint64_t>(8 * i);
    if (product) {
      a.q = random(static_cast<std::size_t>(s.q_len * s.head_dim), salt);
      a.k = random(static_cast<std::size_t>(s.head_dim * s.kv_len), salt + 1);
      a.o = allocate(2 * static_cast<std::size_t>(s.q_len * s.kv_len));
      a.q_len = static_cast<int>(s.q_len);
      a.kv_len = static_cast<int>(s.kv_len);
      sets.push_back(std::move(set));
      continue;
    }
    a.q = random(q_elements(s), salt);
    a.k = random(kv_elements(s), salt + 1);
    a.v = random(kv_elements(s), salt + 2);
    a.o = allocate(2 * q_elements(s));
    a.lse = static_cast<float*>(allocate(4 * static_cast<std::size_t>(s.batch * s.q_heads * s.q_len)));
    if (s.backward) a.d_o = random(q_elements(s), salt + 3);
    a.batch = static_cast<int>(s.batch);
    a.q_heads = static_cast<int>(s.q_heads);
    a.kv_heads = static_cast<int>(s.kv_heads);
    a.q_len = static_cast<int>(s.q_len);
    a.kv_len = static_cast<int>(s.kv_len);
    a.scale = 1.0F / std::sqrt(static_cast<float>(s.head_dim));
    if (s.mask == "causal") a.right = 0;
    if (s.mask == "window") {
      a.left = static_cast<int>(s.left);
      a.right = static_cast<int>(s.right);
    }
    sets.push_back(std::move(set));
  }
  rule.left = sets.front().args.left;
  rule.right = sets.front().args.right;
}

}  // namespace attnsim::cuda
