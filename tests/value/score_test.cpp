// SPDX-License-Identifier: Apache-2.0
// Score modifiers: values by lowered kernels of every program form against straight-line loops, and that a kernel with one thing wrong
// shows.
#include <catch2/catch.hpp>
#include <random>

#include "sim/core/error.h"
#include "sim/value/value_run.h"
#include "tests/masks/mask_contract.h"
#include "tests/support/chips.h"
#include "tests/support/mutate.h"
#include "tests/value/lowered_attention.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using attnsim::test::draw;
using attnsim::test::KernelOn;

namespace {

std::vector<KernelOn> score_kernels() {
  return {{"fa2-sm80", test::a100()},         {"fa3-sm90", test::h100()},          {"fa4-sm100", test::b200()},
          {"naive-unfused", test::a100()},    {"fused-generic", test::systolic()}, {"splitkv-decode", test::a100()},
          {"lean-streamk-sm80", test::a100()}};
}

Score drawn_score(std::mt19937& rng, std::int64_t kind) {
  Score score;
  if (kind == 0 || draw(rng, 0, 2) == 0) score.softcap = 0.1 * static_cast<double>(draw(rng, 2, 60));
  if (kind == 1 || draw(rng, 0, 2) == 0) score.alibi = true;
  if (kind == 2 || draw(rng, 0, 2) == 0) score.bias_radius = {draw(rng, 0, 90)};
  return score;
}

}  // namespace

TEST_CASE("modified scores agree with the reference on random shapes, by every program form", "[value][score]") {
  const std::vector<KernelOn> list = score_kernels();
  std::mt19937 rng(41);
  for (int i = 0; i < 105; ++i) {
    const KernelOn& k = list[static_cast<std::size_t>(i) % list.size()];
    const std::int64_t kv_heads = draw(rng, 1, 2);
    const std::int64_t batch = draw(rng, 1, 2);
    const bool few = k.schedule == "splitkv-decode" || k.schedule == "lean-streamk-sm80";
    std::vector<std::int64_t> q_len;
    std::vector<std::int64_t> kv_len;
    for (std::int64_t b = 0; b < batch; ++b) {
      q_len.push_back(draw(rng, 1, few ? 4 : 200));
      kv_len.push_back(q_len.back() + draw(rng, 0, few ? 900 : 150));
    }
    Problem p = test::problem(batch, kv_heads * draw(rng, 1, 3), kv_heads, q_len, kv_len, 8 * draw(rng, 1, 8));
    p.score = drawn_score(rng, i / 7 % 3);
    const std::int64_t mask = draw(rng, 0, 2);
    if (mask == 2) p.params = {{"left", draw(rng, 0, 100)}, {"right", draw(rng, 0, 30)}};
    INFO("sample " << i << ": softcap " << p.score.softcap << " alibi " << p.score.alibi << " bias " << !p.score.bias_radius.empty());
    test::check({k.schedule, k.chip, mask == 0 ? "dense" : mask == 1 ? "causal" : "sliding-window", p});
  }
}

TEST_CASE("relative biases on grids agree with the reference, clipped and not", "[value][score]") {
  std::mt19937 rng(43);
  for (int i = 0; i < 50; ++i) {
    const KernelOn k = score_kernels()[static_cast<std::size_t>(i) % 4];
    Score score;
    std::int64_t tokens = 1;
    for (std::int64_t a = draw(rng, 1, 3); a > 0; --a) {
      score.bias_layout.push_back(draw(rng, 1, a == 1 ? 20 : 6));
      tokens *= score.bias_layout.back();
      score.bias_radius.push_back(draw(rng, i % 2 == 0 ? score.bias_layout.back() - 1 : 0, score.bias_layout.back()));
    }
    Problem p = test::problem(draw(rng, 1, 2), 2, draw(rng, 1, 2), {i % 5 == 0 ? draw(rng, 1, tokens) : tokens}, {tokens}, 16);
    p.score = score;
    INFO("sample " << i);
    test::check({k.schedule, k.chip, "dense", p});
  }
}

TEST_CASE("modified scores go with masks that are no bands", "[value][score]") {
  Problem p = test::problem(1, 2, 2, {300}, {300}, 32, {{"mask", std::string("k <= q && (q - k < 40 || k % 7 < 2)")}});
  p.score = {2.5, true, {33}, {}};
  for (const KernelOn& k : {score_kernels()[0], score_kernels()[1], score_kernels()[2], score_kernels()[3]})
    test::check({k.schedule, k.chip, "masked", p});
}

TEST_CASE("MLA decode with a soft-cap and ALiBi agrees with the reference", "[value][score]") {
  Problem p = test::problem(1, 16, 1, {2}, {300}, 96);
  p.head_dim_v = 64;
  p.score.softcap = 2;
  p.score.alibi = true;
  test::check({"flashmla-sm90", test::h100(), "mla-decode", p});
  test::check({"mla-generic", test::a100(), "mla-decode", p});
}

TEST_CASE("a kernel that modifies scores with one thing wrong has wrong values", "[value][score]") {
  for (const KernelOn& k : {score_kernels()[0], score_kernels()[1], score_kernels()[2], score_kernels()[3]}) {
    Problem p = test::problem(1, 4, 4, {200}, {260}, 32);
    p.score = {1.5, true, {40}, {}};
    const auto& v = variant("causal");
    const ir::Pipeline good = lower(v, p, load_schedule(k.schedule), k.chip);
    CHECK(test::largest_error(good, v, p, test::definition(v, p), 1) < 1e-9);
    const auto modifiers = test::ops_where(good, [](const ir::Program&, const ir::Op& op) { return op.role == "modify"; });
    REQUIRE(modifiers.size() > 6);
    int tried = 0;
    for (const test::OpAt& at : modifiers) {
      INFO(k.schedule << ", agent " << at.agent << " op " << at.position);
      const auto worsened = test::with_op(good, at, [](auto& ops, std::size_t i) {
        ir::Op& op = ops[i];
        if (op.kind == ir::OpKind::iota)
          op.relation.offset += 3;
        else if (op.kind == ir::OpKind::load)
          op.access.slab_period = 1;
        else if (op.fn == ir::Fn::tanh)
          op.fn = ir::Fn::copy;
        else if (op.fn == ir::Fn::add && op.in.size() == 2)
          op.fn = ir::Fn::subtract;
        else if (op.fn == ir::Fn::maximum)
          op.scalar = *op.scalar + 1;
      });
      const ir::Op& before = test::op_at(good, at);
      const bool changed = before.kind == ir::OpKind::iota || before.kind == ir::OpKind::load || before.fn == ir::Fn::tanh ||
                           (before.fn == ir::Fn::add && before.in.size() == 2) || before.fn == ir::Fn::maximum;
      if (!changed) continue;
      ++tried;
      double error = INFINITY;
      try {
        error = test::largest_error(worsened, v, p, test::definition(v, p), 1);
      } catch (const SimError&) {  // an index outside the table
      }
      CHECK_FALSE(error < 1e-9);
    }
    CHECK(tried >= 5);
  }
}

TEST_CASE("modifiers that a kernel does not have are refused by name", "[score]") {
  const auto refused = [](Problem p, const char* variant_name, const char* schedule, const Chip& chip) {
    try {
      (void)lower(variant(variant_name), p, load_schedule(schedule), chip);
    } catch (const ConfigError& error) {
      return error.issues().front().pointer;
    }
    return std::string("accepted");
  };
  Problem backward = test::problem(1, 1, 1, {64}, {64}, 64);
  backward.pass = Pass::backward;
  backward.score.bias_radius = {4};
  CHECK(refused(backward, "causal", "fa2-bwd-sm80", test::a100()) == "/score/bias_radius");
  Problem grid = test::problem(1, 1, 1, {64}, {64}, 64);
  grid.score.bias_radius = {3, 3};
  grid.score.bias_layout = {7, 9};
  CHECK(refused(grid, "dense", "fa2-sm80", test::a100()) == "/score/bias_layout");
  Problem boxes = test::problem(1, 1, 1, {256}, {256}, 64, {{"layout", std::string("16x16")}, {"window", std::string("5x5")}});
  boxes.score.alibi = true;
  CHECK(refused(boxes, "gna", "natten-fna-sm90", test::h100()) == "/score");
}
