// SPDX-License-Identifier: Apache-2.0
// The closed-form rungs: flops, roofline, tile, schedule. Shares no code with the engine.
#pragma once

#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "sim/result/result.h"

namespace attnsim {

struct Bounds {
  Ladder ladder;  // whole pipeline, microseconds
  WorkCounts counts;
  std::vector<Ladder> kernel_ladder;  // by pipeline node (empty ladder for transfers and gaps)
  std::vector<WorkCounts> kernel_counts;
};
[[nodiscard]] Bounds compute_bounds(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions);

}  // namespace attnsim
