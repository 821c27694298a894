// SPDX-License-Identifier: Apache-2.0
// Pieces of the fused program, by role. A computing agent owns the rows [index * rows, + rows) of the CTA's tile, or, where agents
// share the columns of V, all of its rows.
#pragma once

#include "workloads/families/merge.h"
#include "workloads/families/tile_list.h"

namespace attnsim {

// Sections of a fused program.
inline constexpr int kPrologue = 0;
inline constexpr int kMain = 1;
inline constexpr int kEpilogue = 2;

struct ComputeTiles {
  ir::TileId metadata = ir::kNone;  // lengths, read per item
  ir::TileId q = ir::kNone;         // SMEM
  ir::TileId q_registers = ir::kNone;
  ir::TileId k_wide = ir::kNone;  // K and V of an 8-bit cache in Q's type, a fragment at a time
  ir::TileId v_wide = ir::kNone;
  ir::TileId v = ir::kNone;          // its columns of V; none: all of them
  ir::TileId s_product = ir::kNone;  // Q K^T summed up in FP16: what s is widened from
  ir::TileId s = ir::kNone;
  ir::TileId p = ir::kNone;
  ir::TileId o_half = ir::kNone;     // O between trips, where that is FP16
  ir::TileId o_product = ir::kNone;  // P V of a trip in FP16, and widened
  ir::TileId o_part = ir::kNone;
  ir::TileId o = ir::kNone;
  ir::TileId o_piece = ir::kNone;  // stands for the reads of an O in memory that follow the first
  std::vector<ir::TileId> mask;    // one per instruction of the plan's mask code
  ScoreTiles score;
  ir::TileId m = ir::kNone;
  ir::TileId m_new = ir::kNone;
  ir::TileId m_safe = ir::kNone;  // m_new where no row can be without keys
  ir::TileId m_scaled = ir::kNone;
  ir::TileId alpha = ir::kNone;
  ir::TileId l = ir::kNone;
  ir::TileId row_sum = ir::kNone;
  ir::TileId o_out = ir::kNone;      // what is stored: SMEM stage or registers
  ir::TileId row_parts = ir::kNone;  // SMEM: what the warps of a row have found of it, where several share one
};

struct SharedTokens {
  ir::TokenId q_full = ir::kNone;
  ir::TokenId q_empty = ir::kNone;
  ir::TokenId k_full = ir::kNone;
  ir::TokenId k_empty = ir::kNone;
  ir::TokenId v_full = ir::kNone;
  ir::TokenId v_empty = ir::kNone;
  ir::TokenId o_stored = ir::kNone;  // V's SMEM is free again
  ir::TokenId pv_done = ir::kNone;   // all computing agents have read the last V
  ir::TokenId split_done = ir::kNone;
  ir::TokenId exchanged = ir::kNone;   // all warps have written what others of their rows read
  ir::TokenId ready = ir::kNone;       // stream-K, kernel scope: a piece's partial result lies in memory
  std::vector<ir::TokenId> turn;       // ping-pong, one per computing agent
  std::vector<ir::TokenId> exp2_turn;  // Schedule::exp2_in_turn, likewise
};

// A part of K's or V's columns with slots of its own.
struct Piece {
  ir::TileId tile = ir::kNone;
  ir::TokenId full = ir::kNone;
  ir::TokenId empty = ir::kNone;
  int column = 0;
  ir::AxisId columns = ir::kUnit;
};

struct SharedTiles {
  ir::TileId k = ir::kNone;
  std::vector<Piece> k_pieces;  // in the place of k, where it is loaded in parts
  ir::TileId v = ir::kNone;
  std::vector<Piece> v_pieces = {};
  ir::TileId metadata = ir::kNone;
  ir::TileId pages = ir::kNone;  // entries of the block table for one KV tile
  ops::Ops box = {};             // integer code: which box of the layout a trip's KV tile is
};

// SMEM slots of K and V. In a joint ring of an odd number of slots, K(t) takes the slot of V(t - v) and V(t) that of K(t - k + 1).
struct KvSlots {
  int k = 1;
  int v = 1;
  bool crossed = false;
};
[[nodiscard]] KvSlots kv_slots(const TileRule& rule);
// The tiles k and v.
[[nodiscard]] SharedTiles kv_tiles(ProgramBuilder& b, const TileListPlan& plan, ir::AxisId kv, ir::AxisId d, ir::AxisId dv);

// What role writers need beside the plan.
struct FusedContext {
  const TileListPlan& plan;
  const Schedule& schedule;
  const TileListTensors& tensors;
  SharedTokens tokens;
  SharedTiles shared;
  std::vector<ComputeTiles> compute;
  int rows_per_agent = 0;
  bool async_mma = false;
  [[nodiscard]] int row_offset(std::size_t index) const { return plan.rule.split_columns ? 0 : static_cast<int>(index) * rows_per_agent; }
  bool guard_slots = false;                  // slots need empty tokens: another agent or an asynchronous MMA reads them
  std::vector<TripInstructions> extra = {};  // by computing agent
};

// One role of the main loop, placed.
struct PlacedRole {
  std::string role;
  int skew = 0;
  ops::Ops ops;
};

// Columns of V and O of each agent where they share them, and the axis of those of agent `index`.
[[nodiscard]] int part_columns(const TileListPlan& plan);
[[nodiscard]] ir::AxisId part_axis(ProgramBuilder& b, const TileListPlan& plan, int index);
[[nodiscard]] ir::Access rows_access(ir::TensorId tensor, int row_offset);
// Tiles for the results of code over [rows x kv], those of pairs that are kept in one tile `keep`.
[[nodiscard]] std::vector<ir::TileId> code_tiles(ProgramBuilder& b, const MaskCode& code, ir::AxisId rows, ir::AxisId kv, int agent,
                                                 const std::string& name, const std::string& suffix = "");
// Its ops, but those of code that runs before the loop.
[[nodiscard]] ops::Ops code_ops(const TileListPlan& plan, const TileListTensors& tensors, const MaskCode& code,
                                const std::vector<ir::TileId>& tiles, int row_offset = 0);
// Of the plan's mask code.
[[nodiscard]] std::vector<ir::TileId> mask_tiles(ProgramBuilder& b, const TileListPlan& plan, ir::AxisId rows, ir::AxisId kv, int agent,
                                                 const std::string& suffix = "");
// Loads what the code needs of the queries of an item: before the loop.
[[nodiscard]] ops::Ops mask_start(const TileListPlan& plan, const TileListTensors& tensors, const std::vector<ir::TileId>& tiles,
                                  int row_offset = 0);
// Masks `s` where the plan needs it.
[[nodiscard]] ops::Ops mask_ops(const TileListPlan& plan, const TileListTensors& tensors, const std::vector<ir::TileId>& tiles,
                                ir::TileId s, int row_offset = 0);

// `reader`: the computing agent that loads its own rows of Q, or kNone where one agent loads for all.
[[nodiscard]] ops::Ops load_role(const FusedContext& c, const std::string& role, int reader = ir::kNone);
// The main loop of computing agent `index`, roles in the order of the schedule, tokens placed.
[[nodiscard]] ops::Ops compute_loop(const FusedContext& c, const AgentSpec& spec, std::size_t index);
// The tile of block-table entries, where a trip reads them.
// A kernel that walks boxes turns the number of a trip into coordinates by numbers of tiles that it is told at launch, before each load
// (NATTEN: crd2idx(ctr_offset(iter)), behind the wait for the slot). Nothing without boxes.
[[nodiscard]] ops::Ops box_ops(ProgramBuilder& b, const FusedContext& c, int agent);
[[nodiscard]] ir::TileId pages_tile(ProgramBuilder& b, const FusedContext& c, int agent);
// Dependent reads of a trip's O where it lies in memory, else 0.
[[nodiscard]] int o_round_trips(const FusedContext& c);
// Dependent reads before the first load (scheduler, lengths, block table), or those of O that follow the first.
[[nodiscard]] ops::Ops lookup(const FusedContext& c, ir::TileId into, int round_trips);
// O and log-sum-exp of computing agent `index` to memory, or to its place among the splits; columns of O from `column` on, and the
// log-sum-exp only with those from 0 on.
[[nodiscard]] ops::Ops epilogue(const FusedContext& c, std::size_t index, int column = 0);
// O /= l; base-2 log-sum-exp in t.alpha.
[[nodiscard]] ops::Ops finish_rows(const FusedContext& c, const ComputeTiles& t);

[[nodiscard]] bool has_producer(const Schedule& schedule);
[[nodiscard]] const AgentSpec& spec_of(const Schedule& schedule, AgentKind kind);

// Sections after the main loop in which partial results are merged by a computing agent.
struct MergeSections {
  int hand_over = ir::kNone;
  int wait = ir::kNone;  // stream-K only
  int reduce = ir::kNone;
  int finish = ir::kNone;
};
// The last CTA of a row tile merges the partial results of all splits.
void add_last_cta_merge(ProgramBuilder& b, const FusedContext& c, int agent, const MergeSections& at, ir::AxisId dv);
// Stream-K: pieces that began inside a row tile hand over, its owner awaits and merges them.
void add_owner_merge(ProgramBuilder& b, const FusedContext& c, int agent, const MergeSections& at, ir::AxisId dv);

}  // namespace attnsim
