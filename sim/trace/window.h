// SPDX-License-Identifier: Apache-2.0
// The part of a run that a trace shows.
#pragma once

#include <cstdint>
#include <limits>

#include "sim/engine/events.h"

namespace attnsim {

struct TraceWindow {
  int node = -1;  // of the pipeline; -1: all kernels
  int first_sm = 0;
  int last_sm = 3;
  double from_cycle = 0;  // of the kernel
  double to_cycle = std::numeric_limits<double>::infinity();
  std::int64_t first_item = 0;
  std::int64_t last_item = std::numeric_limits<std::int64_t>::max();

  [[nodiscard]] bool has_node(int index) const { return node < 0 || node == index; }
  [[nodiscard]] bool has_sm(int sm) const { return sm >= first_sm && sm <= last_sm; }
  [[nodiscard]] bool has(const StepPlace& at) const { return has_sm(at.sm) && at.item >= first_item && at.item <= last_item; }
  [[nodiscard]] bool overlaps(double begin, double end) const { return end >= from_cycle && begin <= to_cycle; }
};

}  // namespace attnsim
