// SPDX-License-Identifier: Apache-2.0
// The unfused kernels, thread by thread on the CPU, and the GPU's double-precision reference against the tests' own.
#include <catch2/catch.hpp>

#include "tests/cuda/attention_case.h"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/reference.cuh"

using namespace attnsim;
using namespace attnsim::cuda;
using namespace attnsim::cuda::test;

TEST_CASE("the three unfused kernels equal the reference") {
  for (const int d : {64, 128}) {
    CAPTURE(d);
    Case c(1, 2, 1, 140, 205, d, d == 64 ? Dtype::bf16 : Dtype::f16, 31);
    c.args.right = 0;
    std::vector<std::uint16_t> scores(static_cast<std::size_t>(2) * 140 * 208, 0x7fff);
    REQUIRE(forward_naive(c.args, scores.data(), d, c.dtype, {}) == kSuccess);
    CHECK(worst_output_error(c, c.reference(interval(140, 205, -1, 0))) < 2e-2);  // scores are rounded to 16 bits, too
  }
}

TEST_CASE("the double-precision reference of the GPU checks equals the tests' own") {
  Case c(2, 2, 1, 5, 150, 64, Dtype::f16, 32);
  KeepRule rule;
  rule.left = 60;
  rule.right = 3;
  const Reference r = c.reference(interval(5, 150, 60, 3));
  std::vector<double> o(r.o.size()), lse(r.o.size() / 64);
  REQUIRE(reference_forward(c.args, 64, c.dtype, rule, 0, 1, static_cast<int>(lse.size()), o.data(), lse.data(), {}) == kSuccess);
  CHECK(worst_error(r.o, [&](std::size_t i) { return o[i]; }) < 1e-12);
}
