// SPDX-License-Identifier: Apache-2.0
// Functional checks of systems whose kernel is a known one on another shape: the kernel on the shape that the system's card states.
#include <catch2/catch.hpp>
#include <cmath>

#include "sim/core/error.h"
#include "tests/support/chips.h"
#include "tests/value/keeps.h"
#include "tests/value/lowered_attention.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using attnsim::test::problem;

namespace {

struct CardShape {
  std::int64_t batch, q_heads, kv_heads, tokens, d, dv;
};

void check_card(const std::string& name, const Problem& asked, const CardShape& wanted, const reference::Keep& keep) {
  const Variant& v = variant(name);
  const Problem p = kernel_problem(v, asked);
  INFO(name);
  CHECK(p.batch == wanted.batch);
  CHECK(p.q_heads == wanted.q_heads);
  CHECK(p.kv_heads == wanted.kv_heads);
  CHECK(p.q_len == std::vector<std::int64_t>{wanted.tokens});
  CHECK(p.kv_len == std::vector<std::int64_t>{wanted.tokens});
  CHECK(p.head_dim_qk == wanted.d);
  CHECK(p.head_dim_v == wanted.dv);
  for (const auto& [schedule, chip] : {std::pair{"fa2-sm80", test::a100()}, std::pair{"fa3-sm90", test::h100()}}) {
    double error = INFINITY;
    REQUIRE_NOTHROW(error = test::largest_error(lower(v, asked, load_schedule(schedule), chip), v, p, keep, 3));
    CHECK(error < 1e-9);
  }
}

}  // namespace

TEST_CASE("MindEye's prior attends densely over 257 + 1 + 257 tokens with 12 heads of 64 and one key head", "[value][cards]") {
  check_card("mindeye-prior", problem(1, 1, 1, {1}, {1}, 64), {1, 12, 1, 515, 64, 64}, test::kAll);
}

TEST_CASE("SHViT attends with one head of 16 over part of the channels", "[value][cards]") {
  check_card("shvit", problem(2, 3, 3, {49}, {49}, 16, {{"qk_dim", std::int64_t{16}}, {"channels", std::int64_t{96}}}),
             {2, 1, 1, 49, 16, 96}, test::kAll);
}

TEST_CASE("FALCON's registers attend with the patches of their crop, or with those of all crops", "[value][cards]") {
  const Params crops{{"part", std::string("crops")}, {"crops", std::int64_t{3}}, {"registers", std::int64_t{7}}};
  check_card("falcon", problem(1, 2, 2, {100}, {100}, 32, crops), {3, 2, 2, 107, 32, 32}, test::kAll);
  const Params registers{{"part", std::string("registers")}, {"crops", std::int64_t{3}}, {"registers", std::int64_t{7}}};
  check_card("falcon", problem(1, 2, 2, {100}, {100}, 32, registers), {1, 2, 2, 21, 32, 32}, test::kAll);
}

TEST_CASE("the block transformer's two decoders are causal over blocks, and over a block's tokens and prefix", "[value][cards]") {
  const Params blocks{{"part", std::string("blocks")}, {"block", std::int64_t{4}}, {"prefix", std::int64_t{2}}};
  check_card("block-transformer", problem(1, 2, 1, {240}, {240}, 32, blocks), {1, 2, 1, 60, 32, 32}, test::kCausal);
  const Params tokens{{"part", std::string("tokens")}, {"block", std::int64_t{4}}, {"prefix", std::int64_t{2}}};
  check_card("block-transformer", problem(1, 2, 1, {40}, {40}, 32, tokens), {10, 2, 1, 6, 32, 32}, test::kCausal);
}

TEST_CASE("pruned heads are absent heads", "[value][cards]") {
  check_card("pruned-heads", problem(1, 6, 6, {90}, {90}, 32, {{"kept_heads", std::int64_t{4}}}), {1, 4, 4, 90, 32, 32}, test::kAll);
}

TEST_CASE("the minimum transformer's merged keys are as wide as the model", "[value][cards]") {
  check_card("minimum-transformer", problem(1, 4, 4, {70}, {70}, 16, {{"form", std::string("merged")}}), {1, 4, 4, 70, 64, 16}, test::kAll);
  check_card("minimum-transformer", problem(1, 4, 4, {70}, {70}, 16, {{"form", std::string("separate")}}), {1, 4, 4, 70, 16, 16},
             test::kAll);
}

// X (Wq Wk^T) X^T = (X Wq)(X Wk)^T, but for the scales of the two widths.
TEST_CASE("one merged matrix gives the attention of two", "[value][cards]") {
  constexpr std::int64_t kTokens = 12;
  constexpr std::int64_t kModel = 8;
  constexpr std::int64_t kHead = 4;
  const auto number = [](std::int64_t i) { return std::sin(static_cast<double>(i * i + 3 * i + 1)); };
  const auto x = [&](std::int64_t t, std::int64_t c) { return number(t * kModel + c); };
  const auto wq = [&](std::int64_t c, std::int64_t j) { return number(1000 + c * kHead + j); };
  const auto wk = [&](std::int64_t c, std::int64_t j) { return number(2000 + c * kHead + j); };
  reference::AttentionInputs two;
  two.q_len = two.kv_len = {kTokens};
  two.max_q_len = two.max_kv_len = kTokens;
  two.head_dim_qk = two.head_dim_v = kHead;
  reference::AttentionInputs merged = two;
  merged.head_dim_qk = kModel;
  const double scales = std::sqrt(static_cast<double>(kModel) / kHead);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t j = 0; j < kHead; ++j) {
      double q = 0;
      double k = 0;
      for (std::int64_t c = 0; c < kModel; ++c) {
        q += x(t, c) * wq(c, j);
        k += x(t, c) * wk(c, j);
      }
      two.q.push_back(q);
      two.k.push_back(k);
      two.v.push_back(number(3000 + t * kHead + j));
    }
    for (std::int64_t c = 0; c < kModel; ++c) {
      double q = 0;
      for (std::int64_t e = 0; e < kModel; ++e) {
        for (std::int64_t j = 0; j < kHead; ++j) q += x(t, e) * wq(e, j) * wk(c, j);
      }
      merged.q.push_back(q * scales);
      merged.k.push_back(x(t, c));
    }
  }
  merged.v = two.v;
  const auto a = reference::attention(two, test::kAll);
  const auto b = reference::attention(merged, test::kAll);
  for (std::size_t i = 0; i < a.o.size(); ++i) CHECK(a.o[i] == Approx(b.o[i]).margin(1e-12));
}

TEST_CASE("a symmetric similarity is attention whose keys are its queries, from one tensor", "[value][cards]") {
  const Variant& v = variant("symmetric-attention");
  for (int i = 0; i < 50; ++i) {
    const std::int64_t tokens = 7 * i + 1;
    const Problem p = problem(1 + i % 2, 1 + i % 3, 1 + i % 3, {tokens}, {tokens}, 8 * (1 + i % 8));
    const bool hopper = i % 2 == 0;
    const ir::Pipeline pipeline = lower(v, p, load_schedule(hopper ? "fa3-sm90" : "fa2-sm80"), hopper ? test::h100() : test::a100());
    for (const ir::Tensor& t : pipeline.tensors()) CHECK(t.name != "k");
    INFO(tokens << " tokens");
    CHECK(test::largest_error(pipeline, v, p, test::kAll, static_cast<std::uint64_t>(i)) < 1e-9);
  }
  CHECK_THROWS_AS(lower(v, problem(1, 2, 1, {64}, {64}, 64), load_schedule("fa2-sm80"), test::a100()), ConfigError);
}
