// SPDX-License-Identifier: Apache-2.0
// Long loops that all resident CTAs walk at once. Where two stretches of them in a row have taken the same time and moved the same
// bytes, the trips to come are taken to go on alike: all CTAs leave out as many of them as the shortest loop has left, and the time
// of those is added. Only where nothing finds in L2 later what the trips left out would have brought. Private to sim/engine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/kernel_plan.h"
#include "sim/engine/machine_state.h"
#include "sim/engine/steadiness.h"

namespace attnsim::machine {

class SteadyLoops {
 public:
  // `slots`: CTAs that are resident at once.
  SteadyLoops(const ir::Kernel& kernel, const KernelPlan& plan, const MachineConfig& config, std::int64_t slots);

  [[nodiscard]] bool enabled() const { return section_ >= 0; }
  // A CTA came or went.
  void restart() { marks_.clear(); }
  // One more trip of a loop is through. True when it is time to look.
  [[nodiscard]] bool is_mark(std::size_t section) { return static_cast<int>(section) == section_ && ++trips_ >= next_mark_; }
  // Trips that each of the CTAs leaves out from now on; mostly 0.
  std::int64_t leave_out(std::span<const CtaState> ctas, const Progress& now);
  // What they would have added.
  [[nodiscard]] const Progress& missing() const { return missing_; }
  void jump(std::span<CtaState> ctas, std::int64_t trips) const;

 private:
  // Trips that the agent may leave out; negative before its loop has settled.
  [[nodiscard]] std::int64_t room(const AgentState& agent) const;
  [[nodiscard]] bool walks(const AgentState& agent) const;

  const KernelPlan& plan_;
  const MachineConfig& config_;
  int section_ = -1;        // the loop; -1: none is left out
  std::size_t agents_ = 0;  // that walk it, of one CTA
  std::int64_t trips_ = 0;  // of all agents so far
  std::int64_t next_mark_ = 0;
  std::vector<Progress> marks_;  // of the CTAs at hand
  Progress missing_;
};

}  // namespace attnsim::machine
