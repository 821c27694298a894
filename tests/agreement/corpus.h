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
  std::string phase;  // prefill, encoder, decode
  ir::Pipeline pipeline;
  Chip chip;
  Conditions conditions;
};
enum class CorpusChips : std::uint8_t {
  small,  // 8 to 16 SMs, 64 KiB to 1 MiB of L2, up to 6,000 loop trips
  wide,   // 32 to 64 SMs, four times the L2 and the batch, up to 40,000 trips: where `fast` plays parts of the chip and classes of items
  masked  // as wide but for 2 to 32 MiB of L2, under masks whose tiles lie apart, differ by head or are drawn
};
// The same on every machine. Draws again, from the same stream, what no schedule takes or what is too large to play in detail.
[[nodiscard]] Sample draw_sample(std::uint64_t seed, CorpusChips chips = CorpusChips::small);

}  // namespace attnsim::test
