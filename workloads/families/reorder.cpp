// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/reorder.h"

#include <algorithm>

#include "workloads/families/program_builder.h"

namespace attnsim {

namespace {

struct Move {
  const char* name;
  ir::TensorId from;
  ir::TensorId to;
  int columns;
  ir::DType dtype;
  std::int64_t slabs;
  std::int64_t places;
  const ir::RowOrder& order;
  bool into_boxes;
};

ir::Kernel move_kernel(const Move& move) {
  constexpr int kRows = 8;
  constexpr int kWarps = 4;
  constexpr int kRegisters = 40;
  ProgramBuilder b;
  const int section = b.section("move", ir::SectionKind::once);
  const int agent = b.agent("move", kWarps, kRegisters);
  const ir::AxisId rows = b.rows("rows", kRows);
  const ir::AxisId cols = move.columns == 1 ? ir::kUnit : b.fixed("d", move.columns, move.columns);
  const ir::TileId tile = b.registers("tokens", rows, cols, move.dtype, agent);
  ir::Access from{move.from, 1, 1, false, false, ir::RowFrom::item, 0};
  ir::Access to{move.to, 1, 1, false, false, ir::RowFrom::item, 0};
  (move.into_boxes ? from : to).order = 0;
  ops::append(b.ops(agent, section),
              ops::with_role({ops::load(tile, from, ir::CopyKind::plain), ops::store(tile, to, ir::CopyKind::plain)}, "move"));
  ir::Kernel kernel;
  kernel.name = move.name;
  kernel.program = b.take();
  kernel.program.orders.push_back(move.order);
  kernel.grid.fastest = ir::Fastest::slabs;
  ir::ItemFamily family;
  family.slab_count = move.slabs;
  for (std::int64_t row = 0; row < move.places; row += kRows) {
    ir::RowTile item;
    item.row_begin = row;
    item.rows = std::min<std::int64_t>(kRows, move.places - row);
    family.tiles.push_back(std::move(item));
  }
  kernel.families.push_back(std::move(family));
  return kernel;
}

}  // namespace

void address_boxes(ir::Program& program, const BoxPlan& boxes, const TileListTensors& tensors) {
  program.orders = {boxes.q, boxes.kv};
  for (ir::Agent& agent : program.agents) {
    for (auto& section : agent.sections) {
      for (ir::Op& op : section) {
        const ir::TensorId t = op.access.tensor;
        if (t == ir::kNone) continue;
        if (t == tensors.q || t == tensors.o || t == tensors.lse) op.access.order = 0;
        if (t == tensors.k || t == tensors.v) op.access.order = 1;
      }
    }
  }
}

std::vector<ir::Kernel> reordering_kernels(const TileListPlan& plan, const TileListTensors& outside, const TileListTensors& inside) {
  const BoxPlan& boxes = plan.boxes.value();
  return {
      move_kernel({"permute_q", outside.q, inside.q, plan.head_dim_qk, plan.dtype, plan.slabs, plan.rows, boxes.q, true}),
      move_kernel({"permute_k", outside.k, inside.k, plan.head_dim_qk, plan.dtype_kv, plan.kv_slabs, plan.kv_len, boxes.kv, true}),
      move_kernel({"permute_v", outside.v, inside.v, plan.head_dim_v, plan.dtype_kv, plan.kv_slabs, plan.kv_len, boxes.kv, true}),
  };
}

std::vector<ir::Kernel> restoring_kernels(const TileListPlan& plan, const TileListTensors& inside, const TileListTensors& outside) {
  const BoxPlan& boxes = plan.boxes.value();
  return {
      move_kernel({"unpermute_o", inside.o, outside.o, plan.head_dim_v, plan.dtype, plan.slabs, plan.rows, boxes.q, false}),
      move_kernel({"unpermute_lse", inside.lse, outside.lse, 1, ir::DType::f32, plan.slabs, plan.rows, boxes.q, false}),
  };
}

}  // namespace attnsim
