// SPDX-License-Identifier: Apache-2.0
// The `fast` engine. Kernels of moderate size play as in `detailed`, on the whole chip or on an equal part of it. Larger ones play one
// SM on classes of equal items and distribute the items of the grid over SMs, no faster than L2 and HBM deliver the bytes of all.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sim/engine/class_costs.h"
#include "sim/engine/distribution.h"
#include "sim/engine/machine.h"
#include "sim/engine/residency.h"
#include "sim/result/conditions.h"

namespace attnsim {

// SMs that stand for the chip: they have their part of L2, of HBM and of the slabs of all kernels.
struct ChipPart {
  int sms = 0;
  double times = 1;  // in the chip
  [[nodiscard]] std::int64_t slabs_of(std::int64_t whole) const { return std::llround(static_cast<double>(whole) / times); }
};
// The fewest SMs that make every kernel short enough, or the next more for which whole slabs come to their part of the work; all where
// there is no such part.
[[nodiscard]] ChipPart part_of_chip(const ir::Pipeline& pipeline, const Chip& chip);
// True when a part of the kernel is played step by step: it then reads and leaves the state of MachineConfig::cache.
[[nodiscard]] bool plays_steps(const ir::Kernel& kernel, const Chip& chip, const ChipPart& part);
// Whether L2 is large beside what resident CTAs hold in SMEM: what they find there then hardly depends on how they drift apart.
[[nodiscard]] bool has_room_in_l2(const ir::Kernel& kernel, const Chip& chip);

// One kernel over the plays of a pipeline. What does not change with the clock is worked out once; of class costs only the latency of
// HBM in cycles would, which kernels that reach the power cap hide. A kernel that hardly uses HBM is not played again at another
// clock. The arguments must outlive it.
class FastKernel {
 public:
  FastKernel(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const Conditions& conditions,
             const ChipPart& part)
      : selected_(selected),
        tensors_(tensors),
        chip_(chip),
        conditions_(conditions),
        part_(part),
        plays_steps_(attnsim::plays_steps(*selected.kernel, chip, part)) {}
  [[nodiscard]] bool plays_steps() const { return plays_steps_; }
  // MachineConfig::cache is what kernels hand on to those that play steps; nullptr where none does.
  [[nodiscard]] MachineResult play(const MachineConfig& whole);

 private:
  MachineResult play_steps(const MachineConfig& whole, MachineResult out) const;
  MachineResult play_classes(const MachineConfig& whole, MachineResult out);
  [[nodiscard]] double start_ticks(const MachineConfig& whole) const;  // before the first CTA reads

  const SelectedKernel& selected_;
  const std::vector<ir::Tensor>& tensors_;
  const Chip& chip_;
  const Conditions& conditions_;
  ChipPart part_;
  bool plays_steps_;
  std::optional<MachineResult> counted_;
  std::optional<MachineResult> played_;  // the last time, step by step
  double played_mhz_ = 0;
  Residency residency_;
  std::optional<ClassCosts> costs_;  // and what follows from them
  CostTable table_;
  Makespan makespan_;
};

}  // namespace attnsim
