// SPDX-License-Identifier: Apache-2.0
// Short hand for tile programs written in a test.
//   ProgramSketch s; const auto rows = s.rows("rows", 64); const auto c = s.agent("consumer", 4, 240);
//   s.add(c, main, binary("softmax", Fn::multiply, s_tile, s_tile, alpha), {.when = When::partial_trip, .skew = 1});
#pragma once

#include <string>
#include <vector>

#include "sim/ir/pipeline.h"

namespace attnsim::test {

struct Placed {
  ir::When when = ir::When::always;
  int skew = 0;
};

class ProgramSketch {
 public:
  ir::AxisId fixed(std::string name, int padded, int valid = 0);
  ir::AxisId rows(std::string name, int padded, int row_offset = 0);
  ir::AxisId trip(std::string name, int padded);
  ir::TileId smem(std::string name, ir::AxisId rows, ir::AxisId cols, int stages = 1, ir::DType dtype = ir::DType::bf16);
  ir::TileId reg(int agent, std::string name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype = ir::DType::f32);
  ir::TokenId token(std::string name, int arrivals = 1, int initial_count = 0);
  ir::TokenId kernel_token(std::string name, int arrivals = 1);
  int once(std::string name);
  int loop(std::string name, ir::TripSource trips = ir::TripSource::runs);
  int agent(std::string name, int warps, int registers);
  void add(int agent, int section, ir::Op op, Placed placed = {});
  [[nodiscard]] const ir::Program& program() const { return program_; }

 private:
  ir::Program program_;
};

// Ops. `completes` are the tokens of asynchronous ops.
ir::Op load(std::string role, ir::TileId out, ir::Access from, ir::CopyKind copy, std::vector<ir::TokenId> completes);
ir::Op store(std::string role, ir::TileId in, ir::Access to, std::vector<ir::TokenId> completes = {},
             ir::CopyKind copy = ir::CopyKind::plain);
ir::Op mma(std::string role, ir::MmaKind kind, ir::TileId out, ir::TileId a, ir::TileId b, std::vector<ir::TokenId> completes = {});
ir::Op mma_bt(std::string role, ir::MmaKind kind, ir::TileId out, ir::TileId a, ir::TileId b, std::vector<ir::TokenId> completes = {});
ir::Op accumulate(ir::Op op);
ir::Op zero(std::string role, ir::TileId out);
ir::Op unary(std::string role, ir::Fn fn, ir::TileId out, ir::TileId in);
ir::Op binary(std::string role, ir::Fn fn, ir::TileId out, ir::TileId a, ir::TileId b);
ir::Op scaled(std::string role, ir::Fn fn, ir::TileId out, ir::TileId a, double scalar);
ir::Op reduce_row(std::string role, ir::Fn fn, ir::TileId out, ir::TileId in);
ir::Op convert(std::string role, ir::TileId out, ir::TileId in);
ir::Op compare(std::string role, ir::TileId out, ir::Relation relation);
ir::Op select(std::string role, ir::TileId out, ir::TileId in, ir::TileId keep, double fill);
ir::Op signal(ir::TokenId token, std::vector<ir::TileId> after = {});
ir::Op await(ir::TokenId token, int distance = 0);

}  // namespace attnsim::test
