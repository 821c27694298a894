// SPDX-License-Identifier: Apache-2.0
// The order in which a `detailed` run completes the ops gives the same values as the orders that the tokens allow.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <tuple>

#include "hwmodels/chip_loader.h"
#include "sim/engine/engine.h"
#include "sim/value/value_run.h"
#include "tests/support/toy_programs.h"
#include "tests/support/value_checks.h"

using namespace attnsim;
using test::ToyAttention;

namespace {

// Ops in order of completion. A store from registers has read them when it issues, one from SMEM when it completes.
struct Recorder : EngineListener {
  struct Entry {
    double complete = 0;
    std::int64_t id = 0;
    value::CompletedOp op;
  };
  std::map<int, std::vector<value::CompletedOp>> by_node;
  std::vector<Entry> entries;
  const ir::Kernel* kernel = nullptr;

  void on_step(const StepEvent& e) override {
    const ir::Program& program = kernel->program;
    const StepPlace& at = e.at;
    const ir::Op* base = program.agents[static_cast<std::size_t>(at.agent)].sections[static_cast<std::size_t>(at.section)].data();
    for (const ir::Op* op : e.step->ops) {
      const bool early =
          op->kind == ir::OpKind::store && program.tiles[static_cast<std::size_t>(op->in.front())].space == ir::Space::registers;
      entries.push_back({early ? e.issue_cycle : e.complete_cycle,
                         e.id,
                         {at.cta, at.agent, at.section, static_cast<int>(op - base), at.item, at.trip, e.issue_cycle}});
    }
  }
  void on_kernel(const KernelEvent& e) override {
    kernel = e.kernel;
    if (e.end_cycle < 0) return;
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return std::tie(a.complete, a.id) < std::tie(b.complete, b.id); });
    for (const Entry& entry : entries) by_node[e.node].push_back(entry.op);
    entries.clear();
  }
};

std::vector<double> values_in_engine_order(const ir::Pipeline& pipeline, const std::string& chip) {
  Recorder recorder;
  EngineOptions options;
  options.kind = EngineKind::detailed;
  options.listener = &recorder;
  static_cast<void>(simulate(pipeline, load_chip(chip), {}, options));
  value::ValueRun run(pipeline, test::random_inputs(pipeline, 5));
  for (const int node : pipeline.order()) run.replay(node, recorder.by_node[node]);
  return run.tensor(test::output_of(pipeline)).values;
}

std::vector<double> values_in_random_order(const ir::Pipeline& pipeline) {
  value::ValueRun run(pipeline, test::random_inputs(pipeline, 5));
  run.run_random({.seed = 1});
  return run.tensor(test::output_of(pipeline)).values;
}

double difference(const ir::Pipeline& pipeline, const std::string& chip) {
  const auto cols = pipeline.tensors()[static_cast<std::size_t>(test::output_of(pipeline))].cols;
  return test::largest_row_error(values_in_engine_order(pipeline, chip), values_in_random_order(pipeline), cols);
}

}  // namespace

TEST_CASE("the engine's order of completion gives the values of the random orders", "[value]") {
  const ToyAttention shape{6, 70, 150, 32, false};
  const ToyAttention causal{6, 70, 150, 32, true};
  const auto check = [](const ir::Pipeline& pipeline, const std::string& chip) {
    INFO(pipeline.name() << " on " << chip);
    CHECK(difference(pipeline, chip) < 1e-9);
  };
  check(test::toy_gemm(200, 128, 300, 64, 64, 32, 3, ir::GridPolicy::one_item_per_cta), "toy-sm90");
  check(test::toy_fa2(shape, 64, 32), "toy-sm80");
  check(test::toy_fa2(causal, 64, 32), "toy-sm80");
  const ToyAttention decode{5, 4, 700, 32, false};
  check(test::toy_fa3(shape, 128, 32, 2), "toy-sm90");
  check(test::toy_fa3(causal, 128, 32, 2), "toy-sm90");
  check(test::toy_split_kv(decode, 16, 32, 5), "toy-sm80");
  check(test::toy_split_kv_last(decode, 16, 32, 5), "toy-sm80");
  check(test::toy_stream_k(decode, 16, 32, 4), "toy-sm80");
  check(test::toy_linear(6, 150, 32, 32, 32), "toy-sm80");
}
