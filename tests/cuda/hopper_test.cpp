// SPDX-License-Identifier: Apache-2.0
// Hopper kernels, thread by thread on the CPU: copy engine, mbarriers, descriptors and asynchronous warpgroup products included.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/cuda/attention_case.h"
#include "validation/cuda/kernels/kernels.cuh"

using namespace attnsim;
using namespace attnsim::cuda;
using namespace attnsim::cuda::test;

namespace {

struct HopperSetting {
  int batch, q_heads, kv_heads, q_len, kv_len, d, left, right, ctas;
  Dtype dtype;
};

void run(Case& c, const HopperSetting& s) {
  std::vector<int> counters(2, 0);
  c.args.counters = counters.data();
  c.args.left = s.left;
  c.args.right = s.right;
  const HopperMaps maps{map_of(c.q.data(), s.batch, s.q_len, s.q_heads, s.d, 128),
                        map_of(c.k.data(), s.batch, s.kv_len, s.kv_heads, s.d, 128),
                        map_of(c.v.data(), s.batch, s.kv_len, s.kv_heads, s.d, 128)};
  REQUIRE(forward_hopper(c.args, maps, s.d, s.dtype, s.ctas, {}) == kSuccess);
  CHECK(counters == std::vector<int>{0, 0});
}

}  // namespace

TEST_CASE("the Hopper forward kernel equals the reference under masks and ragged lengths and heads in groups") {
  const HopperSetting s = GENERATE(HopperSetting{1, 2, 1, 130, 300, 64, -1, -1, 2, Dtype::bf16},  //
                                   HopperSetting{2, 2, 2, 150, 150, 128, -1, 0, 1, Dtype::bf16},  //
                                   HopperSetting{1, 1, 1, 200, 500, 64, 130, 10, 1, Dtype::f16},  //
                                   HopperSetting{1, 1, 1, 257, 130, 128, -1, 0, 3, Dtype::bf16});
  CAPTURE(s.q_len, s.kv_len, s.d, s.left, s.right, s.ctas);
  Case c(s.batch, s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.d, s.dtype, 21);
  emulate::take_counts();
  run(c, s);
  const emulate::Counts counts = emulate::take_counts();
  CHECK(counts.shared_wavefronts == counts.shared_wavefronts_ideal);
  const Reference r = c.reference(interval(s.q_len, s.kv_len, s.left, s.right));
  CHECK(worst_output_error(c, r) < tolerance(s.dtype));
  for (std::size_t i = 0; i < r.lse.size(); ++i) {
    if (!std::isinf(r.lse[i])) REQUIRE(c.lse[i] == Approx(r.lse[i]).margin(2e-3));
  }
}

TEST_CASE("the Hopper forward kernel is right whenever its copies and products complete and however its warps interleave") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    for (const bool late : {false, true}) {
      emulate::set_options({late, seed});
      const HopperSetting s{1, 2, 1, 256, 520, 64, -1, 0, 1, Dtype::bf16};
      Case c(s.batch, s.q_heads, s.kv_heads, s.q_len, s.kv_len, s.d, s.dtype, 22);
      run(c, s);
      CHECK(worst_output_error(c, c.reference(interval(s.q_len, s.kv_len, -1, 0))) < tolerance(s.dtype));
    }
  }
  emulate::set_options({});
}

TEST_CASE("the Hopper matrix product equals the reference with ragged sizes") {
  const int m = 200, n = 264, k = 328;
  Case values(1, 1, 1, 1, m * k + k * n, 64, Dtype::bf16, 23);  // a source of random elements
  const std::uint16_t* a = values.k.data();
  const std::uint16_t* b = a + m * k;
  std::vector<std::uint16_t> c(static_cast<std::size_t>(m) * n, 0x7fff);
  REQUIRE(gemm_hopper(map_of(a, 1, m, 1, k, 128), map_of(b, 1, k, 1, n, 64), c.data(), m, n, k, Dtype::bf16, 2, {}) == kSuccess);
  std::vector<double> reference(c.size(), 0);
  for (int i = 0; i < m; ++i) {
    for (int l = 0; l < k; ++l) {
      for (int j = 0; j < n; ++j) reference[static_cast<std::size_t>(i) * n + j] += values.value(a[i * k + l]) * values.value(b[l * n + j]);
    }
  }
  CHECK(worst_error(reference, [&](std::size_t i) { return values.value(c[i]); }) < 4e-3);
}
