// SPDX-License-Identifier: Apache-2.0
// The backward kernels' own source, thread by thread on the CPU (validation/cuda/emulate).
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/cuda/attention_case.h"
#include "validation/cuda/kernels/kernels.cuh"

using namespace attnsim;
using namespace attnsim::cuda;
using namespace attnsim::cuda::test;

namespace {

void take_forward_results(Case& c, const Reference& r) {
  for (std::size_t i = 0; i < c.o.size(); ++i) c.o[i] = c.rounded(r.o[i]);
  for (std::size_t i = 0; i < c.lse.size(); ++i) c.lse[i] = static_cast<float>(r.lse[i]);
}

// P and dS are rounded to the element type before they are multiplied, gradients per query head again before they are summed.
void check_gradients(const Case& c, const Reference& r, const Gradients& g) {
  const double most = 1.5 * tolerance(c.dtype);
  CHECK(worst_error(r.dq, [&](std::size_t i) { return c.value(g.dq[i]); }) < most);
  CHECK(worst_error(r.dk, [&](std::size_t i) { return c.value(g.dk[i]); }) < most);
  CHECK(worst_error(r.dv, [&](std::size_t i) { return c.value(g.dv[i]); }) < most);
}

}  // namespace

TEST_CASE("gradients equal the reference under masks and ragged lengths and heads in groups") {
  const IntervalSetting s = GENERATE(IntervalSetting{1, 1, 1, 64, 128, 64, -1, -1, Dtype::f16},     //
                                     IntervalSetting{2, 2, 1, 130, 259, 64, -1, -1, Dtype::bf16},   //
                                     IntervalSetting{1, 3, 1, 200, 200, 64, -1, 0, Dtype::f16},     //
                                     IntervalSetting{1, 1, 1, 150, 300, 64, 90, 20, Dtype::bf16},   //
                                     IntervalSetting{1, 2, 2, 129, 200, 128, -1, -1, Dtype::bf16},  //
                                     IntervalSetting{1, 2, 1, 190, 190, 128, -1, 0, Dtype::f16},    //
                                     IntervalSetting{1, 1, 1, 300, 300, 128, 70, 0, Dtype::bf16},   //
                                     IntervalSetting{1, 1, 1, 140, 40, 64, -1, 0, Dtype::bf16},     // queries without keys
                                     IntervalSetting{1, 1, 1, 33, 401, 64, 10, 0, Dtype::bf16});    // keys without queries
  CAPTURE(s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.d, s.left, s.right);
  Case c(s.batch, s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.d, s.dtype, 17);
  c.args.left = s.left;
  c.args.right = s.right;
  const Reference r = c.reference(interval(s.q_len, s.kv_len, s.left, s.right), true);
  const Gradients g(c);
  take_forward_results(c, r);
  emulate::take_counts();
  REQUIRE(backward_fused(c.args, s.d, s.dtype, {}) == kSuccess);
  check_gradients(c, r, g);
  const emulate::Counts counts = emulate::take_counts();
  CHECK(counts.shared_wavefronts == counts.shared_wavefronts_ideal);
}

TEST_CASE("the backward kernel multiplies five times per visited pair of tiles and adds dQ once per key tile") {
  Case c(1, 1, 1, 256, 256, 64, Dtype::bf16, 4);
  c.args.right = 0;
  const Gradients g(c);
  take_forward_results(c, c.reference(interval(256, 256, -1, 0), true));
  emulate::take_counts();
  REQUIRE(backward_fused(c.args, 64, c.dtype, {}) == kSuccess);
  const emulate::Counts counts = emulate::take_counts();
  // Query tiles of 64 that see keys from 0, 128: all four, the last two.
  constexpr std::int64_t kPairs = 4 + 2;
  CHECK(counts.mma_flops == kPairs * 5 * 2 * 64 * 128 * 64);
  CHECK(counts.global_atomics == kPairs * 64 * 64);
}

TEST_CASE("the backward kernel is right whenever its copies arrive and however its warps interleave") {
  for (const std::uint64_t seed : {1, 2}) {
    for (const bool late : {false, true}) {
      emulate::set_options({late, seed});
      Case c(1, 2, 1, 130, 200, 64, Dtype::f16, 11);
      c.args.right = 0;
      const Reference r = c.reference(interval(130, 200, -1, 0), true);
      const Gradients g(c);
      take_forward_results(c, r);
      REQUIRE(backward_fused(c.args, 64, c.dtype, {}) == kSuccess);
      check_gradients(c, r, g);
    }
  }
  emulate::set_options({});
}
