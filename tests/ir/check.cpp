// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "sim/core/error.h"
#include "tests/support/program_sketch.h"

using namespace attnsim;
using namespace attnsim::test;
using Catch::Contains;
using ir::CopyKind;
using ir::Fn;
using ir::MmaKind;

namespace {

// A producer that fills `x` and a consumer that multiplies it with itself; every test spoils one thing.
struct Pair {
  ProgramSketch s;
  ir::AxisId rows = s.rows("rows", 16);
  ir::AxisId cols = s.fixed("cols", 8);
  ir::AxisId trip = s.trip("trip", 8);
  int producer = s.agent("producer", 1, 24);
  int consumer = s.agent("consumer", 4, 128);
  ir::TileId x = s.smem("x", rows, cols, 2);
  ir::TileId y = s.reg(consumer, "y", rows, rows);
  ir::TileId z = s.reg(consumer, "z", rows, cols);
  ir::TileId row = s.reg(consumer, "row", rows, ir::kUnit);
  ir::TokenId full = s.token("full");
  ir::TokenId empty = s.token("empty");
  int begin = s.once("prologue");
  int main = s.loop("main");

  void produce() {
    s.add(producer, main, await(empty, 2));
    s.add(producer, main, load("load_x", x, {.tensor = 0}, CopyKind::tma, {full}));
  }
  void consume() {
    s.add(consumer, main, await(full));
    s.add(consumer, main, mma_bt("xx", MmaKind::mma_sync, y, x, x));
    s.add(consumer, main, signal(empty));
  }
  [[nodiscard]] ir::Program program() const { return s.program(); }
};

}  // namespace

TEST_CASE("a correct program passes check", "[ir]") {
  Pair p;
  p.produce();
  p.consume();
  CHECK_NOTHROW(ir::check(p.program()));
}

TEST_CASE("check names the place of what is wrong", "[ir]") {
  Pair p;
  const auto refuses = [&](const std::string& what) { CHECK_THROWS_WITH(ir::check(p.program()), Contains(what)); };
  SECTION("await of a token that nobody signals") {
    p.produce();
    p.s.add(p.consumer, p.main, await(p.full));
    refuses("agent producer: awaits token empty that nobody signals");
  }
  SECTION("a register tile that nobody writes") {
    p.produce();
    p.consume();
    p.s.add(p.consumer, p.main, unary("soft", Fn::exp2, p.z, p.z));
    p.s.add(p.consumer, p.main, binary("soft", Fn::multiply, p.y, p.y, p.row));
    refuses("reads row that nobody writes");
  }
  SECTION("an addition that is precise") {
    p.produce();
    p.consume();
    ir::Op add = binary("soft", Fn::add, p.z, p.z, p.z);
    add.precise = true;
    p.s.add(p.consumer, p.main, add);
    refuses("only a multiply or an exp2 is precise");
  }
  SECTION("mma shapes that do not agree") {
    p.produce();
    p.consume();
    p.s.add(p.consumer, p.main, mma("bad", MmaKind::mma_sync, p.y, p.x, p.x));
    refuses("agent consumer, section main, op 3 (mma bad): mma shapes do not agree: A [16 x 8], B [16 x 8], D [16 x 16]");
  }
  SECTION("a turn outside a loop over tiles") {
    p.produce();
    p.consume();
    const ir::TokenId turn = p.s.token("turn");
    p.s.add(p.consumer, p.main, await(turn));
    p.s.add(p.consumer, p.main, signal(turn));
    p.s.add(p.consumer, p.begin, await(turn));
    ir::Program program = p.program();
    program.tokens[static_cast<std::size_t>(turn)].scope = ir::TokenScope::turn;
    CHECK_THROWS_WITH(ir::check(program), Contains("turns at the tiles of a loop outside one"));
    program.agents[static_cast<std::size_t>(p.consumer)].sections[static_cast<std::size_t>(p.begin)].clear();
    CHECK_NOTHROW(ir::check(program));
  }
  SECTION("a load that all see") {
    p.produce();
    p.consume();
    ir::Op op = unary("part", Fn::exp2, p.y, p.y);
    op.until_seen = true;
    p.s.add(p.consumer, p.main, op);
    refuses("only stores and turns are seen");
  }
  SECTION("parts that do not divide the columns") {
    p.produce();
    p.consume();
    ir::Op op = unary("part", Fn::exp2, p.y, p.y);
    op.parts = 3;
    p.s.add(p.consumer, p.main, op);
    refuses("3 parts do not divide 16");
  }
  SECTION("a part too many") {
    p.produce();
    p.consume();
    ir::Op op = unary("part", Fn::exp2, p.y, p.y);
    op.part = op.parts = 2;
    p.s.add(p.consumer, p.main, op);
    refuses("part 2 of 2");
  }
  SECTION("a second part that clears what the first has added up") {
    p.produce();
    p.consume();
    ir::Op op = mma_bt("part", MmaKind::mma_sync, p.y, p.x, p.x);
    op.part = 1;
    op.parts = 2;
    p.s.add(p.consumer, p.main, op);
    refuses("only the first part of an MMA may clear its result");
  }
  SECTION("element-wise shapes that do not agree") {
    p.produce();
    p.consume();
    p.s.add(p.consumer, p.main, unary("soft", Fn::exp2, p.z, p.y));
    refuses("y [16 x 16] does not fit z [16 x 8]");
  }
  SECTION("an agent with too few sections") {
    p.produce();
    p.consume();
    ir::Program program = p.program();
    program.agents[0].sections.pop_back();
    CHECK_THROWS_WITH(ir::check(program), Contains("agent producer: has 1 sections, the program has 2"));
  }
  SECTION("SMEM of another agent without any token between them") {
    p.s.add(p.producer, p.main, load("load_x", p.x, {.tensor = 0}, CopyKind::tma, {p.full}));
    p.s.add(p.consumer, p.main, mma_bt("xx", MmaKind::mma_sync, p.y, p.x, p.x));
    refuses("reads x without awaiting any token of its writer producer");
  }
  SECTION("an asynchronous copy that the same agent reads without a token") {
    p.s.add(p.consumer, p.main, load("load_x", p.x, {.tensor = 0}, CopyKind::cp_async, {}));
    p.s.add(p.consumer, p.main, mma_bt("xx", MmaKind::mma_sync, p.y, p.x, p.x));
    refuses("reads x without awaiting any token of its writer consumer");
  }
  SECTION("register tile of another agent") {
    p.produce();
    p.consume();
    p.s.add(p.producer, p.main, zero("init", p.y));
    refuses("uses register tile y of another agent");
  }
  SECTION("negative skew") {
    p.produce();
    p.consume();
    p.s.add(p.consumer, p.main, zero("init", p.y), {.skew = -1});
    refuses("negative skew");
  }
  SECTION("skew outside a loop") {
    p.produce();
    p.consume();
    p.s.add(p.consumer, p.begin, zero("init", p.y), {.skew = 1});
    refuses("skew outside a loop");
  }
  SECTION("a trip condition outside a loop") {
    p.produce();
    p.consume();
    p.s.add(p.consumer, p.begin, zero("init", p.y), {.when = ir::When::first_trip});
    refuses("acts by trip outside a loop");
  }
  SECTION("wgmma with B in registers") {
    p.produce();
    p.consume();
    p.s.add(p.consumer, p.main, mma_bt("bad", MmaKind::wgmma_ss, p.y, p.x, p.z));
    refuses("wgmma takes B from SMEM");
  }
  SECTION("arrivals that do not divide among the signalling agents") {
    p.produce();
    p.consume();
    ir::Program program = p.program();
    program.tokens[static_cast<std::size_t>(p.full)].arrivals = 3;
    program.agents[1].sections[1].push_back(signal(p.full));
    CHECK_THROWS_WITH(ir::check(program), Contains("token full: 3 arrivals do not divide among the 2 agents"));
  }
  SECTION("unknown tile") {
    p.produce();
    p.consume();
    p.s.add(p.consumer, p.main, zero("init", 99));
    refuses("unknown tile 99");
  }
}

TEST_CASE("SMEM counts every stage once, and aliases not again", "[ir]") {
  Pair p;
  p.produce();
  p.consume();
  ir::Program program = p.program();
  CHECK(program.smem_bytes() == 16 * 8 * 2 * 2);  // rows x cols x 2 B x 2 stages
  program.tiles.push_back({"staged", ir::Space::smem, p.rows, p.cols, ir::DType::f32, 1, p.x, ir::kNone});
  CHECK(program.smem_bytes() == 16 * 8 * 4);  // same size in f32 with one stage
  program.tiles.back().stages = 2;
  CHECK(program.smem_bytes() == 2 * 16 * 8 * 4);
  CHECK(program.storage_of(static_cast<int>(program.tiles.size()) - 1) == p.x);
  CHECK(program.threads() == 5 * 32);
}
