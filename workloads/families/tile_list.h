// SPDX-License-Identifier: Apache-2.0
// The softmax tile-list family: variants that keep some keys per query. One lowering for all of them and for every schedule:
// plan (packing, tile rule, splits, grid) -> programs -> pipeline.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "workloads/families/index_set.h"
#include "workloads/families/mask_code.h"
#include "workloads/families/score_code.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

// Heads of one mask, of consecutive batch entries of equal lengths where one mask is all heads': one item family.
struct BatchGroup {
  IndexSet set;  // in rows of the schedule's packing
  std::int64_t slab_begin = 0;
  std::int64_t slab_count = 0;
  std::int64_t splits = 1;
};

// The order in which kernels hold the tokens of an n-D layout (TileRule::q_boxes, kv_boxes).
struct BoxPlan {
  ir::RowOrder q;
  ir::RowOrder kv;
  std::int64_t q_rows = 1;  // of the tensors outside the kernel
  std::int64_t kv_rows = 1;
  bool reorders = true;  // kernels bring Q, K and V into that order, O and LSE back
  bool gathers = false;  // the attention kernel addresses them in that order, KV tiles from the first key of each query tile on
};

// Everything that the programs are written from.
struct TileListPlan {
  std::string schedule;
  bool packed = false;  // rows = tokens x group, slabs = batch x kv_heads; else slabs = batch x q_heads
  std::int64_t row_group = 1;
  std::int64_t batch = 1;
  std::int64_t slabs = 1;
  std::int64_t kv_slabs = 1;
  std::int64_t rows = 1;    // of the longest entry
  std::int64_t kv_len = 1;  // of the longest entry
  int kv_divisor = 1;       // Q slabs per K/V slab
  int head_dim_qk = 128;    // valid
  int head_dim_v = 128;
  int padded_qk = 128;
  int padded_v = 128;
  ir::DType dtype = ir::DType::bf16;
  ir::DType dtype_kv = ir::DType::bf16;  // in memory and SMEM
  MaskClass mask = MaskClass::full;
  Cuts cuts;      // that the kernel must test for
  MaskCode code;  // how it does so; empty where no trip executes mask ops
  ScorePlan score;
  std::int64_t loop_tiles = 1;  // that tables by column hold a row of: KV tiles, or query tiles where keys are the items
  bool gathers = false;         // backward: queries come by lists
  std::int64_t places = 0;      // in all of them
  bool ragged = false;          // lengths differ by batch entry
  int slabs_per_entry = 1;
  ir::When mask_when = ir::When::partial_trip;
  std::vector<BatchGroup> groups;
  std::optional<BoxPlan> boxes;
  std::shared_ptr<std::vector<ir::ItemFamily>> families;  // of the groups, at the rule's tiles
  std::shared_ptr<ir::Program> checked_program;           // of the fused kernel, with placeholders for its tensors
  TileRule rule;
  ir::MmaKind mma = ir::MmaKind::mma_sync;
  ir::MmaKind mma_pv = ir::MmaKind::mma_sync;
  ir::Grid grid;
  int column_begin = 0;        // of V and O, where a CTA has a part of the columns
  std::int64_t splits = 1;     // largest over the groups
  bool last_cta = false;       // the last CTA of a row tile combines
  bool owner = false;          // stream-K: the CTA that owns a row tile's first KV tile combines
  std::int64_t ctas = 0;       // stream-K: shares of the line of KV tiles
  bool o_in_memory = false;    // between KV tiles: a KV tile has fewer keys than O columns
  bool k_is_q = false;         // one tensor
  bool v_in_k = false;         // V's columns are the first ones of K: one tensor
  int search_round_trips = 0;  // dependent reads per item of the search for it over the batch entries, on average
  double exp2_polynomial = 0;  // on this chip
  bool empty_items = false;    // some item visits no KV tile
  bool trips_beyond = false;   // some trip visits a tile behind the last key
  // Of a row tile; with token_tiles less than the kernel's tile has.
  [[nodiscard]] std::int64_t tile_rows(const Schedule& s) const { return s.token_tiles ? row_group : rule.tile_q; }
  [[nodiscard]] bool v_is_view() const { return v_in_k && mma != ir::MmaKind::tcgen05; }  // of the loaded K
  [[nodiscard]] bool masks() const { return !code.keeps.empty(); }
  [[nodiscard]] bool keyless_trips() const { return cuts.mask() || trips_beyond; }  // a row may be without keys in a trip
  [[nodiscard]] int pages_per_tile(int page_tokens) const { return (rule.tile_kv + page_tokens - 1) / page_tokens; }
  [[nodiscard]] bool persistent() const { return grid.policy != ir::GridPolicy::one_item_per_cta; }
};

struct TileListTensors {
  ir::TensorId q = ir::kNone;
  ir::TensorId k = ir::kNone;
  ir::TensorId v = ir::kNone;
  ir::TensorId o = ir::kNone;
  ir::TensorId lse = ir::kNone;
  ir::TensorId metadata = ir::kNone;
  ir::TensorId block_table = ir::kNone;    // one entry per page
  ir::TensorId o_partial = ir::kNone;      // splits > 1
  ir::TensorId lse_partial = ir::kNone;    // splits > 1, base 2
  ir::TensorId scores = ir::kNone;         // unfused: [slab x KV tile] blocks of [rows x tile_kv]
  ir::TensorId weights = ir::kNone;        // unfused
  ir::TensorId o_accumulator = ir::kNone;  // o_in_memory
  // Tables of the masks' tests: one row per row of Q, or [slab of an entry x KV tile] rows of tile_kv.
  std::vector<ir::TensorId> query_values = {};
  std::vector<ir::TensorId> key_values = {};
  ir::TensorId alibi_slopes = ir::kNone;  // one per query head; per row of Q where heads of a group are rows
  ir::TensorId bias_table = ir::kNone;    // a row per query head
  std::vector<ir::TensorId> pairs = {};   // [slab x KV tile] bits of [rows x tile_kv]
};

// Rows and keys of the kernel become places of the rule's boxes. Illegal for a plain sequence.
void take_boxes(TileListPlan& plan, const Schedule& schedule, const TileRule& rule);

// Reports what makes the schedule illegal for the problem; `pointer` is relative to a workload of a run config.
[[noreturn]] void illegal(const std::string& pointer, const std::string& value, const std::string& problem,
                          const std::string& allowed = "");

// All of the plan but the tile rule's part; then the rule's part.
[[nodiscard]] TileListPlan plan_problem(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip);
[[nodiscard]] TileListPlan plan_tiles(TileListPlan plan, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                      const TileRule& rule);
// The first of the schedule's rules that applies and fits the chip; else the complaint about the last one that applies.
[[nodiscard]] TileListPlan choose_tiles(const TileListPlan& plan, const Problem& problem, const Schedule& schedule, const Chip& chip);
// Throws ConfigError where matrices of scores do not fit the chip's memory. Nothing for fused kernels.
void check_memory(const TileListPlan& plan, const Schedule& schedule, const Chip& chip);
[[nodiscard]] bool visits_at_random(const TileListPlan& plan);
// Of the plan's groups at its rule's tiles.
[[nodiscard]] std::vector<ir::ItemFamily> item_families(const TileListPlan& plan, const Schedule& schedule);

// The fused kernel's program.
[[nodiscard]] ir::Program fused_program(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors);
// The same with accumulators in tensor memory.
[[nodiscard]] ir::Program tmem_program(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors);
// The same where every computing agent has all rows and a part of V's columns: the first scores, all accumulate.
[[nodiscard]] ir::Program columns_program(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors);
// Merges the partial results of the splits: one item per few rows, a loop over the splits.
[[nodiscard]] ir::Kernel combine_kernel(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors);
// The three kernels of the unfused form: scores, softmax, output.
[[nodiscard]] std::vector<ir::Kernel> unfused_kernels(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors);
// Q into (or O out of) the layout in which the heads of a group are rows.
[[nodiscard]] ir::Kernel regroup_kernel(const TileListPlan& plan, const std::string& name, ir::TensorId from, ir::TensorId to,
                                        int head_dim);

// Throws ConfigError unless SMEM and registers of the program fit the chip. Without `loop_registers` the tiles of the main loop are not
// held against the registers of their agent.
void check_fits(const ir::Program& program, const TileListPlan& plan, const Chip& chip, bool loop_registers = true);
// Whether a tile rule is meant for the head_dim, mask and rows of a plan.
[[nodiscard]] bool applies(const TileRule& rule, const TileListPlan& plan);

[[nodiscard]] ir::Pipeline lower_tile_list(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                           const std::vector<ExtraKernel>& extras);

}  // namespace attnsim
