// SPDX-License-Identifier: Apache-2.0
// The `fast` engine. Kernels of moderate size play as in `detailed`, on the whole chip or on an equal part of it. Larger ones play one
// SM on classes of equal items and distribute the items of the grid over SMs, no faster than L2 and HBM deliver the bytes of all.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "sim/engine/class_costs.h"
#include "sim/engine/distribution.h"
#include "sim/engine/machine.h"
#include "sim/engine/residency.h"
#include "sim/result/conditions.h"

namespace attnsim {

// Equal parts into which SMs and slabs of all kernels can be divided so that one part stands for all: the fewest that make every
// kernel short enough, 1 where none do. One part has 1/n of the SMs, of the slabs, of L2 and of HBM.
[[nodiscard]] int equal_parts(const ir::Pipeline& pipeline, const Chip& chip);
// True when one of `parts` of the kernel is played step by step: it then reads and leaves the state of MachineConfig::cache.
[[nodiscard]] bool plays_steps(const ir::Kernel& kernel, int parts);

// One kernel over the plays of a pipeline. What does not change with the clock is worked out once; of class costs only the latency of
// HBM in cycles would, which kernels that reach the power cap hide. A kernel that hardly uses HBM is not played again at another
// clock. The arguments must outlive it.
class FastKernel {
 public:
  FastKernel(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const Conditions& conditions,
             int parts)
      : selected_(selected), tensors_(tensors), chip_(chip), conditions_(conditions), parts_(parts) {}
  [[nodiscard]] MachineResult play(const MachineConfig& whole);

 private:
  MachineResult play_steps(const MachineConfig& whole, MachineResult out) const;
  MachineResult play_classes(const MachineConfig& whole, MachineResult out);

  const SelectedKernel& selected_;
  const std::vector<ir::Tensor>& tensors_;
  const Chip& chip_;
  const Conditions& conditions_;
  int parts_;
  std::optional<MachineResult> counted_;
  std::optional<MachineResult> played_;  // the last time, step by step
  double played_mhz_ = 0;
  Residency residency_;
  std::optional<ClassCosts> costs_;  // and what follows from them
  CostTable table_;
  Makespan makespan_;
};

}  // namespace attnsim
