// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/dataflow.h"

#include <catch2/catch.hpp>

#include "sim/core/error.h"
#include "sim/ir/pipeline.h"
#include "tests/support/program_sketch.h"
#include "tests/support/toy_programs.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

const ir::Program& program_of(const ir::Pipeline& p) {
  return std::get<ir::Kernel>(p.nodes().at(0).work).program;
}

// "role -tile,distance-> role" of every edge, tokens as "(token)".
std::vector<std::string> edges(const ir::Program& p) {
  const ir::Dataflow flow = ir::dataflow(p);
  const auto role = [&](int v) {
    const ir::OpPlace& at = flow.ops[static_cast<std::size_t>(v)];
    const ir::Op& op =
        p.agents[static_cast<std::size_t>(at.agent)].sections[static_cast<std::size_t>(at.section)][static_cast<std::size_t>(at.position)];
    return op.role.empty() ? std::string(info(op.kind).name) : op.role;
  };
  std::vector<std::string> text;
  for (const ir::FlowEdge& e : flow.edges) {
    const auto id = static_cast<std::size_t>(e.id);
    const std::string name = e.kind == ir::FlowKind::token ? "(" + p.tokens[id].name + ")" : p.tiles[id].name;
    text.push_back(role(e.from) + " -" + name + "," + std::to_string(e.distance) + "-> " + role(e.to));
  }
  return text;
}

}  // namespace

// The loop may have no trip, so that the store may also see the initial accumulator.
TEST_CASE("the dataflow of a GEMM: accumulator over trips, ring tokens between agents", "[ir]") {
  const auto found = edges(program_of(toy_gemm(16, 8, 32, 16, 8, 8, 2)));
  CHECK_THAT(found, Catch::UnorderedEquals(std::vector<std::string>{"gemm -acc,1-> gemm", "init -acc,0-> gemm", "gemm -acc,0-> store",
                                                                    "init -acc,0-> store", "load_a -(full),0-> await",
                                                                    "load_b -(full),0-> await", "gemm -(empty),2-> await"}));
}

TEST_CASE("skews and stages decide which trip's value an op reads", "[ir]") {
  const int stages = GENERATE(1, 2);
  ProgramSketch s;
  const auto rows = s.rows("rows", 16);
  const int a = s.agent("a", 4, 128);
  const auto x = s.reg(a, "x", rows, ir::kUnit);
  const auto y = s.reg(a, "y", rows, ir::kUnit);
  const int main = s.loop("main");
  // Step t: y = f(x of trip t - 1), then x of trip t is made: with one slot or two, y reads its own trip's x.
  s.add(a, main, unary("use", ir::Fn::exp2, y, x), {.skew = 1});
  s.add(a, main, zero("make", x));
  ir::Program p = s.program();
  p.tiles[static_cast<std::size_t>(x)].stages = stages;
  CHECK(edges(p) == std::vector<std::string>{"make -x,0-> use"});
  // The other way round, the one slot already holds the next trip's value; a second slot mends it.
  std::swap(p.agents[0].sections[0][0], p.agents[0].sections[0][1]);
  CHECK(edges(p) == std::vector<std::string>{stages == 1 ? "make -x,-1-> use" : "make -x,0-> use"});
}

TEST_CASE("agents that wait for each other within one trip are refused", "[ir]") {
  ProgramSketch s;
  const int a = s.agent("a", 1, 32);
  const int b = s.agent("b", 1, 32);
  const auto ab = s.token("ab");
  const auto ba = s.token("ba");
  const int main = s.loop("main");
  s.add(a, main, await(ba));
  s.add(a, main, signal(ab));
  s.add(b, main, await(ab));
  s.add(b, main, signal(ba));
  CHECK_THROWS_AS(ir::dataflow(s.program()), Invariant);
}

TEST_CASE("Graphviz text has a cluster per agent and an edge per flow, labelled with value and distance", "[ir]") {
  const auto pipeline = toy_gemm(16, 8, 32, 16, 8, 8, 2);
  const std::string text = ir::to_graphviz(program_of(pipeline));
  CHECK_THAT(text, Catch::Contains("subgraph cluster_a0 {\n    label=\"producer (1 warps)\"") &&
                       Catch::Contains("subgraph cluster_a1 {\n    label=\"consumer (4 warps)\""));
  CHECK_THAT(text, Catch::Contains("[label=\"acc (1)\"]") && Catch::Contains("[label=\"empty (2)\", style=dashed]"));
  const std::string whole = ir::to_graphviz(toy_split_kv({1, 4, 64, 16, false}, 16, 8, 2));
  CHECK_THAT(whole, Catch::Contains("k0 -> k1") && Catch::Contains("label=\"combine\""));
}

TEST_CASE("all six programs have a dataflow graph", "[ir]") {
  const ToyAttention shape{1, 4, 64, 16, false};
  for (const auto& p : {toy_fa2(shape, 16, 8), toy_fa3(shape, 16, 8, 2), toy_split_kv(shape, 16, 8, 2), toy_split_kv_last(shape, 16, 8, 2),
                        toy_stream_k(shape, 16, 8, 3), toy_linear(1, 32, 16, 16, 8)}) {
    for (const ir::Node& node : p.nodes()) CHECK_NOTHROW(ir::dataflow(std::get<ir::Kernel>(node.work).program));
  }
}
