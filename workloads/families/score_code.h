// SPDX-License-Identifier: Apache-2.0
// Score modifiers as ops of a kernel: soft-cap, ALiBi, relative bias (workloads/masks/score.h). Slopes and tables are inputs in units of
// the number that softmax multiplies (softcap, else 1 / sqrt(head_dim_qk)), as kernels take them, so that adding them is one instruction.
//
// Where no kept key lies behind its query, -slope |p - k| is slope k - slope p, and the second part is the same for a whole row: it is left
// out of the scores and taken off the row's log-sum-exp (`lse_shift`).
#pragma once

#include <string>
#include <vector>

#include "workloads/families/mask_code.h"
#include "workloads/families/program_builder.h"
#include "workloads/masks/score.h"

namespace attnsim {

struct BatchGroup;
struct TileListPlan;
struct TileListTensors;

struct ScorePlan {
  Score score;
  MaskCode index;         // of the bias: its only result is the index into the head's table
  ir::Relation position;  // of a row's query among the keys
  bool one_sided = false;
  double factor = 1;  // what softmax multiplies scores by
  double inner = 1;   // what tanh's operand is multiplied by
};

// `parameters`: of the item families, one list per group; numbers in which groups differ are added. Throws ConfigError.
[[nodiscard]] ScorePlan plan_score(const Score& score, const std::vector<BatchGroup>& groups, int head_dim_qk, std::int64_t tile_kv,
                                   bool one_sided_form, std::vector<std::vector<std::int64_t>>& parameters);

// Scores as a program holds them.
struct ScoreForm {
  bool transposed = false;  // keys are rows
  bool derivative = false;  // the square of tanh is kept: the gradient is multiplied by 1 - tanh^2
};
struct ScoreTiles {
  ScoreForm form;
  ir::TileId slope = ir::kNone;  // one number, or one per row where the heads of a group are rows
  ir::TileId row_places = ir::kNone;
  ir::TileId column_places = ir::kNone;
  ir::TileId distance = ir::kNone;
  ir::TileId lse_shift = ir::kNone;  // row vector
  ir::TileId table = ir::kNone;      // SMEM
  std::vector<ir::TileId> index;     // one per instruction
  ir::TileId bias = ir::kNone;
  ir::TileId square = ir::kNone;
  ir::TileId lost = ir::kNone;  // what tanh takes off a gradient
};
[[nodiscard]] ScoreTiles score_tiles(ProgramBuilder& b, const TileListPlan& plan, ir::AxisId rows, ir::AxisId columns, int agent,
                                     const std::string& suffix = "", ScoreForm form = {});
// Before the loop.
[[nodiscard]] ops::Ops score_start(const TileListPlan& plan, const TileListTensors& tensors, const ScoreTiles& tiles, int row_offset = 0);
// On raw products `s`, before the mask.
[[nodiscard]] ops::Ops score_ops(const TileListPlan& plan, const TileListTensors& tensors, const ScoreTiles& tiles, ir::TileId s,
                                 int row_offset = 0);
// The gradient of modified scores becomes that of products over sqrt(head_dim_qk), in place.
[[nodiscard]] ops::Ops score_gradient_ops(const ScoreTiles& tiles, ir::TileId gradient);

}  // namespace attnsim
