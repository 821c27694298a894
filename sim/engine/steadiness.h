// SPDX-License-Identifier: Apache-2.0
// When a play has settled: equal amounts of work have taken the same time and moved the same bytes. Private to sim/engine.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/engine/machine.h"

namespace attnsim::machine {

// What has happened since the start, at a moment.
struct Progress {
  double ticks = 0;
  double owed_ticks = 0;  // write-backs that HBM has still to do
  double l2_inserted_bytes = 0;
  double l2_evicted_bytes = 0;
  double l2_bytes = 0;
  double hbm_bytes = 0;
  double hbm_written_bytes = 0;
  double loaded_bytes = 0;
  double hit_bytes = 0;
  double cta_cycles = 0;
  std::array<double, kWaitCount> wait_ticks{};
  std::array<double, kStartOffsets> offset_trips{};

  // this += other * times
  void add(const Progress& other, double times = 1);
};
[[nodiscard]] Progress operator-(Progress a, const Progress& b);

// `marks`: after equal amounts of work. Over how many of the last of these amounts the play was steady, so that what follows, `more` such
// amounts, may be taken for their mean; 0: it was not. Steady means that the mean of the first half is that of the second, and that
// the spread lets expect a small error of the whole time.
[[nodiscard]] std::size_t steady_amounts(const std::vector<Progress>& marks, double more);

}  // namespace attnsim::machine
