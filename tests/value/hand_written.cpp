// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "sim/value/value_run.h"
#include "tests/support/toy_programs.h"
#include "tests/support/value_checks.h"
#include "workloads/reference/attention.h"

using namespace attnsim;
using test::largest_row_error;
using test::ToyAttention;

namespace {

constexpr double kTolerance = 1e-9;

double attention_error(const ir::Pipeline& pipeline, const ToyAttention& shape, std::uint64_t seed) {
  const auto inputs = test::random_inputs(pipeline, 11);
  reference::AttentionInputs in;
  in.batch = shape.slabs;
  in.q_len.assign(static_cast<std::size_t>(shape.slabs), shape.q_len);
  in.kv_len.assign(static_cast<std::size_t>(shape.slabs), shape.kv_len);
  in.max_q_len = shape.q_len;
  in.max_kv_len = shape.kv_len;
  in.head_dim_qk = in.head_dim_v = shape.head_dim;
  in.q = inputs[0].values;
  in.k = inputs[1].values;
  in.v = inputs[2].values;
  const std::int64_t shift = shape.kv_len - shape.q_len;
  const auto wanted =
      reference::attention(in, [&](std::int64_t, std::int64_t, std::int64_t q, std::int64_t k) { return !shape.causal || k <= q + shift; });
  value::ValueRun run(pipeline, inputs);
  run.run_random({.seed = seed});
  return largest_row_error(run.tensor(3).values, wanted.o, shape.head_dim);
}

std::string describe(const ToyAttention& s) {
  return std::to_string(s.slabs) + " x q " + std::to_string(s.q_len) + " kv " + std::to_string(s.kv_len) + " d " +
         std::to_string(s.head_dim) + (s.causal ? " causal" : "");
}

const std::vector<ToyAttention> kShapes{{2, 32, 48, 16, false}, {2, 37, 53, 20, false}, {1, 37, 37, 24, true},
                                        {2, 21, 50, 16, true},  {1, 40, 19, 16, true},  {3, 1, 33, 16, true}};

}  // namespace

TEST_CASE("a GEMM gives the product in every order that its tokens allow", "[value]") {
  struct Case {
    int m, n, k, stages;
    ir::GridPolicy policy;
    ir::MmaKind kind;
  };
  const auto c = GENERATE(Case{32, 16, 40, 2, ir::GridPolicy::one_item_per_cta, ir::MmaKind::wgmma_ss},
                          Case{29, 16, 37, 3, ir::GridPolicy::persistent_static, ir::MmaKind::wgmma_ss},
                          Case{29, 24, 37, 1, ir::GridPolicy::persistent_dynamic, ir::MmaKind::mma_sync});
  const auto pipeline = test::toy_gemm(c.m, c.n, c.k, 16, 8, 8, c.stages, c.policy, c.kind);
  const auto inputs = test::random_inputs(pipeline, 5);
  std::vector<double> wanted(static_cast<std::size_t>(c.m * c.n));
  for (int j = 0; j < c.n; ++j) {
    for (int i = 0; i < c.m; ++i) {
      double sum = 0;
      for (int k = 0; k < c.k; ++k) sum += inputs[0].at(k / 8, i, k % 8) * inputs[1].at(j / 8, k, j % 8);
      wanted[static_cast<std::size_t>((j / 8 * c.m + i) * 8 + j % 8)] = sum;
    }
  }
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    value::ValueRun run(pipeline, inputs);
    run.run_random({.seed = seed});
    CHECK(largest_row_error(run.tensor(2).values, wanted, 8) < kTolerance);
  }
}

TEST_CASE("FA2 agrees with the straight-line reference", "[value]") {
  const auto shape = GENERATE(from_range(kShapes));
  INFO(describe(shape));
  for (std::uint64_t seed = 1; seed <= 4; ++seed) CHECK(attention_error(test::toy_fa2(shape, 16, 8), shape, seed) < kTolerance);
}

TEST_CASE("FA3 with ping-pong and overlap agrees with the straight-line reference", "[value]") {
  const auto shape = GENERATE(from_range(kShapes));
  INFO(describe(shape));
  for (std::uint64_t seed = 1; seed <= 6; ++seed) CHECK(attention_error(test::toy_fa3(shape, 16, 8, 2), shape, seed) < kTolerance);
}

TEST_CASE("split-KV agrees with the reference for any number of splits, empty ones included", "[value]") {
  const ToyAttention shape{3, 5, 61, 24, false};
  const int splits = GENERATE(1, 2, 3, 7, 11);
  INFO(splits << " splits");
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CHECK(attention_error(test::toy_split_kv(shape, 16, 8, splits), shape, seed) < kTolerance);
    CHECK(attention_error(test::toy_split_kv_last(shape, 16, 8, splits), shape, seed) < kTolerance);
  }
}

TEST_CASE("stream-K agrees with the reference for lists that cut KV ranges anywhere", "[value]") {
  const ToyAttention shape{3, 5, 61, 24, false};
  const int ctas = GENERATE(1, 2, 5, 7, 24);
  INFO(ctas << " CTAs");
  for (std::uint64_t seed = 1; seed <= 4; ++seed) CHECK(attention_error(test::toy_stream_k(shape, 16, 8, ctas), shape, seed) < kTolerance);
}

TEST_CASE("chunked linear attention equals the masked product without softmax", "[value]") {
  const int length = GENERATE(8, 29, 40);
  const auto pipeline = test::toy_linear(2, length, 12, 20, 8);
  const auto inputs = test::random_inputs(pipeline, 3);
  std::vector<double> wanted;
  for (int slab = 0; slab < 2; ++slab) {
    for (int q = 0; q < length; ++q) {
      for (int j = 0; j < 20; ++j) {
        double sum = 0;
        for (int k = 0; k <= q; ++k) {
          double dot = 0;
          for (int i = 0; i < 12; ++i) dot += inputs[0].at(slab, q, i) * inputs[1].at(slab, k, i);
          sum += dot * inputs[2].at(slab, k, j);
        }
        wanted.push_back(sum);
      }
    }
  }
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    value::ValueRun run(pipeline, inputs);
    run.run_random({.seed = seed});
    CHECK(largest_row_error(run.tensor(3).values, wanted, 20) < kTolerance);
  }
}
