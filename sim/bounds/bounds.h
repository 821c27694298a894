// SPDX-License-Identifier: Apache-2.0
// The closed-form rungs: flops, roofline, tile, schedule. Shares no code with the engine. Unclamped.
//   flops     useful MMA FLOPs at peak; element-wise work enters at roofline (work without any MMA: its FP32 operations)
//   roofline  useful work at peak rates: tensor, lanes (no mask work), compulsory L2 and HBM bytes, links
//   tile      padded and mask work, SMEM and re-read L2 bytes, issue; sustained tensor and HBM rates
//   schedule  grid_bound (grid.h) of each kernel, strung together with launches (timeline.h)
// `Conditions::without` is the engine's business, except "launch".
#pragma once

#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "sim/result/result.h"

namespace attnsim {

struct SelectedKernel;

struct Bounds {
  Ladder ladder;                      // whole pipeline, microseconds
  WorkCounts counts;                  // hbm_bytes: compulsory (inputs and outputs touched once), wherever they lie
  std::vector<Ladder> kernel_ladder;  // by pipeline node (empty ladder for transfers and gaps)
  std::vector<WorkCounts> kernel_counts;
};
[[nodiscard]] Bounds compute_bounds(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions);
// With select_instructions(pipeline, chip) made before.
[[nodiscard]] Bounds compute_bounds(const ir::Pipeline& pipeline, const std::vector<SelectedKernel>& selected, const Chip& chip,
                                    const Conditions& conditions);

}  // namespace attnsim
