// SPDX-License-Identifier: Apache-2.0
// Counts of the backward pass against the formulas of its card: five products over the kept pairs, one exponential a pair, every input and
// output once. With head_dim d for K and V alike that is 10 d FLOPs a pair.
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/bounds/bounds.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

struct Kernel {
  const char* schedule;
  const char* chip;
};

Problem problem() {
  Problem p;
  p.pass = Pass::backward;
  p.batch = 2;
  p.q_heads = 6;
  p.kv_heads = 3;
  p.q_len = {700};
  p.kv_len = {900};
  p.head_dim_qk = p.head_dim_v = 128;
  return p;
}

WorkCounts counts(const Kernel& kernel, const char* name, const Problem& p) {
  const Chip chip = load_chip(kernel.chip);
  return compute_bounds(lower(variant(name), p, load_schedule(kernel.schedule), chip), chip, {}).counts;
}

}  // namespace

TEST_CASE("the backward pass counts ten d FLOPs and one exponential per kept pair and touches every tensor once") {
  const Kernel kernel =
      GENERATE(Kernel{"fa2-bwd-sm80", "a100-sxm-80gb"}, Kernel{"fa3-bwd-sm90", "h100-sxm"}, Kernel{"fa4-bwd-sm100", "b200"},
               Kernel{"triton-bwd", "a100-sxm-80gb"}, Kernel{"fused-generic-bwd", "mi300x"});
  INFO(kernel.schedule);
  const Problem p = problem();
  const double heads = 2 * 6;
  const double dense = heads * 700 * 900;
  // Query i of 700 keeps the keys up to 200 + i.
  const double causal = heads * (700 * 201 + 700.0 * 699 / 2);
  const double q_elements = heads * 700 * 128;
  const double kv_elements = 2.0 * 3 * 900 * 128;
  // Q, O, dO and K, V in, dQ, dK, dV out, two bytes each; LSE in four.
  const double bytes = 2 * (4 * q_elements + 4 * kv_elements) + 4 * heads * 700;
  for (const auto& [name, pairs] : {std::pair("dense", dense), std::pair("causal", causal)}) {
    const WorkCounts c = counts(kernel, name, p);
    CHECK(c.useful_tensor_flops == Approx(10 * 128 * pairs).epsilon(1e-12));
    CHECK(c.useful_exp_count == Approx(pairs).epsilon(1e-12));
    CHECK(c.hbm_bytes == Approx(bytes).epsilon(1e-12));
    CHECK(c.tensor_flops >= c.useful_tensor_flops);
  }
}

TEST_CASE("unequal head_dims of K and V count six and four FLOPs a pair") {
  Problem p = problem();
  p.head_dim_qk = 192;
  const WorkCounts c = counts({"cudnn-bwd-sm100", "b200"}, "dense", p);
  CHECK(c.useful_tensor_flops == Approx((6.0 * 192 + 4.0 * 128) * 12 * 700 * 900).epsilon(1e-12));
}

TEST_CASE("two kernels compute S and dP twice: fourteen d FLOPs a pair are executed") {
  Problem p = problem();
  p.q_heads = 3;
  p.q_len = p.kv_len = {1024};  // whole tiles
  const WorkCounts c = counts({"triton-bwd", "a100-sxm-80gb"}, "dense", p);
  CHECK(c.tensor_flops == Approx(14.0 * 128 * 6 * 1024 * 1024).epsilon(1e-12));
}
