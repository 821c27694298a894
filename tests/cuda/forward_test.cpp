// SPDX-License-Identifier: Apache-2.0
// The fused forward kernel's own source, thread by thread on the CPU (validation/cuda/emulate).
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/cuda/attention_case.h"
#include "validation/cuda/kernels/kernels.cuh"

using namespace attnsim;
using namespace attnsim::cuda;
using namespace attnsim::cuda::test;

TEST_CASE("the fused forward kernel equals the reference under masks and ragged lengths and heads in groups") {
  const IntervalSetting s = GENERATE(IntervalSetting{1, 2, 1, 130, 259, 64, -1, -1, Dtype::bf16},   //
                                     IntervalSetting{2, 2, 2, 64, 128, 64, -1, 0, Dtype::f16},      //
                                     IntervalSetting{1, 2, 1, 257, 257, 64, -1, 0, Dtype::bf16},    //
                                     IntervalSetting{1, 1, 1, 200, 333, 64, 50, 20, Dtype::bf16},   //
                                     IntervalSetting{1, 2, 2, 129, 200, 128, -1, -1, Dtype::bf16},  //
                                     IntervalSetting{1, 2, 1, 150, 150, 128, -1, 0, Dtype::f16},    //
                                     IntervalSetting{1, 1, 1, 300, 300, 128, 70, 0, Dtype::bf16},   //
                                     IntervalSetting{1, 1, 1, 140, 40, 64, -1, 0, Dtype::bf16});
  CAPTURE(s.q_len, s.kv_len, s.d, s.left, s.right);
  Case c(s.batch, s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.d, s.dtype, 7);
  c.args.left = s.left;
  c.args.right = s.right;
  const Reference r = c.reference(interval(s.q_len, s.kv_len, s.left, s.right));
  emulate::take_counts();
  REQUIRE(forward_fused(c.args, s.d, s.dtype, {}) == kSuccess);
  CHECK(worst_output_error(c, r) < tolerance(s.dtype));
  for (std::size_t i = 0; i < r.lse.size(); ++i) {
    if (std::isinf(r.lse[i])) {
      CHECK(std::isinf(c.lse[i]));
    } else {
      REQUIRE(c.lse[i] == Approx(r.lse[i]).margin(2e-3));
    }
  }
  const emulate::Counts counts = emulate::take_counts();
  CHECK(counts.shared_wavefronts == counts.shared_wavefronts_ideal);
}

TEST_CASE("the fused forward kernel is right whenever its asynchronous copies arrive and however its warps interleave") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    for (const bool late : {false, true}) {
      emulate::set_options({late, seed});
      Case c(1, 1, 1, 128, 300, 64, Dtype::bf16, 11);
      REQUIRE(forward_fused(c.args, 64, c.dtype, {}) == kSuccess);
      CHECK(worst_output_error(c, c.reference(interval(128, 300, -1, -1))) < tolerance(c.dtype));
    }
  }
  emulate::set_options({});
}
