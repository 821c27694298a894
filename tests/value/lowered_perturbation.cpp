// SPDX-License-Identifier: Apache-2.0
// Lowered kernels with one thing wrong: values must tell. (That the right ones are right stands in lowered_attention_test.cpp.)
#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/core/error.h"
#include "sim/ir/op_text.h"
#include "sim/value/value_run.h"
#include "tests/support/chips.h"
#include "tests/support/mutate.h"
#include "tests/support/value_checks.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

ir::Pipeline lowered_small(const std::string& schedule, const Chip& chip, const std::string& variant_name, std::int64_t q_len,
                           std::int64_t kv_len) {
  Problem p;
  p.q_heads = 4;
  p.kv_heads = 2;
  p.q_len = {q_len};
  p.kv_len = {kv_len};
  p.head_dim_qk = p.head_dim_v = 64;
  return lower(variant(variant_name), p, load_schedule(schedule), chip);
}

struct Kernels {
  std::string name;
  ir::Pipeline pipeline;
};
std::vector<Kernels> causal_kernels() {
  return {{"fa2-sm80", lowered_small("fa2-sm80", test::a100(), "causal", 150, 520)},
          {"fa3-sm90", lowered_small("fa3-sm90", test::h100(), "causal", 250, 650)},
          {"naive-unfused", lowered_small("naive-unfused", test::a100(), "causal", 150, 300)},
          {"splitkv-decode", lowered_small("splitkv-decode", test::with_sms(test::a100(), 2), "causal", 3, 1500)},
          {"splitkv-decode-sm90", lowered_small("splitkv-decode-sm90", test::with_sms(test::h100(), 12), "causal", 150, 1500)},
          {"splitkv-decode-lastcta", lowered_small("splitkv-decode-lastcta", test::with_sms(test::b200(), 6), "causal", 3, 1500)}};
}

// With turns, later consumers need no awaits of their own for Q and K: the consumer before them has waited.
const ir::Agent& agent_of(const ir::Program& p, const ir::Op& op) {
  const auto has = [&](const ir::Agent& agent) {
    return std::any_of(agent.sections.begin(), agent.sections.end(),
                       [&](const auto& ops) { return !ops.empty() && &ops.front() <= &op && &op <= &ops.back(); });
  };
  return *std::find_if(p.agents.begin(), p.agents.end(), has);
}

template <typename Predicate>
bool any_op(const ir::Agent& agent, const Predicate& predicate) {
  return std::any_of(agent.sections.begin(), agent.sections.end(),
                     [&](const auto& ops) { return std::any_of(ops.begin(), ops.end(), predicate); });
}

// An agent that alone reads the slot that it loads has read it before it loads again: its S is complete when softmax issues.
bool frees_its_own_slot(const ir::Program& p, const ir::Op& await) {
  const ir::Agent& loader = agent_of(p, await);
  const auto is_loaded = [&](ir::TileId t) {
    return any_op(loader, [&](const ir::Op& op) { return op.kind == ir::OpKind::load && op.role == await.role && op.out.front() == t; });
  };
  const auto reads = [&](const ir::Op& op) { return std::any_of(op.in.begin(), op.in.end(), is_loaded); };
  const auto others_read = [&](const ir::Agent& agent) { return &agent != &loader && any_op(agent, reads); };
  return any_op(loader, reads) && std::none_of(p.agents.begin(), p.agents.end(), others_read);
}

// No item here is flagged.
bool is_needed(const ir::Program& p, const ir::Op& await) {
  return (await.distance == 0 || !frees_its_own_slot(p, await)) && await.when != ir::When::item_flag;
}

std::vector<double> output_in_order(const ir::Pipeline& pipeline, std::uint64_t seed) {
  value::ValueRun run(pipeline, test::random_inputs(pipeline, 5));
  run.run_random({.seed = seed, .persistent_ctas = 1});
  for (std::size_t t = 0; t < pipeline.tensors().size(); ++t) {
    if (pipeline.tensors()[t].name == "o") return run.tensor(static_cast<int>(t)).values;
  }
  return {};
}

bool wrong(const ir::Pipeline& bad, const std::vector<double>& wanted, std::uint64_t seed) {
  return !(test::largest_row_error(output_in_order(bad, seed), wanted, 64) < 1e-9);
}

std::string text_at(const ir::Pipeline& pipeline, const test::OpAt& at) {
  std::size_t kernels = 0;
  for (const ir::Node& node : pipeline.nodes()) {
    const auto* kernel = std::get_if<ir::Kernel>(&node.work);
    if (kernel == nullptr || kernels++ != at.node) continue;
    const ir::Agent& agent = kernel->program.agents[at.agent];
    return kernel->name + ", " + agent.name + ": " + op_text(kernel->program, agent.sections[at.section][at.position], {});
  }
  return "?";
}

}  // namespace

TEST_CASE("a mask shifted by one key changes the values of every causal schedule", "[value]") {
  for (const Kernels& k : causal_kernels()) {
    INFO(k.name);
    const auto masks = test::ops_where(k.pipeline, [](const ir::Program&, const ir::Op& op) { return op.kind == ir::OpKind::compare; });
    REQUIRE_FALSE(masks.empty());
    const auto wanted = output_in_order(k.pipeline, 1);
    const auto bad = test::with_op(k.pipeline, masks[0], [](auto& ops, std::size_t i) { ops[i].relation.offset -= 1; });
    CHECK(wrong(bad, wanted, 1));
  }
}

TEST_CASE("a product that does not wait for the second half of P, or takes the first one twice, gives wrong values", "[value]") {
  const ir::Pipeline good = lowered_small("cudnn-918-sm100", test::b200(), "causal", 250, 650);
  const auto wanted = output_in_order(good, 1);
  const auto second = [](const ir::Program& p, const ir::Op& op) {
    return op.kind == ir::OpKind::await && p.tokens[static_cast<std::size_t>(op.token)].name == "p_full0_1";
  };
  const auto awaits = test::ops_where(good, second);
  REQUIRE(awaits.size() == 1);
  const ir::Pipeline early = test::with_op(good, awaits[0], test::erase_op);
  bool noticed = false;
  for (std::uint64_t seed = 1; seed <= 40 && !noticed; ++seed) noticed = wrong(early, wanted, seed);
  CHECK(noticed);
  const auto halves =
      test::ops_where(good, [](const ir::Program&, const ir::Op& op) { return op.kind == ir::OpKind::mma && op.part == 1; });
  REQUIRE_FALSE(halves.empty());
  CHECK(wrong(test::with_op(good, halves[0], [](auto& ops, std::size_t i) { ops[i].part = 0; }), wanted, 1));
}

TEST_CASE("V loaded from K's tensor changes the values of every schedule", "[value]") {
  for (const Kernels& k : causal_kernels()) {
    INFO(k.name);
    const auto loads = test::ops_where(
        k.pipeline, [](const ir::Program&, const ir::Op& op) { return op.kind == ir::OpKind::load && op.role == "load_v"; });
    REQUIRE_FALSE(loads.empty());
    ir::TensorId k_tensor = ir::kNone;
    for (std::size_t t = 0; t < k.pipeline.tensors().size(); ++t) {
      if (k.pipeline.tensors()[t].name == "k") k_tensor = static_cast<ir::TensorId>(t);
    }
    const auto wanted = output_in_order(k.pipeline, 1);
    CHECK(wrong(test::with_op(k.pipeline, loads[0], [&](auto& ops, std::size_t i) { ops[i].access.tensor = k_tensor; }), wanted, 1));
  }
}

TEST_CASE("a KV tile too few in one item changes the values of every schedule", "[value]") {
  for (const Kernels& k : causal_kernels()) {
    INFO(k.name);
    const auto wanted = output_in_order(k.pipeline, 1);
    bool first = true;
    const auto bad = test::rebuilt(k.pipeline, [&](ir::Kernel& kernel) {
      ir::RowTile& tile = kernel.families.front().tiles.front();
      if (first && !tile.runs.empty() && tile.runs.back().count > 0) tile.runs.back().count -= 1;
      first = false;
    });
    CHECK(wrong(bad, wanted, 1));
  }
}

TEST_CASE("a dropped await of the lowered kernels is a wrong value, a deadlock or refused", "[value]") {
  const auto is_await = [](const ir::Program& p, const ir::Op& op) { return op.kind == ir::OpKind::await && is_needed(p, op); };
  for (const Kernels& k : causal_kernels()) {
    const ir::Pipeline good = test::without_turns(k.pipeline);
    const auto wanted = output_in_order(k.pipeline, 1);
    for (const test::OpAt& at : test::ops_where(good, is_await)) {
      INFO(k.name << ", " << text_at(good, at));
      bool noticed = false;
      try {
        const ir::Pipeline bad = test::with_op(good, at, test::erase_op);
        for (std::uint64_t seed = 1; seed <= 40 && !noticed; ++seed) noticed = wrong(bad, wanted, seed);
      } catch (const Invariant&) {
        noticed = true;
      } catch (const SimError&) {
        noticed = true;
      }
      CHECK(noticed);
    }
  }
}
