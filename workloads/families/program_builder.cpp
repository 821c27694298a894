// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/program_builder.h"

namespace attnsim {

using ir::Op;
using ir::OpKind;

ir::AxisId ProgramBuilder::fixed(std::string name, int padded, int valid) {
  program_.axes.push_back({std::move(name), ir::AxisKind::fixed, padded, valid, 0});
  return static_cast<ir::AxisId>(program_.axes.size()) - 1;
}

ir::AxisId ProgramBuilder::rows(std::string name, int padded, int row_offset) {
  program_.axes.push_back({std::move(name), ir::AxisKind::item_rows, padded, padded, row_offset});
  return static_cast<ir::AxisId>(program_.axes.size()) - 1;
}

ir::AxisId ProgramBuilder::first_row(std::string name, ir::AxisId rows) {
  return this->rows(std::move(name), 1, program_.axes[static_cast<std::size_t>(rows)].row_offset);
}

ir::AxisId ProgramBuilder::trip_columns(std::string name, int padded) {
  program_.axes.push_back({std::move(name), ir::AxisKind::trip_cols, padded, padded, 0});
  return static_cast<ir::AxisId>(program_.axes.size()) - 1;
}

ir::TileId ProgramBuilder::smem(std::string name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype, int stages, ir::TileId alias_of) {
  program_.tiles.push_back({std::move(name), ir::Space::smem, rows, cols, dtype, stages, alias_of, ir::kNone});
  return static_cast<ir::TileId>(program_.tiles.size()) - 1;
}

ir::TileId ProgramBuilder::tmem(std::string name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype, int stages, ir::TileId alias_of) {
  program_.tiles.push_back({std::move(name), ir::Space::tmem, rows, cols, dtype, stages, alias_of, ir::kNone});
  return static_cast<ir::TileId>(program_.tiles.size()) - 1;
}

ir::TileId ProgramBuilder::registers(std::string name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype, int agent) {
  program_.tiles.push_back({std::move(name), ir::Space::registers, rows, cols, dtype, 1, ir::kNone, agent});
  return static_cast<ir::TileId>(program_.tiles.size()) - 1;
}

ir::TileId ProgramBuilder::view(std::string name, ir::TileId of, ir::AxisId cols, int column) {
  ir::Tile tile = program_.tiles.at(static_cast<std::size_t>(of));
  tile.name = std::move(name);
  tile.cols = cols;
  tile.view_of = of;
  tile.view_column = column;
  program_.tiles.push_back(std::move(tile));
  return static_cast<ir::TileId>(program_.tiles.size()) - 1;
}

void ProgramBuilder::slice(ir::TileId tile, int cols) {
  program_.tiles[static_cast<std::size_t>(tile)].slice_cols = cols;
}

void ProgramBuilder::borrow(ir::TileId tile, int slots) {
  program_.tiles[static_cast<std::size_t>(tile)].borrowed_slots = slots;
}

ir::TokenId ProgramBuilder::token(std::string name, int arrivals, int initial_count, ir::TokenScope scope) {
  program_.tokens.push_back({std::move(name), scope, arrivals, initial_count});
  return static_cast<ir::TokenId>(program_.tokens.size()) - 1;
}

int ProgramBuilder::section(std::string name, ir::SectionKind kind, ir::TripSource trips) {
  program_.sections.push_back({std::move(name), kind, trips});
  return static_cast<int>(program_.sections.size()) - 1;
}

int ProgramBuilder::agent(std::string name, int warps, int registers_per_thread) {
  program_.agents.push_back({std::move(name), warps, registers_per_thread, std::vector<std::vector<Op>>(program_.sections.size())});
  return static_cast<int>(program_.agents.size()) - 1;
}

std::vector<Op>& ProgramBuilder::ops(int agent, int section) {
  return program_.agents.at(static_cast<std::size_t>(agent)).sections.at(static_cast<std::size_t>(section));
}

namespace ops {

namespace {

Op make(OpKind kind, ir::Fn fn, std::vector<ir::TileId> in, std::vector<ir::TileId> out) {
  Op op;
  op.kind = kind;
  op.fn = fn;
  op.in = std::move(in);
  op.out = std::move(out);
  return op;
}

}  // namespace

Op load(ir::TileId tile, ir::Access from, ir::CopyKind copy, std::vector<ir::TokenId> completes) {
  Op op = make(OpKind::load, ir::Fn::none, {}, {tile});
  op.access = from;
  op.copy = copy;
  op.completes = std::move(completes);
  return op;
}

Op store(ir::TileId tile, ir::Access to, ir::CopyKind copy, std::vector<ir::TokenId> completes) {
  Op op = make(OpKind::store, ir::Fn::none, {tile}, {});
  op.access = to;
  op.copy = copy;
  op.completes = std::move(completes);
  return op;
}

Op atomic_add(ir::TileId tile, ir::Access to, ir::CopyKind copy, std::vector<ir::TokenId> completes) {
  Op op = store(tile, to, copy, std::move(completes));
  op.kind = OpKind::atomic;
  op.fn = ir::Fn::add;
  return op;
}

Op mma(ir::TileId a, ir::TileId b, ir::TileId d, ir::MmaKind kind, bool b_transposed, bool accumulate) {
  Op op = make(OpKind::mma, ir::Fn::none, {a, b}, {d});
  op.mma = kind;
  op.b_transposed = b_transposed;
  op.accumulate = accumulate;
  return op;
}

Op unary(ir::Fn fn, ir::TileId in, ir::TileId out) {
  return make(OpKind::unary, fn, {in}, {out});
}
Op zero(ir::TileId out) {
  return make(OpKind::unary, ir::Fn::zero, {}, {out});
}
Op binary(ir::Fn fn, ir::TileId a, ir::TileId b, ir::TileId out) {
  return make(OpKind::binary, fn, {a, b}, {out});
}

Op binary(ir::Fn fn, ir::TileId a, double scalar, ir::TileId out) {
  Op op = make(OpKind::binary, fn, {a}, {out});
  op.scalar = scalar;
  return op;
}

Op reduce_row(ir::Fn fn, ir::TileId in, ir::TileId out) {
  return make(OpKind::reduce_row, fn, {in}, {out});
}
Op convert(ir::TileId in, ir::TileId out) {
  return make(OpKind::convert, ir::Fn::none, {in}, {out});
}

Op compare(ir::Relation relation, ir::TileId out) {
  Op op = make(OpKind::compare, ir::Fn::none, {}, {out});
  op.relation = relation;
  return op;
}

Op select(ir::TileId in, ir::TileId keep, double otherwise, ir::TileId out) {
  Op op = make(OpKind::select, ir::Fn::none, {in, keep}, {out});
  op.scalar = otherwise;
  return op;
}

Op await(ir::TokenId token, int distance) {
  Op op = make(OpKind::await, ir::Fn::none, {}, {});
  op.token = token;
  op.distance = distance;
  return op;
}

Op signal(ir::TokenId token, std::vector<ir::TileId> after) {
  Op op = make(OpKind::signal, ir::Fn::none, std::move(after), {});
  op.token = token;
  return op;
}

Op when(ir::When when, Op op) {
  op.when = when;
  return op;
}

Ops with_role(Ops list, const std::string& role, int skew) {
  for (Op& op : list) {
    op.role = role;
    op.skew = skew;
  }
  return list;
}

void make_precise(Ops& list) {
  for (Op& op : list) op.precise = op.fn == ir::Fn::exp2 || op.fn == ir::Fn::multiply;
}

void append(Ops& list, Ops more) {
  list.insert(list.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace ops

TripInstructions trip_instructions(ProgramBuilder& b, int agent, int warps, int instructions) {
  if (instructions == 0) return {};
  constexpr int kLanes = 32;
  const ir::AxisId lanes = b.fixed("lanes", kLanes * warps, kLanes * warps);
  return {b.registers("addresses", lanes, b.fixed("instructions", instructions, instructions), ir::DType::i32, agent)};
}

ops::Ops TripInstructions::start() const {
  return tile == ir::kNone ? ops::Ops{} : ops::with_role({ops::zero(tile)}, "init");
}

// They do not count as useful, like whatever is worked out again.
ops::Ops TripInstructions::in_trip() const {
  return tile == ir::kNone ? ops::Ops{} : ops::with_role({ops::binary(ir::Fn::add, tile, 1.0, tile)}, "recompute_addresses");
}

}  // namespace attnsim
