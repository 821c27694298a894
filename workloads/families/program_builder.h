// SPDX-License-Identifier: Apache-2.0
// Writes tile programs: ids for axes, tiles, tokens and agents, and one short function per kind of op.
//   ProgramBuilder b; const AxisId m = b.rows("m", 64); ...; b.ops(agent, section).push_back(ops::mma(...));
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/ir/program.h"

namespace attnsim {

class ProgramBuilder {
 public:
  ir::AxisId fixed(std::string name, int padded, int valid);
  ir::AxisId rows(std::string name, int padded, int row_offset = 0);
  ir::AxisId first_row(std::string name, ir::AxisId rows);  // the first one of these
  ir::AxisId trip_columns(std::string name, int padded);
  [[nodiscard]] int padded(ir::AxisId axis) const { return program_.padded(axis); }
  ir::TileId smem(std::string name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype, int stages = 1, ir::TileId alias_of = ir::kNone);
  ir::TileId tmem(std::string name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype, int stages = 1, ir::TileId alias_of = ir::kNone);
  ir::TileId registers(std::string name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype, int agent);
  ir::TileId view(std::string name, ir::TileId of, ir::AxisId cols, int column);  // Tile::view_of
  void slice(ir::TileId tile, int cols);                                          // Tile::slice_cols
  void borrow(ir::TileId tile, int slots);                                        // Tile::borrowed_slots
  ir::TokenId token(std::string name, int arrivals = 1, int initial_count = 0, ir::TokenScope scope = ir::TokenScope::cta);
  // Sections before agents: an agent starts with one empty list per section.
  int section(std::string name, ir::SectionKind kind, ir::TripSource trips = ir::TripSource::runs);
  int agent(std::string name, int warps, int registers_per_thread);
  void interleave(int agent) { program_.agents[static_cast<std::size_t>(agent)].interleaved = true; }
  [[nodiscard]] std::vector<ir::Op>& ops(int agent, int section);
  [[nodiscard]] ir::Program take() { return std::move(program_); }

 private:
  ir::Program program_;
};

namespace ops {

using Ops = std::vector<ir::Op>;

[[nodiscard]] ir::Op load(ir::TileId tile, ir::Access from, ir::CopyKind copy, std::vector<ir::TokenId> completes = {});
[[nodiscard]] ir::Op store(ir::TileId tile, ir::Access to, ir::CopyKind copy, std::vector<ir::TokenId> completes = {});
// Adds the tile to what lies in the tensor.
[[nodiscard]] ir::Op atomic_add(ir::TileId tile, ir::Access to, ir::CopyKind copy, std::vector<ir::TokenId> completes = {});
[[nodiscard]] ir::Op mma(ir::TileId a, ir::TileId b, ir::TileId d, ir::MmaKind kind, bool b_transposed, bool accumulate);
[[nodiscard]] ir::Op unary(ir::Fn fn, ir::TileId in, ir::TileId out);
[[nodiscard]] ir::Op zero(ir::TileId out);
[[nodiscard]] ir::Op binary(ir::Fn fn, ir::TileId a, ir::TileId b, ir::TileId out);
[[nodiscard]] ir::Op binary(ir::Fn fn, ir::TileId a, double scalar, ir::TileId out);
[[nodiscard]] ir::Op reduce_row(ir::Fn fn, ir::TileId in, ir::TileId out);
[[nodiscard]] ir::Op convert(ir::TileId in, ir::TileId out);
[[nodiscard]] ir::Op compare(ir::Relation relation, ir::TileId out);
[[nodiscard]] ir::Op select(ir::TileId in, ir::TileId keep, double otherwise, ir::TileId out);
[[nodiscard]] ir::Op await(ir::TokenId token, int distance = 0);
[[nodiscard]] ir::Op signal(ir::TokenId token, std::vector<ir::TileId> after = {});

[[nodiscard]] ir::Op when(ir::When when, ir::Op op);
// Gives every op a role, and a skew.
[[nodiscard]] Ops with_role(Ops list, const std::string& role, int skew = 0);
void append(Ops& list, Ops more);
// Exponentials and the multiplies beside them as without fast math.
void make_precise(Ops& list);

}  // namespace ops

// Integer work of an agent in every trip: `instructions` of each of its warps.
struct TripInstructions {
  ir::TileId tile = ir::kNone;  // i32, a number per lane and instruction; none without instructions
  [[nodiscard]] ops::Ops start() const;
  [[nodiscard]] ops::Ops in_trip() const;
};
[[nodiscard]] TripInstructions trip_instructions(ProgramBuilder& b, int agent, int warps, int instructions);

}  // namespace attnsim
