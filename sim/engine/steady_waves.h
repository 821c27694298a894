// SPDX-License-Identifier: Apache-2.0
// Grids of many equal waves. Where items come in periods (whole slabs that share K and V, whole waves of CTA slots) and some of them in
// a row have gone alike, those to come are taken to do so too: all but the last are left out of the play and counted as their mean.
// Private to sim/engine.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/steadiness.h"

namespace attnsim::machine {

class SteadyWaves {
 public:
  // `slots`: CTAs that are resident at once.
  SteadyWaves(const ir::Kernel& kernel, const MachineConfig& config, std::int64_t slots);

  // Whether the moment at which so many items have been handed out counts.
  [[nodiscard]] bool is_mark(std::int64_t handed_out) const { return period_ > 0 && handed_out % period_ == 0 && left_out_ == 0; }
  // At such a moment: how many items from `next` on, of `items` in all, need not be played; mostly 0, and only once not.
  std::int64_t leave_out(std::int64_t next, std::int64_t items, const Progress& now);
  // What those items would have added.
  [[nodiscard]] const Progress& missing() const { return missing_; }
  [[nodiscard]] std::int64_t left_out() const { return left_out_; }

 private:
  // Periods at the end that are played: one, or as many as fill L2 anew where others find what the kernel leaves there.
  [[nodiscard]] std::int64_t kept() const;

  const MachineConfig& config_;
  std::int64_t period_ = 0;  // items; 0: none
  bool warm_ = false;        // the first period is over
  std::vector<Progress> marks_;
  Progress missing_;
  std::int64_t left_out_ = 0;
};

}  // namespace attnsim::machine
