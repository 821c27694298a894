// SPDX-License-Identifier: Apache-2.0
// Random attention kernels through the real lowering, on chips scaled down so that L2 capacity, waves and bandwidth bind together:
// what `fast` and `detailed` are held against each other on.
//   Sample s = draw_sample(17);  simulate(s.pipeline, s.chip, s.conditions, ...);
#pragma once

#include <cstdint>
#include <string>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"

namespace attnsim::test {

struct Sample {
  std::uint64_t seed = 0;
  std::string text;   // variant, schedule, shape and chip in one line
  std::string phase;  // prefill, encoder, decode, split
  ir::Pipeline pipeline;
  Chip chip;
  Conditions conditions;
};
// The same on every machine. Draws again, from the same stream, what no schedule takes or what is too large to play in detail.
[[nodiscard]] Sample draw_sample(std::uint64_t seed);

}  // namespace attnsim::test
