// SPDX-License-Identifier: Apache-2.0
// Backward kernels of queries that select their keys one by one: lists of queries by KV tile, what counts them, and tokens as row tiles of
// dQ.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "workloads/families/tile_list_backward.h"
#include "workloads/families/tile_list_fused.h"
#include "workloads/masks/integer.h"
#include "workloads/masks/runs.h"

namespace attnsim {

namespace {

// Entries of a list: no list is longer than those of the last queries.
std::int64_t longest_list(const TileListPlan& plan) {
  constexpr std::int64_t kLooked = 64;
  const Mask& mask = *plan.groups.front().set.mask;
  std::int64_t longest = 1;
  for (std::int64_t q = std::max<std::int64_t>(0, mask.q_len() - kLooked); q < mask.q_len(); ++q)
    longest = std::max(longest, tiles_in(mask.runs({q, q + 1}, plan.rule.tile_kv)));
  return longest;
}

}  // namespace

// Triton's histogram of 4096 entries at a time by votes of a warp (native-sparse-attention-triton's count_kernel, four warps, counted in
// what Triton 3.2.0 makes of it for sm_80): 900 instructions of a warp and four for every bin, one of them a population count, which takes
// the lanes as long as four.
ir::Kernel count_lists_kernel(ir::PipelineBuilder& builder, const TileListPlan& plan) {
  constexpr int kEntries = 4096;
  constexpr int kWarps = 4;
  constexpr int kRegisters = 128;
  constexpr std::int64_t kInstructions = 900;
  constexpr std::int64_t kInstructionsPerBin = 4;
  const std::int64_t tiles = ceil_div(plan.kv_len, plan.rule.tile_kv);
  const auto bins = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(tiles + 2)));
  const std::int64_t entries = plan.rows * longest_list(plan);
  const ir::TensorId lists = builder.tensor({"lists", plan.kv_slabs, entries, 1, ir::DType::i32, ir::TensorRole::input});
  const ir::TensorId counts = builder.tensor({"query_counts", plan.kv_slabs, tiles, 1, ir::DType::i32, ir::TensorRole::intermediate});
  ProgramBuilder b;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int main = b.section("main", ir::SectionKind::loop);
  const int epilogue = b.section("epilogue", ir::SectionKind::once);
  const int agent = b.agent("count", kWarps, kRegisters);
  const ir::TileId entry = b.registers("entries", b.trip_columns("entries", kEntries), ir::kUnit, ir::DType::i32, agent);
  const ir::TileId count = b.registers("counts", b.rows("tiles", static_cast<int>(tiles)), ir::kUnit, ir::DType::i32, agent);
  const TripInstructions votes = trip_instructions(b, agent, kWarps, static_cast<int>(kInstructions + kInstructionsPerBin * bins));
  ops::append(b.ops(agent, prologue), votes.start());
  ops::append(b.ops(agent, prologue), ops::with_role({ops::zero(count)}, "init"));
  ops::append(b.ops(agent, main),
              ops::with_role({ops::load(entry, {lists, 1, 1, false, false, ir::RowFrom::trip, 0}, ir::CopyKind::plain)}, "load_lists"));
  ops::append(b.ops(agent, main), votes.in_trip());
  ops::append(b.ops(agent, epilogue), ops::with_role({ops::store(count, rows_access(counts, 0), ir::CopyKind::plain)}, "store"));
  ir::Kernel kernel;
  kernel.name = "count_lists";
  kernel.program = b.take();
  ir::ItemFamily family;
  family.slab_count = plan.kv_slabs;
  family.loop_extent = entries;
  ir::RowTile tile;
  tile.rows = tiles;
  tile.runs = {ir::TripRun{0, ceil_div(entries, kEntries), 1, false}};
  family.tiles.push_back(std::move(tile));
  kernel.families.push_back(std::move(family));
  return kernel;
}

ops::Ops list_lookup(ProgramBuilder& b, int agent, const Schedule& schedule, const BackwardTensors& tensors) {
  ops::Ops list;
  if (schedule.backward.item_global_round_trips == 0) return list;
  const ir::TileId number = b.registers("metadata", ir::kUnit, ir::kUnit, ir::DType::f32, agent);
  const ir::Access any{tensors.lse2, 1, 0, false, false, ir::RowFrom::zero, 0};
  for (int i = 0; i < schedule.backward.item_global_round_trips; ++i) list.push_back(ops::load(number, any, ir::CopyKind::plain));
  return ops::with_role(list, "lookup");
}

TileListPlan query_plan(TileListPlan plan, const Schedule& schedule) {
  plan = with_dq_tile(std::move(plan));
  plan.gathers = false;
  plan.mma = schedule.backward.dq_mma.value_or(plan.mma);
  if (!schedule.backward.dq_packs_group) return plan;
  const int group = plan.kv_divisor;
  if (group > plan.rule.tile_kv)
    illegal("/shape/kv_heads", fmt::format("{} query heads each", group),
            fmt::format("are more rows than dQ's tile of {} has", schedule.name), fmt::format("groups of up to {}", plan.rule.tile_kv));
  plan.packed = true;
  plan.row_group = group;
  plan.kv_divisor = 1;
  plan.slabs /= group;
  plan.slabs_per_entry /= group;
  plan.rows *= group;
  for (BatchGroup& g : plan.groups) {
    if (g.slab_begin % group != 0 || g.slab_count % group != 0)
      illegal("/variant", "a mask that differs by query head", fmt::format("leaves no rows to share for {}", schedule.name),
              "masks of whole groups");
    g.set.row_group = group;
    g.slab_begin /= group;
    g.slab_count /= group;
  }
  return plan;
}

void address_groups(ir::Program& program, const TileListPlan& plan, const BackwardTensors& tensors) {
  for (ir::Agent& agent : program.agents) {
    for (auto& section : agent.sections) {
      for (ir::Op& op : section) {
        const ir::TensorId t = op.access.tensor;
        const bool by_row = t == tensors.q || t == tensors.grad_o || t == tensors.lse2 || t == tensors.delta || t == tensors.grad_q;
        if (by_row && op.access.row_from == ir::RowFrom::item) op.access.row_group = static_cast<int>(plan.row_group);
      }
    }
  }
}

std::vector<QueryLists> lists_of(const TileListPlan& plan) {
  std::vector<QueryLists> lists;
  std::int64_t places = 0;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const auto same = [&](const BatchGroup& g) { return g.set.mask == plan.groups[i].set.mask; };
    const bool known = std::any_of(plan.groups.begin(), plan.groups.begin() + static_cast<std::ptrdiff_t>(i), same);
    lists.push_back(known ? QueryLists{}
                          : query_lists(*plan.groups[i].set.mask, {.tile_q = plan.rule.tile_q, .tile_kv = plan.rule.tile_kv}, places));
    places += static_cast<std::int64_t>(lists.back().query.size());
  }
  return lists;
}

ir::RowOrder order_of(const std::vector<QueryLists>& lists, std::int64_t rows) {
  std::vector<std::int32_t> queries;
  for (const QueryLists& list : lists) queries.insert(queries.end(), list.query.begin(), list.query.end());
  return {std::move(queries), rows};
}

}  // namespace attnsim
