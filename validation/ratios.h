// SPDX-License-Identifier: Apache-2.0
// What rows of one set say about each other, free of what they share (clock, harness): the speedup of a neighbourhood over the dense call
// (as speedup_baselines has it), and the time of a launch that tests its scores over that of one that needs no test: same file, device,
// set, kernel, dtype, layout and window, another stride. Rows that state no `masked` stand in no ratio.
#pragma once

#include <span>
#include <vector>

#include "validation/groups.h"

namespace attnsim {

enum class RatioKind { speedup, masking };

struct Ratio {
  RatioKind kind = RatioKind::speedup;
  std::size_t row = 0;        // the neighbourhood; with masking the launch that tests
  std::size_t reference = 0;  // the dense call; with masking the launch without tests
  double measured = 0;        // speedup: reference / row; masking: row / reference
  std::optional<double> predicted;
  [[nodiscard]] double error_percent() const;  // signed; 100 where a side is unmapped
};

// Speedups first, each kind in order of rows.
[[nodiscard]] std::vector<Ratio> set_ratios(std::span<const RowOutcome> outcomes);
// Lines of a table per ratio and a mean of absolute errors per kind; "" where there are none.
[[nodiscard]] std::string ratios_text(std::span<const RowOutcome> outcomes);

}  // namespace attnsim
