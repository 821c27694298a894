// SPDX-License-Identifier: Apache-2.0
// When the nodes of a pipeline start. A node starts when its predecessors have ended (a stream is an order, so the node before it in
// its stream is one) and what it runs on is free: one kernel at a time has the SMs, one transfer at a time the link, host gaps hold
// nothing. So transfers and gaps of one stream run beside kernels of another, while kernels follow one another: two that would
// share the SMs take as long together as one after the other when either fills the chip.
//
// Before a kernel stands its launch gap, counted from its predecessors' end; another stream's kernel may run in it:
//   launch.kernel_us (if the harness counts it)  nothing before it: no kernel in its stream, no kernel or transfer that it depends on
//   launch.dependent_kernel_us                   otherwise, in a CUDA graph; launch.stream_kernel_us with plain launches
//   0                                            programmatic launch, after a kernel of its stream
// A kernel with programmatic launch directly after another starts its CTAs on the SMs that the other has left, as many as its first
// wave needs: for how long the last of those stood empty at the other's end is taken off the CTA start, which is why its gap may be
// negative.
#pragma once

#include <cstdint>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"

namespace attnsim {

struct NodeStart {
  int node = -1;  // -1: all are done
  double start_us = 0;
  double gap_us = 0;  // of a kernel, from its predecessors' end or the moment that the chip was free, whichever is later
};

class NodeSchedule {
 public:
  NodeSchedule(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions, double clock_mhz);
  // Of the nodes whose predecessors are done, the one that starts first; ties in the pipeline's order.
  [[nodiscard]] NodeStart next() const;
  // `drains_us`: for how long each SM was empty before the kernel's end, longest first.
  void done(const NodeStart& node, double duration_us, std::vector<double> drains_us = {});
  [[nodiscard]] double end_us() const { return end_us_; }

 private:
  enum class Runs : std::uint8_t { kernel, transfer, gap };
  struct State {
    Runs runs = Runs::kernel;
    std::vector<int> after;
    int previous_kernel = -1;  // of its stream
    bool fed = false;          // a kernel or transfer comes before it
    bool done = false;
    double end_us = 0;
    std::vector<double> drains_us;
  };
  [[nodiscard]] NodeStart start_of(int node) const;
  [[nodiscard]] double head_start_us(const ir::Kernel& kernel, const State& previous) const;
  [[nodiscard]] double launch_gap_us(const State& state, const ir::Kernel& kernel) const;

  const ir::Pipeline& pipeline_;
  const Chip& chip_;
  const Conditions& conditions_;
  double cta_start_us_ = 0;
  std::vector<State> states_;  // by node
  double chip_free_us_ = 0;
  double link_free_us_ = 0;
  double end_us_ = 0;
};

}  // namespace attnsim
