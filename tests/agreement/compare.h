// SPDX-License-Identifier: Apache-2.0
// One sample played by both engines, and the distribution of their differences.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/agreement/corpus.h"

namespace attnsim::test {

struct Agreement {
  std::uint64_t seed = 0;
  std::string text;
  std::string phase;
  std::string limiter;     // hbm, l2, compute or latency: of detailed's longest kernel
  double detailed_us = 0;  // launches excluded
  double fast_us = 0;
  double error = 0;        // fast / detailed - 1
  double hit_points = 0;   // largest difference of a kernel's L2 hit rate, percentage points, signed
  bool fell_back = false;  // fast played a kernel in detail
};
[[nodiscard]] Agreement compare(std::uint64_t seed, CorpusChips chips = CorpusChips::small);

struct Spread {
  std::size_t count = 0;
  double mean = 0;  // signed
  double p50 = 0;   // of magnitudes
  double p90 = 0;
  double p99 = 0;
  double worst = 0;
};
[[nodiscard]] Spread spread_of(std::vector<double> signed_values);

}  // namespace attnsim::test
