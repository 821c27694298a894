// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/pipeline.h"

#include <catch2/catch.hpp>

#include "sim/core/error.h"
#include "tests/support/toy_programs.h"

using namespace attnsim;

namespace {

ir::HostGap gap(const char* name) {
  return {name, Nanoseconds(100)};
}

std::vector<std::pair<int, int>> pairs(const std::vector<ir::Edge>& edges) {
  std::vector<std::pair<int, int>> result;
  for (const ir::Edge& e : edges) result.emplace_back(e.from, e.to);
  return result;
}

}  // namespace

TEST_CASE("nodes of one stream run in declaration order", "[ir]") {
  ir::PipelineBuilder b("p");
  b.add(gap("a"));
  b.add(gap("b"));
  b.add(gap("c"));
  const ir::Pipeline p = b.build();
  CHECK(pairs(p.edges()) == std::vector<std::pair<int, int>>{{0, 1}, {1, 2}});
  CHECK(p.order() == std::vector<int>{0, 1, 2});
}

TEST_CASE("the order over streams respects dependences and is stable by declaration", "[ir]") {
  ir::PipelineBuilder b("p");
  const int a = b.add(gap("a"), 0);
  const int c = b.add(gap("c"), 1);
  const int d = b.add(gap("d"), 0);
  const int e = b.add(gap("e"), 2);
  b.depend(e, c);
  b.depend(e, c);  // given twice, kept once
  const ir::Pipeline p = b.build();
  CHECK(pairs(p.edges()) == std::vector<std::pair<int, int>>{{a, d}, {e, c}});
  CHECK(p.order() == std::vector<int>{a, d, e, c});
}

TEST_CASE("a cycle over streams is refused", "[ir]") {
  ir::PipelineBuilder b("loop");
  const int a = b.add(gap("a"), 0);
  const int c = b.add(gap("c"), 1);
  b.depend(a, c);
  b.depend(c, a);
  CHECK_THROWS_WITH(b.build(), Catch::Contains("pipeline loop has a cycle"));
}

TEST_CASE("a dependence against the order of a stream is a cycle", "[ir]") {
  ir::PipelineBuilder b("p");
  const int a = b.add(gap("a"));
  const int c = b.add(gap("c"));
  b.depend(c, a);
  CHECK_THROWS_AS(b.build(), Invariant);
}

TEST_CASE("build refuses a kernel that uses an unknown tensor and names it", "[ir]") {
  const ir::Pipeline good = test::toy_gemm(16, 8, 8, 16, 8, 8, 1);
  ir::PipelineBuilder b("p");
  b.add(std::get<ir::Kernel>(good.nodes()[0].work));
  CHECK_THROWS_WITH(b.build(), Catch::Contains("kernel gemm") && Catch::Contains("unknown tensor"));
}

TEST_CASE("bytes of a tensor follow from shape and element size", "[ir]") {
  CHECK(ir::Tensor{"t", 3, 5, 7, ir::DType::bf16, ir::TensorRole::input}.bytes() == Bytes(3 * 5 * 7 * 2));
  CHECK(ir::Tensor{"t", 1, 3, 3, ir::DType::pred, ir::TensorRole::input}.bytes() == Bytes(2));  // 9 bits
}
