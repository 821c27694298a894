// SPDX-License-Identifier: Apache-2.0
// The backward pass of the softmax tile-list family. With S = scale Q K^T, P = exp(S - LSE) over the kept pairs and delta = rowsum(dO * O):
//
//   dV = P^T dO     dP = dO V^T     dS = P * (dP - delta)     dK = scale dS^T Q     dQ = scale dS K
//
// Kernels: preprocess (delta, LSE in base 2, zero-fill of dQ's accumulator), main (an item is a KV tile of one query head, its trips are
// the query tiles that visit it: five matrix products a trip, dQ by atomics), convert dQ, and the reduction of dK and dV over the heads
// of a group. With GradQuery::kernel the main kernel leaves dQ out and a kernel that walks KV tiles per query tile computes it.
//
// All programs hold S and dP transposed, [keys x queries]: keys are the item's rows.
#pragma once

#include <string>
#include <vector>

#include "workloads/families/program_builder.h"
#include "workloads/families/tile_list.h"
#include "workloads/families/transposed.h"

namespace attnsim {

// A gradient of the calls before, and the same memory once the new one was added.
struct HeldGradient {
  ir::TensorId before = ir::kNone;
  ir::TensorId after = ir::kNone;
};

struct BackwardTensors {
  ir::TensorId q = ir::kNone;
  ir::TensorId k = ir::kNone;
  ir::TensorId v = ir::kNone;
  ir::TensorId o = ir::kNone;
  ir::TensorId lse = ir::kNone;  // natural logarithm
  ir::TensorId grad_o = ir::kNone;
  ir::TensorId grad_q = ir::kNone;
  ir::TensorId grad_k = ir::kNone;
  ir::TensorId grad_v = ir::kNone;
  ir::TensorId lse2 = ir::kNone;  // base 2, 0 for a query that keeps no key
  ir::TensorId delta = ir::kNone;
  ir::TensorId grad_q_sum = ir::kNone;   // f32, GradQuery::atomic
  ir::TensorId grad_k_part = ir::kNone;  // of groups: one slab per query head, or the f32 sum
  ir::TensorId grad_v_part = ir::kNone;
  HeldGradient held_q = {};  // where new gradients are added to held ones
  HeldGradient held_k = {};
  HeldGradient held_v = {};
  TileListTensors tables = {};        // of score modifiers and masks, for items of keys
  TileListTensors query_tables = {};  // the same for items of queries
};

enum class RowsOf { queries, keys, key_parts };  // slabs: query heads, or KV heads; of keys for each query head
// One item per `tile_rows` rows; `peers`: trips of a loop over peers.
[[nodiscard]] std::vector<ir::ItemFamily> row_items(const TileListPlan& plan, RowsOf rows, int tile_rows, int peers = 0);

[[nodiscard]] ir::Kernel preprocess_kernel(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors);
[[nodiscard]] ir::Kernel clear_kernel(const TileListPlan& plan, const Schedule& schedule, const std::string& name, RowsOf rows,
                                      ir::TensorId tensor, int head_dim);
// f32 sum times `factor` -> the element type.
[[nodiscard]] ir::Kernel convert_kernel(const TileListPlan& plan, const Schedule& schedule, const std::string& name, RowsOf rows,
                                        ir::TensorId from, ir::TensorId to, int head_dim, double factor);
// Adds the parts of a group's query heads.
[[nodiscard]] ir::Kernel sum_heads_kernel(const TileListPlan& plan, const Schedule& schedule, const std::string& name, ir::TensorId parts,
                                          ir::TensorId to, int head_dim);

// Counts how many queries visit each KV tile, one CTA per KV head, from lists as long as those of the last queries.
[[nodiscard]] ir::Kernel count_lists_kernel(ir::PipelineBuilder& builder, const TileListPlan& plan);

// ExtraKernel::add_gradients for one gradient.
[[nodiscard]] ir::Kernel add_gradient_kernel(const TileListPlan& plan, const std::string& name, RowsOf rows, ir::TensorId gradient,
                                             const HeldGradient& held, int head_dim);

// KV-stationary, `plan` seen from the keys: dK, dV, and dQ where the schedule adds it by atomics.
[[nodiscard]] ir::Program key_stationary_program(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors);
// The same with accumulators in tensor memory.
[[nodiscard]] ir::Program key_stationary_tmem_program(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors);
// Query-stationary: dQ alone. `plan` is seen from the queries.
[[nodiscard]] ir::Program query_stationary_program(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors);
// The same with accumulators in tensor memory, for tcgen05.
[[nodiscard]] ir::Program query_stationary_tmem_program(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors);

// What the programs share.
[[nodiscard]] double softmax_scale(const TileListPlan& plan);  // of products
// The plan as the code of masks and scores sees it, for items of one side and trips of the other: `code`, `score` and loop tiles.
[[nodiscard]] TileListPlan seen_from(const TileListPlan& plan, RowsOf items, const Score& score);
// The plan with the tile of dQ's own kernel: its rows stand in tile_kv, as the longer side of a tile stays.
[[nodiscard]] TileListPlan with_dq_tile(TileListPlan plan);
// The computing agent waits for each product: one warpgroup does. Two of them, one agent here, fill each other's waits.
[[nodiscard]] bool waits_for_products(const TileListPlan& plan, const Schedule& schedule);
// Passes the turn at a query tile's dQ on, once `added` has been.
[[nodiscard]] ir::Op pass_on(const Schedule& schedule, ir::TokenId turn, ir::TileId added);
// Goes on only when the asynchronous product that makes `result` is complete.
[[nodiscard]] ops::Ops wait_for(ir::TokenId done, ir::TileId result);
[[nodiscard]] ir::Access key_rows(const TileListPlan& plan, ir::TensorId tensor);  // K or V of the item
[[nodiscard]] ir::Access trip_rows(ir::TensorId tensor);                           // of the visited query tile
// The plan of dQ's own kernel: its tile and its matrix instruction, and where it says so the heads of a group as rows.
[[nodiscard]] TileListPlan query_plan(TileListPlan plan, const Schedule& schedule);
// Rows of packed tiles lie in the slabs of a group's heads.
void address_groups(ir::Program& program, const TileListPlan& plan, const BackwardTensors& tensors);
// By group; groups of one mask share the lists of the first.
[[nodiscard]] std::vector<QueryLists> lists_of(const TileListPlan& plan);
[[nodiscard]] ir::RowOrder order_of(const std::vector<QueryLists>& lists, std::int64_t rows);
// Dependent reads before an item's first load.
[[nodiscard]] ops::Ops list_lookup(ProgramBuilder& b, int agent, const Schedule& schedule, const BackwardTensors& tensors);
// Scales, converts and stores dK and dV, or adds them to the group's sums.
struct KeyGradients {
  ir::TileId sum = ir::kNone;  // f32
  ir::TileId out = ir::kNone;  // in the element type
  ir::TensorId to = ir::kNone;
  double factor = 1;
};
[[nodiscard]] ops::Ops store_key_gradients(const TileListPlan& plan, const Schedule& schedule, const KeyGradients& g);

[[nodiscard]] ir::Pipeline lower_tile_list_backward(const Variant& variant, const Problem& problem, const Schedule& schedule,
                                                    const Chip& chip, const std::vector<ExtraKernel>& extras);

}  // namespace attnsim
