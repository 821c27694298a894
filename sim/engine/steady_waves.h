// SPDX-License-Identifier: Apache-2.0
// Grids of many equal waves. Where items come in periods (whole slabs that share K and V, whole waves of CTA slots) and two stretches of
// them in a row have taken the same time and moved the same bytes, those to come are taken to go on alike: all but the last are left
// out of the play and counted as the stretches were. Private to sim/engine.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/engine/machine.h"

namespace attnsim::machine {

// What has happened since the start, at a moment.
struct Progress {
  std::int64_t ticks = 0;
  std::int64_t l2_inserted_bytes = 0;
  std::int64_t l2_evicted_bytes = 0;
  double l2_bytes = 0;
  double hbm_bytes = 0;
  double hbm_written_bytes = 0;
  double loaded_bytes = 0;
  double hit_bytes = 0;
  double cta_cycles = 0;
  std::array<double, kWaitCount> wait_ticks{};
  std::array<double, kStartOffsets> offset_trips{};
};
[[nodiscard]] Progress operator+(const Progress& a, const Progress& b);
[[nodiscard]] Progress operator-(const Progress& a, const Progress& b);
[[nodiscard]] Progress operator*(const Progress& a, double times);
// The same time and bytes, to within what counts as steady.
[[nodiscard]] bool alike(const Progress& a, const Progress& b);

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
  [[nodiscard]] std::int64_t kept(std::size_t stretch) const;

  const MachineConfig& config_;
  std::int64_t period_ = 0;  // items; 0: none
  std::vector<Progress> marks_;
  Progress missing_;
  std::int64_t left_out_ = 0;
};

}  // namespace attnsim::machine
