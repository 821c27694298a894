// SPDX-License-Identifier: Apache-2.0
#include "tests/support/program_sketch.h"

#include <utility>

namespace attnsim::test {

namespace {

template <class T>
int push(std::vector<T>& items, T item) {
  items.push_back(std::move(item));
  return static_cast<int>(items.size()) - 1;
}

ir::Op make(ir::OpKind kind, std::string role, std::vector<ir::TileId> in, std::vector<ir::TileId> out) {
  ir::Op op;
  op.kind = kind;
  op.role = std::move(role);
  op.in = std::move(in);
  op.out = std::move(out);
  return op;
}

}  // namespace

ir::AxisId ProgramSketch::fixed(std::string name, int padded, int valid) {
  return push(program_.axes, {std::move(name), ir::AxisKind::fixed, padded, valid > 0 ? valid : padded, 0});
}
ir::AxisId ProgramSketch::rows(std::string name, int padded, int row_offset) {
  return push(program_.axes, {std::move(name), ir::AxisKind::item_rows, padded, padded, row_offset});
}
ir::AxisId ProgramSketch::trip(std::string name, int padded) {
  return push(program_.axes, {std::move(name), ir::AxisKind::trip_cols, padded, padded, 0});
}
ir::TileId ProgramSketch::smem(std::string name, ir::AxisId rows, ir::AxisId cols, int stages, ir::DType dtype) {
  return push(program_.tiles, {std::move(name), ir::Space::smem, rows, cols, dtype, stages, ir::kNone, ir::kNone});
}
ir::TileId ProgramSketch::reg(int agent, std::string name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype) {
  return push(program_.tiles, {std::move(name), ir::Space::registers, rows, cols, dtype, 1, ir::kNone, agent});
}
ir::TokenId ProgramSketch::token(std::string name, int arrivals, int initial_count) {
  return push(program_.tokens, {std::move(name), ir::TokenScope::cta, arrivals, initial_count});
}
ir::TokenId ProgramSketch::kernel_token(std::string name, int arrivals) {
  return push(program_.tokens, {std::move(name), ir::TokenScope::kernel, arrivals, 0});
}
int ProgramSketch::once(std::string name) {
  return push(program_.sections, {std::move(name), ir::SectionKind::once, ir::TripSource::runs});
}
int ProgramSketch::loop(std::string name, ir::TripSource trips) {
  return push(program_.sections, {std::move(name), ir::SectionKind::loop, trips});
}
int ProgramSketch::agent(std::string name, int warps, int registers) {
  return push(program_.agents, {std::move(name), warps, registers, {}});
}
void ProgramSketch::add(int agent, int section, ir::Op op, Placed placed) {
  if (op.when == ir::When::always) op.when = placed.when;
  op.skew = placed.skew;
  for (ir::Agent& a : program_.agents) a.sections.resize(program_.sections.size());
  program_.agents.at(static_cast<std::size_t>(agent)).sections.at(static_cast<std::size_t>(section)).push_back(std::move(op));
}

ir::Op load(std::string role, ir::TileId out, ir::Access from, ir::CopyKind copy, std::vector<ir::TokenId> completes) {
  ir::Op op = make(ir::OpKind::load, std::move(role), {}, {out});
  op.access = from;
  op.copy = copy;
  op.completes = std::move(completes);
  return op;
}
ir::Op store(std::string role, ir::TileId in, ir::Access to, std::vector<ir::TokenId> completes, ir::CopyKind copy) {
  ir::Op op = make(ir::OpKind::store, std::move(role), {in}, {});
  op.access = to;
  op.copy = copy;
  op.completes = std::move(completes);
  return op;
}
ir::Op mma(std::string role, ir::MmaKind kind, ir::TileId out, ir::TileId a, ir::TileId b, std::vector<ir::TokenId> completes) {
  ir::Op op = make(ir::OpKind::mma, std::move(role), {a, b}, {out});
  op.mma = kind;
  op.completes = std::move(completes);
  return op;
}
ir::Op mma_bt(std::string role, ir::MmaKind kind, ir::TileId out, ir::TileId a, ir::TileId b, std::vector<ir::TokenId> completes) {
  ir::Op op = mma(std::move(role), kind, out, a, b, std::move(completes));
  op.b_transposed = true;
  return op;
}
ir::Op accumulate(ir::Op op) {
  op.accumulate = true;
  return op;
}
ir::Op zero(std::string role, ir::TileId out) {
  ir::Op op = make(ir::OpKind::unary, std::move(role), {}, {out});
  op.fn = ir::Fn::zero;
  return op;
}
ir::Op unary(std::string role, ir::Fn fn, ir::TileId out, ir::TileId in) {
  ir::Op op = make(ir::OpKind::unary, std::move(role), {in}, {out});
  op.fn = fn;
  return op;
}
ir::Op binary(std::string role, ir::Fn fn, ir::TileId out, ir::TileId a, ir::TileId b) {
  ir::Op op = make(ir::OpKind::binary, std::move(role), {a, b}, {out});
  op.fn = fn;
  return op;
}
ir::Op scaled(std::string role, ir::Fn fn, ir::TileId out, ir::TileId a, double scalar) {
  ir::Op op = make(ir::OpKind::binary, std::move(role), {a}, {out});
  op.fn = fn;
  op.scalar = scalar;
  return op;
}
ir::Op reduce_row(std::string role, ir::Fn fn, ir::TileId out, ir::TileId in) {
  ir::Op op = make(ir::OpKind::reduce_row, std::move(role), {in}, {out});
  op.fn = fn;
  return op;
}
ir::Op convert(std::string role, ir::TileId out, ir::TileId in) {
  return make(ir::OpKind::convert, std::move(role), {in}, {out});
}
ir::Op compare(std::string role, ir::TileId out, ir::Relation relation) {
  ir::Op op = make(ir::OpKind::compare, std::move(role), {}, {out});
  op.relation = relation;
  return op;
}
ir::Op select(std::string role, ir::TileId out, ir::TileId in, ir::TileId keep, double fill) {
  ir::Op op = make(ir::OpKind::select, std::move(role), {in, keep}, {out});
  op.scalar = fill;
  return op;
}
ir::Op signal(ir::TokenId token, std::vector<ir::TileId> after) {
  ir::Op op = make(ir::OpKind::signal, "", std::move(after), {});
  op.token = token;
  return op;
}
ir::Op await(ir::TokenId token, int distance) {
  ir::Op op = make(ir::OpKind::await, "", {}, {});
  op.token = token;
  op.distance = distance;
  return op;
}

}  // namespace attnsim::test
