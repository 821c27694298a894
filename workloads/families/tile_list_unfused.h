// SPDX-License-Identifier: Apache-2.0
// Products of kernels that hand scores on through memory. A matrix [rows x keys] lies in blocks of [rows x tile_kv], one slab per KV tile
// of a query head: slab h * kv_tile_count + t.
#pragma once

#include <cstdint>
#include <string>

#include "workloads/families/program_builder.h"
#include "workloads/families/tile_list.h"

namespace attnsim {

[[nodiscard]] std::int64_t kv_tile_count(const TileListPlan& plan);  // of the longest entry
// The item's rows of the visited KV tile's block.
[[nodiscard]] ir::Access block(const TileListPlan& plan, ir::TensorId tensor);

// out = factor rows keys^T: S from Q and K, dP from dO and V.
struct RowProduct {
  ir::TensorId rows = ir::kNone;
  ir::TensorId keys = ir::kNone;
  ir::TensorId out = ir::kNone;  // blocks
  int padded = 1;                // head_dim
  int head_dim = 1;
  double factor = 1;
  std::string role;
};
// A row tile an item, its trips the KV tiles.
[[nodiscard]] ir::Program rows_by_keys(const TileListPlan& plan, const Schedule& schedule, const RowProduct& product);

struct ScoreProduct {
  ir::TensorId scores = ir::kNone;  // blocks
  ir::TensorId values = ir::kNone;
  ir::TensorId out = ir::kNone;
  int padded = 1;  // head_dim
  int head_dim = 1;
  std::string role;
};
// out = scores values: O from P and V, dQ from dS and K. A row tile an item, its trips the KV tiles.
[[nodiscard]] ir::Program scores_by_values(const TileListPlan& plan, const Schedule& schedule, const ScoreProduct& product);
// out = scores^T values: dV from P and dO, dK from dS and Q. A KV tile an item, its number the item's split; its trips the row tiles.
[[nodiscard]] ir::Program scores_by_rows(const TileListPlan& plan, const Schedule& schedule, const ScoreProduct& product);

// A kernel over the plan's items, `tile_rows` rows each.
[[nodiscard]] ir::Kernel unfused_kernel(const std::string& name, ir::Program program, TileListPlan plan, const Schedule& schedule,
                                        int tile_rows);

}  // namespace attnsim
