// SPDX-License-Identifier: Apache-2.0

#include <algorithm>

#include "workloads/families/merge.h"
#include "workloads/families/tile_list.h"
#include "workloads/families/tile_list_fused.h"
#include "workloads/masks/integer.h"

namespace attnsim {

namespace {

// FA2: csrc/flash_attn/src/flash_fwd_launch_template.h, 128 threads on 4, 8 or 16 rows. FA3 and FA4:
// hopper/flash_fwd_combine_launch_template.h, flash_attn/cute/interface.py, 256 threads on 8 rows by 128 columns or 16 by 64; as many whole
// rows stand for them.
int rows_of(const Schedule& schedule, int padded_v) {
  if (schedule.combine_elements > 0) return std::max(1, schedule.combine_elements / padded_v);
  return padded_v % 128 == 0 ? 4 : padded_v % 64 == 0 ? 8 : 16;
}

// Splits up to the last one that visits a KV tile; the kernel knows the others by their LSE and skips them
// (flash_attn hopper/flash_fwd_combine_kernel.h).
int filled_splits(const ir::ItemFamily& items) {
  int filled = 1;
  for (const ir::RowTile& tile : items.tiles) {
    if (tile.kept > 0) filled = std::max(filled, tile.split + 1);
  }
  return filled;
}

// Rows of all heads of the whole batch.
std::int64_t batch_rows(const TileListPlan& plan) {
  std::int64_t rows = 0;
  for (const BatchGroup& group : plan.groups) rows += group.slab_count * group.set.rows();
  return rows;
}

ops::Ops unless_idle(ops::Ops list) {
  for (ir::Op& op : list) op.when = ir::When::not_item_flag;
  return list;
}

}  // namespace

ir::Kernel combine_kernel(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors) {
  constexpr int kRegisters = 64;
  ProgramBuilder b;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int main = b.section("splits", ir::SectionKind::loop, ir::TripSource::peers);
  const int epilogue = b.section("epilogue", ir::SectionKind::once);
  const int agent = b.agent("combine", schedule.combine_warps, kRegisters);
  const int tile_rows = rows_of(schedule, plan.padded_v);
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
  ops::append(b.ops(agent, prologue), ops::with_role(unless_idle(merge_start(t)), "init"));
  ops::append(b.ops(agent, main), ops::with_role(merge_load(t, o_partial, lse_partial, ir::CopyKind::cp_async), "load_partial"));
  ops::append(b.ops(agent, main), ops::with_role(merge_step(t), "merge", schedule.combine_stages - 1));
  ops::Ops end = merge_finish(t);
  ops::append(end, {ops::convert(t.o, out), ops::store(out, rows_access(tensors.o, 0), ir::CopyKind::plain),
                    ops::store(t.alpha, rows_access(tensors.lse, 0), ir::CopyKind::plain)});
  ops::append(b.ops(agent, epilogue), ops::with_role(unless_idle(end), "store"));

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
    if (schedule.combine_grid_of_batch) {
      ir::RowTile idle;
      idle.flag = true;
      const std::int64_t heads = plan.slabs / plan.batch;
      const std::int64_t beyond = ceil_div(batch_rows(plan), tile_rows) / heads - ceil_div(group.set.rows(), tile_rows);
      family.tiles.insert(family.tiles.end(), static_cast<std::size_t>(std::max<std::int64_t>(0, beyond)), idle);
    }
    kernel.families.push_back(std::move(family));
  }
  return kernel;
}

}  // namespace attnsim
