// SPDX-License-Identifier: Apache-2.0
// How a timing is taken: clock policy, L2 state, overheads. From the run config's harness.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace attnsim {

enum class ClockPolicy { locked, boost, sustained };
enum class L2Start { cold, warm };  // warm: the end state of the same call (a replay's fixed point)

// How kernels after the first are launched. A schedule's programmatic launches overlap their predecessor with either.
enum class LaunchKind {
  graph,  // nodes of a CUDA graph
  plain   // one by one to a stream
};

// Work that a harness times beside the kernel. Each shows under its own name. add_gradients: PyTorch's backward() adds the new gradients to
// those of the calls before where nobody cleared them, an element-wise kernel for each of dQ, dK and dV; other passes have none.
enum class ExtraKernel { kv_cache_write, add_gradients };
[[nodiscard]] std::string_view name_of(ExtraKernel kernel);

struct Conditions {
  ClockPolicy clock = ClockPolicy::boost;
  double locked_mhz = 0;  // ClockPolicy::locked
  double settle_us = 0;   // ClockPolicy::sustained: shorter calls end, with their repetitions, before the power control acts in full
  L2Start l2 = L2Start::cold;
  double l2_dirty = 0;         // L2Start::cold: part of L2 that holds dirty lines of something else, whose way to HBM falls into the call
  int operand_sets = 1;        // L2Start::warm: calls take turns with so many sets of operands; where L2 can't hold all, it starts cold
  double constant_us = 0;      // harness floor on top of the launches
  double host_us = 0;          // host work of a call, beside the GPU's work of the call before: no call takes less
  bool include_launch = true;  // chip.launch.kernel_us counts
  LaunchKind launches = LaunchKind::graph;
  bool chained = false;  // calls follow one another in one graph: the first kernel starts like one behind another
  std::vector<ExtraKernel> extra_kernels;
  std::set<std::string> without;  // effects switched off by name

  // What L2 holds when a call begins that touches so many bytes.
  [[nodiscard]] L2Start l2_start(double touched_bytes, double l2_bytes) const {
    return operand_sets > 1 && operand_sets * touched_bytes > l2_bytes ? L2Start::cold : l2;
  }
};

// One row per effect that `without` accepts.
struct Effect {
  std::string name;
  std::string description;
};
[[nodiscard]] const std::vector<Effect>& effects();

}  // namespace attnsim
