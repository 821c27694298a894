// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "sim/value/value_run.h"
#include "tests/support/chips.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"
#include "workloads/reference/attention.h"

using namespace attnsim;

namespace {

struct Case {
  std::string schedule;
  Chip chip;
  std::string variant;
  Problem problem;
};

Problem problem(std::int64_t batch, std::int64_t q_heads, std::int64_t kv_heads, std::vector<std::int64_t> q_len,
                std::vector<std::int64_t> kv_len, std::int64_t d, Params params = {}) {
  Problem p;
  p.batch = batch;
  p.q_heads = q_heads;
  p.kv_heads = kv_heads;
  p.q_len = std::move(q_len);
  p.kv_len = std::move(kv_len);
  p.head_dim_qk = p.head_dim_v = d;
  p.params = std::move(params);
  return p;
}

double pseudo_random(std::uint64_t index) {
  std::uint64_t z = (index + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1.0;
}

reference::AttentionInputs reference_inputs(const Problem& p) {
  reference::AttentionInputs in;
  in.batch = p.batch;
  in.q_heads = p.q_heads;
  in.kv_heads = p.kv_heads;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    in.q_len.push_back(p.q_len_of(b));
    in.kv_len.push_back(p.kv_len_of(b));
  }
  in.max_q_len = *std::max_element(in.q_len.begin(), in.q_len.end());
  in.max_kv_len = *std::max_element(in.kv_len.begin(), in.kv_len.end());
  in.head_dim_qk = p.head_dim_qk;
  in.head_dim_v = p.head_dim_v;
  std::uint64_t counter = 0;
  const auto fill = [&](std::int64_t n) {
    std::vector<double> values(static_cast<std::size_t>(n));
    for (double& x : values) x = 2 * pseudo_random(counter++);
    return values;
  };
  in.q = fill(p.batch * p.q_heads * in.max_q_len * p.head_dim_qk);
  in.k = fill(p.batch * p.kv_heads * in.max_kv_len * p.head_dim_qk);
  in.v = fill(p.batch * p.kv_heads * in.max_kv_len * p.head_dim_v);
  return in;
}

// Where (batch entry, head, query) lies in a query tensor of the pipeline: rows of a packed one hold the heads of a group.
struct Place {
  std::int64_t slab;
  std::int64_t row;
};
Place place(const Problem& p, const ir::Tensor& t, std::int64_t b, std::int64_t h, std::int64_t q) {
  if (t.slabs == p.batch * p.q_heads) return {b * p.q_heads + h, q};
  return {b * p.kv_heads + h / p.group(), q * p.group() + h % p.group()};
}

ir::TensorId id_of(const ir::Pipeline& pipeline, const std::string& name) {
  for (std::size_t i = 0; i < pipeline.tensors().size(); ++i) {
    if (pipeline.tensors()[i].name == name) return static_cast<ir::TensorId>(i);
  }
  FAIL("no tensor " << name);
  return ir::kNone;
}

std::vector<value::TensorData> pipeline_inputs(const ir::Pipeline& pipeline, const Problem& p, const reference::AttentionInputs& in) {
  std::vector<value::TensorData> inputs;
  for (const ir::Tensor& t : pipeline.tensors()) {
    if (t.role != ir::TensorRole::input) continue;
    value::TensorData data(t.slabs, t.rows, t.cols, 0.5);
    if (t.name == "k") data.values = in.k;
    if (t.name == "v") data.values = in.v;
    if (t.name == "q") {
      for (std::int64_t b = 0; b < p.batch; ++b) {
        for (std::int64_t h = 0; h < p.q_heads; ++h) {
          for (std::int64_t q = 0; q < in.max_q_len; ++q) {
            const Place at = place(p, t, b, h, q);
            const std::int64_t from = ((b * p.q_heads + h) * in.max_q_len + q) * p.head_dim_qk;
            for (std::int64_t d = 0; d < p.head_dim_qk; ++d) data.at(at.slab, at.row, d) = in.q[static_cast<std::size_t>(from + d)];
          }
        }
      }
    }
    inputs.push_back(std::move(data));
  }
  return inputs;
}

// Largest deviation of O, relative to its row's largest element, and of LSE.
double largest_error(const Case& c, std::uint64_t seed) {
  const Problem& p = c.problem;
  const Variant& v = variant(c.variant);
  const ir::Pipeline pipeline = lower(v, p, load_schedule(c.schedule), c.chip);
  const reference::AttentionInputs in = reference_inputs(p);
  const auto wanted = reference::attention(in, [&](std::int64_t b, std::int64_t q, std::int64_t k) {
    const Band band = v.band(p, p.q_len_of(b), p.kv_len_of(b));
    const std::int64_t offset = k - q - band.shift;
    return band.lower <= offset && offset <= band.upper;
  });
  value::ValueRun run(pipeline, pipeline_inputs(pipeline, p, in));
  run.run_random({.seed = seed});
  const ir::TensorId o = id_of(pipeline, "o");
  const ir::TensorId lse = id_of(pipeline, "lse");
  double worst = 0;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    for (std::int64_t h = 0; h < p.q_heads; ++h) {
      for (std::int64_t q = 0; q < p.q_len_of(b); ++q) {
        const Place at = place(p, pipeline.tensors()[static_cast<std::size_t>(o)], b, h, q);
        const auto row = static_cast<std::size_t>((b * p.q_heads + h) * in.max_q_len + q);
        double largest = 0;
        double error = 0;
        for (std::int64_t d = 0; d < p.head_dim_v; ++d) {
          const double expected = wanted.o[row * static_cast<std::size_t>(p.head_dim_v) + static_cast<std::size_t>(d)];
          const double difference = std::abs(run.tensor(o).at(at.slab, at.row, d) - expected);
          if (!(difference <= error)) error = difference;
          largest = std::max(largest, std::abs(expected));
        }
        if (largest > 0) error /= largest;
        if (!(error <= worst)) worst = error;
        const double natural = wanted.lse_log2[row] * std::log(2.0);
        const double got = run.tensor(lse).at(at.slab, at.row, 0);
        const double lse_error = std::isinf(natural) ? (got == natural ? 0 : INFINITY) : std::abs(got - natural);
        if (!(lse_error <= worst)) worst = lse_error;
      }
    }
  }
  return worst;
}

void check(const Case& c) {
  for (const std::uint64_t seed : {1U, 2U}) {
    INFO(c.schedule << " on " << c.chip.name << ", " << c.variant << ", q " << c.problem.q_len[0] << " kv " << c.problem.kv_len[0] << " d "
                    << c.problem.head_dim_qk << " heads " << c.problem.q_heads << "/" << c.problem.kv_heads << " seed " << seed);
    double error = INFINITY;
    REQUIRE_NOTHROW(error = largest_error(c, seed));
    CHECK(error < 1e-9);
  }
}

const Params kTopLeft{{"alignment", std::string("top-left")}};
Params window(std::int64_t left, std::int64_t right) {
  return {{"left", left}, {"right", right}};
}

}  // namespace

TEST_CASE("lowered prefill kernels agree with the reference in every order that their tokens allow", "[value]") {
  const auto [schedule, chip] = GENERATE(table<std::string, Chip>({{"fa2-sm80", test::a100()},
                                                                   {"fa2-sm80-paged", test::a100()},
                                                                   {"fa3-sm90", test::h100()},
                                                                   {"fa3-sm90-paged", test::h100()},
                                                                   {"fa4-sm100", test::b200()},
                                                                   {"fa4-sm100-varlen", test::b200()},
                                                                   {"trtllm-prefill-sm100", test::b200()},
                                                                   {"fused-generic", test::a100()},
                                                                   {"fused-generic", test::systolic()},
                                                                   {"naive-unfused", test::a100()}}));
  check({schedule, chip, "dense", problem(1, 2, 1, {200}, {300}, 64)});
  check({schedule, chip, "causal", problem(1, 2, 2, {300}, {300}, 40)});
  check({schedule, chip, "causal", problem(2, 2, 1, {70}, {450}, 64)});
  check({schedule, chip, "causal", problem(1, 1, 1, {260}, {100}, 64)});
  check({schedule, chip, "causal", problem(1, 1, 1, {200}, {330}, 64, kTopLeft)});
  check({schedule, chip, "sliding-window", problem(1, 2, 1, {400}, {400}, 64, window(50, 0))});
  check({schedule, chip, "sliding-window", problem(1, 1, 1, {300}, {420}, 64, window(70, 30))});
  check({schedule, chip, "causal", problem(3, 2, 1, {130, 40, 130}, {200, 90, 340}, 64)});
  check({schedule, chip, "sliding-window", problem(2, 2, 2, {130, 40}, {200, 90}, 64, window(33, 5))});
}

TEST_CASE("lowered kernels of further libraries agree with the reference", "[value]") {
  const auto [schedule, chip] =
      GENERATE(table<std::string, Chip>({{"triton-fa-sm80", test::a100()},
                                         {"triton-fa-masked-sm80", test::a100()},
                                         {"xformers-sm80", test::a100()},
                                         {"ffpa-sm80", test::a100()},
                                         {"triton-fa-sm90", test::h100()},
                                         {"triton-fa-masked-sm90", test::h100()},
                                         {"fmha-ws-sm90", test::h100()},
                                         {"fmha-coop-sm90", test::h100()},
                                         {"fmha-pingpong-sm90", test::h100()},
                                         {"cudnn-sm90", test::h100()},
                                         {"fa2-cdna", test::lowering_chip("cdna", "cdna3", 304, 63, {"mma_sync"})}}));
  check({schedule, chip, "dense", problem(1, 2, 1, {200}, {300}, 64)});
  check({schedule, chip, "causal", problem(2, 2, 1, {70}, {450}, 64)});
  check({schedule, chip, "sliding-window", problem(1, 1, 1, {300}, {420}, 64, window(70, 30))});
}

TEST_CASE("streamed kernels agree with the reference beyond head_dim 256", "[value]") {
  const std::string schedule = GENERATE("xformers-wide-sm80", "ffpa-sm80");
  check({schedule, test::a100(), "dense", problem(1, 1, 1, {100}, {300}, 320)});
  check({schedule, test::a100(), "causal", problem(1, 2, 1, {150}, {150}, 512)});
}

TEST_CASE("lowered prefill kernels agree with the reference at every compiled head_dim", "[value]") {
  const std::int64_t d = GENERATE(32, 80, 128, 192, 256);
  check({"fa2-sm80", test::a100(), "causal", problem(1, 1, 1, {150}, {150}, d)});
  check({"fa3-sm90", test::h100(), "dense", problem(1, 2, 2, {150}, {300}, d)});
  check({"fa3-sm90", test::h100(), "causal", problem(1, 2, 2, {200}, {200}, d)});
  check({"fa3-sm90-paged", test::h100(), "causal", problem(1, 4, 2, {100}, {250}, d)});
  check({"trtllm-prefill-sm100", test::b200(), "causal", problem(1, 2, 1, {300}, {300}, d)});
  if (d <= 128) check({"fa4-sm100", test::b200(), "dense", problem(1, 2, 2, {300}, {450}, d)});
}

TEST_CASE("lowered decode kernels agree with the reference, split or not", "[value]") {
  const auto [schedule, chip] = GENERATE(table<std::string, Chip>({{"splitkv-decode", test::a100()},
                                                                   {"splitkv-decode-sm90", test::h100()},
                                                                   {"splitkv-decode-lastcta", test::b200()},
                                                                   {"trtllm-decode-sm100", test::b200()}}));
  check({schedule, chip, "dense", problem(1, 1, 1, {1}, {50}, 64)});
  check({schedule, chip, "causal", problem(2, 8, 2, {1}, {1500}, 128)});
  check({schedule, chip, "causal", problem(1, 4, 1, {1}, {3000}, 64)});
  check({schedule, chip, "causal", problem(1, 4, 2, {3}, {700}, 64)});
  check({schedule, chip, "sliding-window", problem(1, 4, 1, {1}, {1200}, 64, window(100, 0))});
  check({schedule, chip, "causal", problem(3, 4, 2, {1}, {1100, 90, 600}, 128)});
}
