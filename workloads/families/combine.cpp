// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "workloads/families/merge.h"
#include "workloads/families/tile_list.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

namespace {

// flash_attn csrc/flash_attn/src/flash_fwd_launch_template.h: 128 threads on 4, 8 or 16 rows.
int rows_of(int padded_v) {
  return padded_v % 128 == 0 ? 4 : padded_v % 64 == 0 ? 8 : 16;
}

// Splits up to the last one that visits a KV tile; the kernel knows the others by their LSE and skips them
// (flash_attn hopper/flash_fwd_combine_kernel.h).
int filled_splits(const ir::ItemFamily& items) {
  int filled = 1;
  for (const ir::RowTile& tile : items.tiles) {
    if (!tile.runs.empty()) filled = std::max(filled, tile.split + 1);
  }
  return filled;
}

}  // namespace

ir::Kernel combine_kernel(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors) {
  constexpr int kWarps = 4;
  constexpr int kRegisters = 64;
  ProgramBuilder b;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int main = b.section("splits", ir::SectionKind::loop, ir::TripSource::peers);
  const int epilogue = b.section("epilogue", ir::SectionKind::once);
  const int agent = b.agent("combine", kWarps, kRegisters);
  const int tile_rows = rows_of(plan.padded_v);
  const ir::AxisId rows = b.rows("rows", tile_rows);
  const ir::AxisId dv = b.fixed("dv", plan.padded_v, plan.head_dim_v);
  const auto vector = [&](const char* name) { return b.registers(name, rows, ir::kUnit, ir::DType::f32, agent); };
  MergeTiles t;
  t.o = b.registers("o", rows, dv, ir::DType::f32, agent);
  t.m = vector("m");
  t.m_new = vector("m_new");
  t.m_safe = vector("m_safe");
  t.alpha = vector("alpha");
  t.beta = vector("beta");
  t.l = vector("l");
  t.part_o = b.smem("part_o", rows, dv, ir::DType::f32, schedule.combine_stages);
  t.part_lse = b.smem("part_lse", rows, ir::kUnit, ir::DType::f32, schedule.combine_stages);
  t.scaled = b.registers("scaled", rows, dv, ir::DType::f32, agent);
  t.full = b.token("part_full", 2);
  const ir::TileId out = b.registers("o_out", rows, dv, plan.dtype, agent);

  ir::Access o_partial = rows_access(tensors.o_partial, 0);
  o_partial.slab_multiplier = static_cast<int>(plan.splits);
  o_partial.add_trip = true;
  ir::Access lse_partial = o_partial;
  lse_partial.tensor = tensors.lse_partial;
  ops::append(b.ops(agent, prologue), ops::with_role(merge_start(t), "init"));
  ops::append(b.ops(agent, main), ops::with_role(merge_load(t, o_partial, lse_partial, ir::CopyKind::cp_async), "load_partial"));
  ops::append(b.ops(agent, main), ops::with_role(merge_step(t), "merge", schedule.combine_stages - 1));
  ops::Ops end = merge_finish(t);
  ops::append(end, {ops::convert(t.o, out), ops::store(out, rows_access(tensors.o, 0), ir::CopyKind::plain),
                    ops::store(t.alpha, rows_access(tensors.lse, 0), ir::CopyKind::plain)});
  ops::append(b.ops(agent, epilogue), ops::with_role(end, "store"));

  ir::Kernel kernel;
  kernel.name = "combine";
  kernel.program = b.take();
  kernel.grid.programmatic_launch = schedule.programmatic_launch;
  const std::vector<ir::ItemFamily>& items = *plan.families;
  for (std::size_t g = 0; g < plan.groups.size(); ++g) {
    const BatchGroup& group = plan.groups[g];
    ir::ItemFamily family;
    family.slab_begin = group.slab_begin;
    family.slab_count = group.slab_count;
    family.loop_extent = group.splits;
    const int filled = filled_splits(items[g]);
    for (std::int64_t row = 0; row < group.set.rows(); row += tile_rows) {
      ir::RowTile tile;
      tile.row_begin = row;
      tile.rows = std::min<std::int64_t>(tile_rows, group.set.rows() - row);
      tile.peers = filled;
      family.tiles.push_back(tile);
    }
    kernel.families.push_back(std::move(family));
  }
  return kernel;
}

}  // namespace attnsim
