// SPDX-License-Identifier: Apache-2.0
// Each op's value rule on random tiles: valid part against a formula, the rest of the written tile is 0.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "sim/core/error.h"
#include "sim/value/counter_rng.h"
#include "sim/value/execute.h"
#include "tests/support/program_sketch.h"

using namespace attnsim;
using namespace attnsim::test;
using ir::Fn;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Two [8 x 6] tiles of which 5 x 4 are valid, a column vector, a square tile, and a result of each shape.
struct Bench {
  ProgramSketch s;
  ir::AxisId rows = s.rows("rows", 8);
  ir::AxisId cols = s.fixed("cols", 6, 4);
  int agent = s.agent("a", 4, 128);
  int section = s.once("only");
  ir::TileId a = s.reg(agent, "a", rows, cols);
  ir::TileId b = s.reg(agent, "b", rows, cols);
  ir::TileId v = s.reg(agent, "v", rows, ir::kUnit);
  ir::TileId r = s.reg(agent, "r", rows, cols);
  ir::TileId column = s.reg(agent, "column", rows, ir::kUnit);
  ir::TileId row = s.reg(agent, "row", ir::kUnit, cols);
  ir::TileId square = s.reg(agent, "square", cols, cols);
  ir::TileId flipped = s.reg(agent, "flipped", cols, rows);
  value::CtaMemory memory{s.program()};
  ir::ItemFamily family{0, 1, 0, 0, {}};
  ir::RowTile tile;

  explicit Bench(std::uint64_t seed) {
    tile.row_begin = 16;
    tile.rows = 5;
    value::CounterRng rng(seed);
    for (const ir::TileId id : {a, b, v}) {
      auto m = memory.slot(id, 0);
      for (Eigen::Index i = 0; i < m.rows(); ++i) {
        for (Eigen::Index j = 0; j < m.cols(); ++j) m(i, j) = rng.symmetric() * 3;
      }
    }
  }
  value::Matrix run(const ir::Op& op) {
    value::Instance i;
    i.op = &op;
    i.item = {0, &family, &tile};
    value::execute(s.program(), i, memory, {});
    return memory.slot(op.out.at(0), 0);
  }
};

template <class F>
void expect(const value::Matrix& got, int valid_rows, int valid_cols, F&& wanted) {
  for (int i = 0; i < got.rows(); ++i) {
    for (int j = 0; j < got.cols(); ++j) {
      INFO("element " << i << ", " << j);
      const double value = i < valid_rows && j < valid_cols ? wanted(i, j) : 0.0;
      CHECK(got(i, j) == Approx(value).margin(1e-14));
    }
  }
}

}  // namespace

TEST_CASE("element-wise ops act on the valid extent and broadcast a column vector", "[value]") {
  Bench t(GENERATE(1, 2, 3));
  const value::Matrix a = t.memory.slot(t.a, 0);
  const value::Matrix b = t.memory.slot(t.b, 0);
  const value::Matrix v = t.memory.slot(t.v, 0);
  expect(t.run(unary("", Fn::exp2, t.r, t.a)), 5, 4, [&](int i, int j) { return std::exp2(a(i, j)); });
  expect(t.run(unary("", Fn::negate, t.r, t.a)), 5, 4, [&](int i, int j) { return -a(i, j); });
  expect(t.run(unary("", Fn::tanh, t.r, t.a)), 5, 4, [&](int i, int j) {
    const double e = std::exp(2 * a(i, j));
    return (e - 1) / (e + 1);
  });
  expect(t.run(unary("", Fn::reciprocal, t.r, t.a)), 5, 4, [&](int i, int j) { return 1 / a(i, j); });
  expect(t.run(convert("", t.r, t.a)), 5, 4, [&](int i, int j) { return a(i, j); });
  expect(t.run(zero("", t.r)), 5, 4, [](int, int) { return 0.0; });
  expect(t.run(binary("", Fn::subtract, t.r, t.a, t.v)), 5, 4, [&](int i, int j) { return a(i, j) - v(i, 0); });
  expect(t.run(binary("", Fn::multiply, t.r, t.a, t.b)), 5, 4, [&](int i, int j) { return a(i, j) * b(i, j); });
  expect(t.run(binary("", Fn::maximum, t.r, t.a, t.b)), 5, 4, [&](int i, int j) { return std::max(a(i, j), b(i, j)); });
  expect(t.run(scaled("", Fn::add, t.r, t.a, 2.5)), 5, 4, [&](int i, int j) { return a(i, j) + 2.5; });
}

TEST_CASE("look_up takes elements of a row by index and refuses one outside", "[value]") {
  Bench t(7);
  auto table = t.memory.slot(t.row, 0);
  for (int j = 0; j < 4; ++j) table(0, j) = 10 + j;
  auto index = t.memory.slot(t.a, 0);
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 4; ++j) index(i, j) = (i + j) % 4;
  }
  ir::Op op = binary("", Fn::none, t.r, t.row, t.a);
  op.kind = ir::OpKind::look_up;
  expect(t.run(op), 5, 4, [](int i, int j) { return 10 + (i + j) % 4; });
  index(2, 2) = 4;
  CHECK_THROWS_AS(t.run(op), SimError);
}

TEST_CASE("reductions see valid elements only", "[value]") {
  Bench t(4);
  const value::Matrix a = t.memory.slot(t.a, 0);
  expect(t.run(reduce_row("", Fn::add, t.column, t.a)), 5, 1, [&](int i, int) { return a.row(i).head(4).sum(); });
  expect(t.run(reduce_row("", Fn::maximum, t.column, t.a)), 5, 1, [&](int i, int) { return a.row(i).head(4).maxCoeff(); });
  ir::Op op = reduce_row("", Fn::add, t.row, t.a);
  op.kind = ir::OpKind::reduce_col;
  expect(t.run(op), 1, 4, [&](int, int j) { return a.col(j).head(5).sum(); });
}

TEST_CASE("mma multiplies valid parts, transposed or accumulating as asked", "[value]") {
  Bench t(5);
  const value::Matrix a = t.memory.slot(t.a, 0);
  const value::Matrix b = t.memory.slot(t.b, 0);
  ir::Op op = mma("", ir::MmaKind::mma_sync, t.square, t.a, t.b);
  op.a_transposed = true;
  const auto product = [&](int i, int j) { return a.col(i).head(5).dot(b.col(j).head(5)); };
  expect(t.run(op), 4, 4, product);
  op.accumulate = true;
  expect(t.run(op), 4, 4, [&](int i, int j) { return 2 * product(i, j); });
  ir::Op turn = unary("", Fn::none, t.flipped, t.a);
  turn.kind = ir::OpKind::transpose;
  expect(t.run(turn), 4, 5, [&](int i, int j) { return a(j, i); });
}

TEST_CASE("compare takes absolute coordinates and select fills where it is false", "[value]") {
  Bench t(6);
  const value::Matrix a = t.memory.slot(t.a, 0);
  // row = 16 + i; rows 16, 17 are token 8, 18, 19 token 9, ...: keep where token - col - 7 >= 0.
  expect(t.run(compare("", t.b, {1, 2, -1, -7})), 5, 4, [](int i, int j) { return (16 + i) / 2 - j - 7 >= 0 ? 1.0 : 0.0; });
  const value::Matrix got = t.run(select("", t.r, t.a, t.b, -kInfinity));
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 4; ++j) CHECK(got(i, j) == ((16 + i) / 2 - j - 7 >= 0 ? a(i, j) : -kInfinity));
  }
}

TEST_CASE("iota gives a linear form of absolute coordinates, with the item family's own constant", "[value]") {
  Bench t(12);
  t.family.parameters = {100, -3};
  ir::Op op = compare("", t.r, {2, 4, -1, 7});
  op.kind = ir::OpKind::iota;
  expect(t.run(op), 5, 4, [](int i, int j) { return 2 * ((16 + i) / 4) - j + 7; });
  op.relation.parameter = 1;
  expect(t.run(op), 5, 4, [](int i, int j) { return 2 * ((16 + i) / 4) - j + 4; });
  op.relation = {0, 1, 3, 0};
  op.out = {t.row};
  expect(t.run(op), 1, 4, [](int, int j) { return 3 * j; });
}

TEST_CASE("integer arithmetic rounds down, and comparisons and logic give 0 or 1", "[value]") {
  Bench t(GENERATE(13, 14));
  for (const ir::TileId id : {t.a, t.b, t.v}) {
    auto m = t.memory.slot(id, 0);
    m = m.unaryExpr([](double x) { return std::floor(4 * x); });
  }
  t.memory.slot(t.b, 0) = t.memory.slot(t.b, 0).unaryExpr([](double x) { return x == 0 ? 1 : x; });
  const value::Matrix a = t.memory.slot(t.a, 0);
  const value::Matrix b = t.memory.slot(t.b, 0);
  const value::Matrix v = t.memory.slot(t.v, 0);
  expect(t.run(scaled("", Fn::floor_divide, t.r, t.a, 3)), 5, 4, [&](int i, int j) { return std::floor(a(i, j) / 3); });
  expect(t.run(scaled("", Fn::modulo, t.r, t.a, 3)), 5, 4, [&](int i, int j) {
    const int rest = static_cast<int>(a(i, j)) % 3;
    return rest < 0 ? rest + 3 : rest;
  });
  expect(t.run(binary("", Fn::floor_divide, t.r, t.a, t.b)), 5, 4, [&](int i, int j) { return std::floor(a(i, j) / b(i, j)); });
  expect(t.run(unary("", Fn::absolute, t.r, t.a)), 5, 4, [&](int i, int j) { return std::abs(a(i, j)); });
  expect(t.run(binary("", Fn::less, t.r, t.a, t.v)), 5, 4, [&](int i, int j) { return a(i, j) < v(i, 0) ? 1.0 : 0.0; });
  expect(t.run(binary("", Fn::less_equal, t.r, t.a, t.v)), 5, 4, [&](int i, int j) { return a(i, j) <= v(i, 0) ? 1.0 : 0.0; });
  expect(t.run(binary("", Fn::equal, t.r, t.a, t.b)), 5, 4, [&](int i, int j) { return a(i, j) == b(i, j) ? 1.0 : 0.0; });
  expect(t.run(binary("", Fn::logical_or, t.r, t.a, t.v)), 5, 4, [&](int i, int j) { return a(i, j) != 0 || v(i, 0) != 0 ? 1.0 : 0.0; });
  expect(t.run(binary("", Fn::logical_and, t.r, t.a, t.v)), 5, 4, [&](int i, int j) { return a(i, j) != 0 && v(i, 0) != 0 ? 1.0 : 0.0; });
  expect(t.run(binary("", Fn::bit_and, t.r, t.a, t.b)), 5, 4,
         [&](int i, int j) { return static_cast<double>(static_cast<int>(a(i, j)) & static_cast<int>(b(i, j))); });
  expect(t.run(unary("", Fn::logical_not, t.r, t.a)), 5, 4, [&](int i, int j) { return a(i, j) == 0 ? 1.0 : 0.0; });
}

TEST_CASE("a value that was never written is none after comparisons and logic either", "[value]") {
  Bench t(15);
  t.memory.slot(t.b, 0).setConstant(std::nan(""));
  for (const Fn fn : {Fn::less, Fn::less_equal, Fn::equal, Fn::logical_and, Fn::logical_or}) {
    CHECK(std::isnan(t.run(binary("", fn, t.r, t.a, t.b))(0, 0)));
  }
  CHECK(std::isnan(t.run(unary("", Fn::logical_not, t.r, t.b))(0, 0)));
}

TEST_CASE("minus infinity passes through softmax arithmetic without NaN", "[value]") {
  Bench t(7);
  t.memory.slot(t.v, 0).setConstant(-kInfinity);
  expect(t.run(unary("", Fn::finite_or_zero, t.column, t.v)), 5, 1, [](int, int) { return 0.0; });
  ir::Op difference = binary("", Fn::subtract, t.column, t.v, t.column);
  CHECK(t.run(difference)(0, 0) == -kInfinity);
  expect(t.run(unary("", Fn::exp2, t.column, t.column)), 5, 1, [](int, int) { return 0.0; });
}

TEST_CASE("a maximum doesn't swallow a value that was never written", "[value]") {
  Bench t(8);
  t.memory.slot(t.b, 0).setConstant(std::nan(""));
  CHECK(std::isnan(t.run(binary("", Fn::maximum, t.r, t.a, t.b))(0, 0)));
  CHECK(std::isnan(t.run(reduce_row("", Fn::maximum, t.column, t.b))(0, 0)));
}

TEST_CASE("ops without a value rule say so", "[value]") {
  Bench t(9);
  ir::Op op = unary("pick", Fn::none, t.r, t.a);
  op.kind = ir::OpKind::top_k;
  CHECK_THROWS_WITH(t.run(op), Catch::Contains("op top_k (pick) has no value rule yet"));
}
