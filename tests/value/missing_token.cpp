// SPDX-License-Identifier: Apache-2.0
// A program without one of its tokens must give a wrong value, stop in a deadlock, or be refused by check().
#include <catch2/catch.hpp>

#include "sim/core/error.h"
#include "sim/ir/op_text.h"
#include "sim/value/value_run.h"
#include "tests/support/mutate.h"
#include "tests/support/toy_programs.h"
#include "tests/support/value_checks.h"

using namespace attnsim;

namespace {

enum class Noticed { no, value, deadlock, refused };

std::vector<double> toy_output(const ir::Pipeline& pipeline, std::uint64_t seed) {
  value::ValueRun run(pipeline, test::random_inputs(pipeline, 5));
  run.run_random({.seed = seed});
  for (std::size_t t = 0; t < pipeline.tensors().size(); ++t) {
    if (pipeline.tensors()[t].role == ir::TensorRole::output) return run.tensor(static_cast<int>(t)).values;
  }
  return {};
}

Noticed notice(const ir::Pipeline& good, const test::OpAt& at) {
  const std::vector<double> wanted = toy_output(good, 1);
  try {
    const ir::Pipeline bad = test::with_op(good, at, test::erase_op);
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
      if (!(test::largest_row_error(toy_output(bad, seed), wanted, 4) < 1e-9)) return Noticed::value;
    }
  } catch (const Invariant&) {
    return Noticed::refused;
  } catch (const SimError& e) {
    if (std::string(e.what()).find("deadlock") == std::string::npos) throw;
    return Noticed::deadlock;
  }
  return Noticed::no;
}

std::string toy_text_at(const ir::Pipeline& pipeline, const test::OpAt& at) {
  const auto& program = std::get<ir::Kernel>(pipeline.nodes()[at.node].work).program;
  return program.agents[at.agent].name + ": " + op_text(program, program.agents[at.agent].sections[at.section][at.position], {});
}

bool is_await(const ir::Program&, const ir::Op& op) {
  return op.kind == ir::OpKind::await;
}

// With turns, consumer 1 needs no await of its own for Q and K: consumer 0, whose turn comes first, has waited for them.
}  // namespace

TEST_CASE("a double-buffered GEMM whose producer doesn't wait for empty slots shows wrong values", "[value]") {
  const auto good = test::toy_gemm(32, 8, 64, 16, 8, 8, 2);
  const auto awaits = test::ops_where(good, is_await);
  REQUIRE(awaits.size() == 2);
  CHECK(notice(good, awaits[0]) == Noticed::value);    // producer's await of empty
  CHECK(notice(good, awaits[1]) == Noticed::refused);  // consumer's await of full: check() sees that nothing orders the read
}

TEST_CASE("a GEMM whose consumer never frees its slots stops in a deadlock that names the agents", "[value]") {
  const auto good = test::toy_gemm(16, 8, 64, 16, 8, 8, 2, ir::GridPolicy::one_item_per_cta, ir::MmaKind::mma_sync);
  const auto signals = test::ops_where(good, [](const ir::Program&, const ir::Op& op) { return op.kind == ir::OpKind::signal; });
  REQUIRE(signals.size() == 1);
  const auto bad = test::with_op(good, signals[0], [](auto& ops, std::size_t i) { ops[i].when = ir::When::first_trip; });
  value::ValueRun run(bad, test::random_inputs(bad, 1));
  CHECK_THROWS_WITH(run.run_random({.seed = 3}), Catch::Contains("deadlock in kernel gemm") && Catch::Contains("agent producer") &&
                                                     Catch::Contains("await") && Catch::Contains("empty"));
}

TEST_CASE("dropping any await is noticed in every hand-written program", "[value]") {
  const test::ToyAttention shape{2, 20, 61, 16, false};
  const test::ToyAttention decode{2, 5, 61, 16, false};
  const std::vector<ir::Pipeline> programs{test::toy_fa2(shape, 16, 8),          test::without_turns(test::toy_fa3(shape, 16, 8, 2)),
                                           test::toy_split_kv(decode, 16, 8, 3), test::toy_split_kv_last(decode, 16, 8, 3),
                                           test::toy_stream_k(decode, 16, 8, 5), test::toy_linear(2, 29, 12, 20, 8)};
  for (const ir::Pipeline& good : programs) {
    for (const test::OpAt& at : test::ops_where(good, is_await)) {
      INFO(good.name() << ": without " << toy_text_at(good, at));
      CHECK(notice(good, at) != Noticed::no);
    }
  }
}

TEST_CASE("a ring with one slot fewer than its tokens promise shows wrong values", "[value]") {
  const auto good = test::toy_gemm(32, 8, 64, 16, 8, 8, 3);
  const auto bad = test::rebuilt(good, [](ir::Kernel& kernel) {
    for (ir::Tile& t : kernel.program.tiles) t.stages = t.stages == 3 ? 2 : t.stages;
  });
  bool wrong = false;
  for (std::uint64_t seed = 1; seed <= 60 && !wrong; ++seed)
    wrong = !(test::largest_row_error(toy_output(bad, seed), toy_output(good, 1), 8) < 1e-9);
  CHECK(wrong);
}
