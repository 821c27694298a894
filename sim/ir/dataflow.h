// SPDX-License-Identifier: Apache-2.0
// The dataflow graph of a tile program. Vertices are ops; an edge carries a tile from its definition to its use inside an
// agent, or a token from a signal to an await, with the number of trips between the two (loop distance).
//
//   producer load_k --k_full, 0--> consumer await --; consumer pv --o, 1--> pv;  qk (skew 0) --s, 0--> softmax (skew 1)
#pragma once

#include <string>
#include <vector>

#include "sim/ir/program.h"

namespace attnsim::ir {

struct OpPlace {
  int agent = 0;
  int section = 0;
  int position = 0;
};

enum class FlowKind : std::uint8_t { value, token };
struct FlowEdge {
  int from = 0;  // index into Dataflow::ops
  int to = 0;
  FlowKind kind = FlowKind::value;
  int id = 0;        // TileId or TokenId
  int distance = 0;  // trips from definition to use; await's distance for tokens
};

struct Dataflow {
  std::vector<OpPlace> ops;  // by agent, section, position
  std::vector<FlowEdge> edges;
};

// Throws Invariant when ops of one trip wait for each other in a circle (the program could never run).
[[nodiscard]] Dataflow dataflow(const Program& program);

}  // namespace attnsim::ir
