// SPDX-License-Identifier: Apache-2.0
// Counts of the backward pass against the formulas of its card: five products over the kept pairs, one exponential a pair, every input and
// output once. With head_dim d for K and V alike that is 10 d FLOPs a pair.
#include <catch2/catch.hpp>
#include <functional>

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
  const Kernel kernel = GENERATE(
      Kernel{"fa2-bwd-sm80", "a100-sxm-80gb"}, Kernel{"fa3-bwd-sm90", "h100-sxm"}, Kernel{"fa4-bwd-sm100", "b200"},
      Kernel{"triton-bwd", "a100-sxm-80gb"}, Kernel{"triton-varlen-bwd", "a100-sxm-80gb"}, Kernel{"triton-varlen-bwd-sm90", "h100-sxm"},
      Kernel{"flex-bwd-sm90", "h100-sxm"}, Kernel{"triton-tma-bwd-sm100", "b200"}, Kernel{"fused-generic-bwd", "mi300x"});
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

TEST_CASE("with the weights kept by the forward pass four products of 2 d FLOPs a pair are executed") {
  Problem p = problem();
  p.q_len = p.kv_len = {1024};  // whole tiles
  p.head_dim_v = 64;
  const double pairs = 12.0 * 1024 * 1024;
  const WorkCounts c = counts({"pytorch-eager-bwd", "a100-sxm-80gb"}, "causal", p);
  CHECK(c.tensor_flops == Approx((4.0 * 128 + 4.0 * 64) * pairs).epsilon(1e-12));
  CHECK(c.useful_exp_count == 0);
  p.pass = Pass::forward;
  CHECK(counts({"pytorch-eager", "a100-sxm-80gb"}, "causal", p).tensor_flops == Approx((2.0 * 128 + 2.0 * 64) * pairs).epsilon(1e-12));
}

TEST_CASE("kernels between the products of PyTorch's math backend move FP32 scores once in and once out") {
  Problem p = problem();
  p.batch = 1;
  p.q_len = p.kv_len = {1024};
  const double pairs = 6.0 * 1024 * 1024;
  const double rows = 6.0 * 1024;
  const Chip chip = load_chip("b200");
  const auto bytes = [&](const char* schedule, const std::string& name) {
    const ir::Pipeline pipeline = lower(variant("causal"), p, load_schedule(schedule), chip);
    const Bounds bounds = compute_bounds(pipeline, chip, {});
    for (std::size_t n = 0; n < pipeline.nodes().size(); ++n) {
      if (std::get<ir::Kernel>(pipeline.nodes()[n].work).name == name) return bounds.kernel_counts[n].l2_bytes;
    }
    return 0.0;
  };
  CHECK(bytes("pytorch-sdpa-math-bwd-sm100", "multiply") == Approx(12 * pairs).epsilon(1e-12));
  CHECK(bytes("pytorch-sdpa-math-bwd-sm100", "softmax_backward") == Approx(12 * pairs).epsilon(1e-12));
  p.pass = Pass::forward;
  CHECK(bytes("pytorch-sdpa-math-sm100", "modify") == Approx(8 * pairs).epsilon(1e-12));
  CHECK(bytes("pytorch-sdpa-math-sm100", "softmax") == Approx(8 * pairs).epsilon(1e-12));
  CHECK(bytes("pytorch-sdpa-math-sm100", "masked") == Approx(5 * pairs).epsilon(1e-12));
  CHECK(bytes("pytorch-sdpa-math-sm100", "masked_rows") == Approx(pairs + 4 * rows).epsilon(1e-12));
  // A row's number comes with each of its blocks of 64 keys.
  CHECK(bytes("pytorch-sdpa-math-sm100", "clear_rows") == Approx(8 * pairs + 4 * rows * 1024 / 64).epsilon(1e-12));
  CHECK(bytes("pytorch-sdpa-math-sm100", "convert_weights") == Approx(6 * pairs).epsilon(1e-12));
}

TEST_CASE("two kernels compute S and dP twice: fourteen d FLOPs a pair are executed") {
  Problem p = problem();
  p.q_heads = 3;
  p.q_len = p.kv_len = {1024};  // whole tiles
  for (const Kernel& k : {Kernel{"triton-bwd", "a100-sxm-80gb"}, Kernel{"triton-tma-bwd-sm100", "b200"}}) {
    const WorkCounts c = counts(k, "dense", p);
    CHECK(c.tensor_flops == Approx(14.0 * 128 * 6 * 1024 * 1024).epsilon(1e-12));
  }
}

namespace {

// One head of 512 tokens: 8 x 8 tiles of 64 x 64, and 4 x 8 of dQ's 128 x 64.
WorkCounts varlen_counts(const std::function<void(Schedule&)>& change) {
  Problem p = problem();
  p.batch = 1;
  p.q_heads = p.kv_heads = 1;
  p.q_len = p.kv_len = {512};
  Schedule schedule = load_schedule("triton-varlen-bwd-sm90");
  change(schedule);
  const Chip chip = load_chip("h100-sxm");
  return compute_bounds(lower(variant("dense"), p, schedule, chip), chip, {}).counts;
}

}  // namespace

TEST_CASE("integer instructions of a trip count once per warp and trip, in either kernel") {
  const auto with = [](int dkdv, int dq) {
    return varlen_counts([&](Schedule& s) {
      s.tiles[0].trip_instructions = dkdv;
      s.tiles[0].dq_trip_instructions = dq;
    });
  };
  const WorkCounts none = with(0, 0);
  CHECK(with(100, 0).alu_ops - none.alu_ops == Approx(100.0 * 32 * 4 * 8 * 8).epsilon(1e-12));  // four warps
  CHECK(with(0, 10).alu_ops - none.alu_ops == Approx(10.0 * 32 * 8 * 4 * 8).epsilon(1e-12));    // eight warps
  CHECK(with(100, 10).useful_tensor_flops == none.useful_tensor_flops);
}

TEST_CASE("scaling in every trip costs a multiplication per pair and kernel instead of one per element of dK and dQ") {
  const WorkCounts in_trip = varlen_counts([](Schedule&) {});
  const WorkCounts at_end = varlen_counts([](Schedule& s) { s.backward.scale_in_trip = false; });
  CHECK(in_trip.fp32_ops - at_end.fp32_ops == Approx(2.0 * 512 * 512 - 2.0 * 512 * 128).epsilon(1e-12));
}

TEST_CASE("dQ's own kernel may have a tile of its own: fewer of its items read K and V again") {
  const WorkCounts wide = varlen_counts([](Schedule&) {});
  const WorkCounts narrow = varlen_counts([](Schedule& s) { s.tiles[0].dq_rows = 64; });
  // 8 items instead of 4 read K and V of 512 rows, two bytes each.
  CHECK(narrow.l2_bytes - wide.l2_bytes == Approx(4.0 * 2 * 512 * 128 * 2).epsilon(1e-12));
}
