// SPDX-License-Identifier: Apache-2.0
// The value interpreter: runs the very pipeline that is timed, in double, in an order that its tokens allow.
//
//   ValueRun run(pipeline, inputs);   // inputs: one TensorData per TensorRole::input, in declaration order
//   run.run_random({.seed = 7});      // every kernel, agents and completions in random order
//   run.tensor(o).at(slab, row, col)
//
// Outputs and intermediates start as NaN, as does storage, so that what was never written shows. Intermediates that are the memory of
// another tensor have its values; inputs and outputs have values of their own. Transfers and host gaps
// do nothing: all ranks share one memory here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/ir/pipeline.h"
#include "sim/value/tensor_data.h"

namespace attnsim::value {

struct RandomOptions {
  std::uint64_t seed = 1;
  int persistent_ctas = 0;  // G of persistent grids; 0: drawn from 1 to min(items, 8)
};

// One executed op, as the engine's OpEvent tells it.
struct CompletedOp {
  std::int64_t cta = 0;
  int agent = 0;
  int section = 0;
  int position = 0;
  std::int64_t item = 0;  // position in the grid order
  std::int64_t trip = 0;
  double issue_cycle = 0;  // orders an agent's items
};

class ValueRun {
 public:
  ValueRun(const ir::Pipeline& pipeline, std::vector<TensorData> inputs);
  // Throws SimError with the state of every agent on a deadlock.
  void run_random(const RandomOptions& options);
  // Executes the events of one kernel in the given order (of completion).
  void replay(int node, std::span<const CompletedOp> events);
  [[nodiscard]] const TensorData& tensor(ir::TensorId id) const { return tensors_.at(static_cast<std::size_t>(id)); }

 private:
  const ir::Pipeline* pipeline_;
  std::vector<TensorData> tensors_;
};

}  // namespace attnsim::value
