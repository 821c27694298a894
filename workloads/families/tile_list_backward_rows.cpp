// SPDX-License-Identifier: Apache-2.0
// The kernels before and after the main one: a few rows a CTA, bound by memory.
#include <algorithm>
#include <numbers>

#include "workloads/families/tile_list_backward.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::CopyKind;
using ir::DType;
using ir::Fn;

namespace {

constexpr int kRegisters = 96;

// A kernel of one agent that walks no KV tiles.
struct RowKernel {
  ProgramBuilder b;
  int section = 0;
  int agent = 0;
  ir::AxisId rows = ir::kUnit;
  ir::AxisId cols = ir::kUnit;

  RowKernel(const Schedule& schedule, int head_dim)
      : section(b.section("rows", ir::SectionKind::once)),
        agent(b.agent("rows", schedule.backward.row_kernel_warps, kRegisters)),
        rows(b.rows("rows", schedule.backward.row_kernel_rows)),
        cols(b.fixed("d", head_dim, head_dim)) {}

  void add(const ops::Ops& list, const std::string& role) { ops::append(b.ops(agent, section), ops::with_role(list, role)); }
  ir::TileId registers(const char* name, DType dtype) { return b.registers(name, rows, cols, dtype, agent); }
  ir::TileId vector(const char* name) { return b.registers(name, rows, ir::kUnit, DType::f32, agent); }

  ir::Kernel finish(const std::string& name, std::vector<ir::ItemFamily> items) {
    ir::Kernel kernel;
    kernel.name = name;
    kernel.program = b.take();
    kernel.families = std::move(items);
    return kernel;
  }
};

}  // namespace

namespace {

// Heads that differ in their masks alone are one group here.
std::vector<BatchGroup> groups_of_one_length(const TileListPlan& plan) {
  std::vector<BatchGroup> groups;
  for (const BatchGroup& group : plan.groups) {
    const bool goes_on =
        !groups.empty() && groups.back().set.q_len() == group.set.q_len() && groups.back().set.kv_len() == group.set.kv_len();
    if (goes_on)
      groups.back().slab_count += group.slab_count;
    else
      groups.push_back(group);
  }
  return groups;
}

}  // namespace

std::vector<ir::ItemFamily> row_items(const TileListPlan& plan, RowsOf which, int tile_rows, int peers) {
  std::vector<ir::ItemFamily> families;
  const std::int64_t divisor = which == RowsOf::keys ? plan.kv_divisor : 1;
  for (const BatchGroup& group : groups_of_one_length(plan)) {
    ir::ItemFamily family;
    family.slab_begin = group.slab_begin / divisor;
    family.slab_count = group.slab_count / divisor;
    family.loop_extent = peers;
    const std::int64_t rows = which == RowsOf::queries ? group.set.q_len() : group.set.kv_len();
    for (std::int64_t row = 0; row < rows; row += tile_rows) {
      ir::RowTile tile;
      tile.row_begin = row;
      tile.rows = std::min<std::int64_t>(tile_rows, rows - row);
      tile.peers = peers;
      family.tiles.push_back(tile);
    }
    families.push_back(std::move(family));
  }
  return families;
}

ir::Kernel preprocess_kernel(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors) {
  RowKernel k(schedule, plan.head_dim_v);
  const ir::TileId o = k.b.smem("o", k.rows, k.cols, plan.dtype);
  const ir::TileId grad_o = k.b.smem("do", k.rows, k.cols, plan.dtype);
  const ir::TileId lse = k.b.smem("lse", k.rows, ir::kUnit, DType::f32);
  const ir::TileId product = k.registers("product", DType::f32);
  const ir::TileId factor = k.registers("do_f32", DType::f32);
  const ir::TileId delta = k.vector("delta");
  const ir::TileId lse2 = k.vector("lse2");
  const ir::TokenId full = k.b.token("full", 3);
  k.add({ops::load(o, rows_access(tensors.o, 0), CopyKind::cp_async, {full}),
         ops::load(grad_o, rows_access(tensors.grad_o, 0), CopyKind::cp_async, {full}),
         ops::load(lse, rows_access(tensors.lse, 0), CopyKind::cp_async, {full})},
        "load_o");
  k.add({ops::await(full), ops::convert(o, product), ops::convert(grad_o, factor), ops::binary(Fn::multiply, product, factor, product),
         ops::reduce_row(Fn::add, product, delta), ops::store(delta, rows_access(tensors.delta, 0), CopyKind::plain),
         ops::binary(Fn::multiply, lse, std::numbers::log2e, lse2), ops::unary(Fn::finite_or_zero, lse2, lse2),
         ops::store(lse2, rows_access(tensors.lse2, 0), CopyKind::plain)},
        "row_sum");
  if (tensors.grad_q_sum != ir::kNone && schedule.backward.clear_in_preprocess) {
    const ir::AxisId d = k.b.fixed("d_qk", plan.head_dim_qk, plan.head_dim_qk);
    const ir::TileId zero = k.b.registers("zero", k.rows, d, DType::f32, k.agent);
    k.add({ops::zero(zero), ops::store(zero, rows_access(tensors.grad_q_sum, 0), CopyKind::plain)}, "clear");
  }
  return k.finish("preprocess", row_items(plan, RowsOf::queries, schedule.backward.row_kernel_rows));
}

ir::Kernel clear_kernel(const TileListPlan& plan, const Schedule& schedule, const std::string& name, RowsOf rows, ir::TensorId tensor,
                        int head_dim) {
  RowKernel k(schedule, head_dim);
  const ir::TileId zero = k.registers("zero", DType::f32);
  k.add({ops::zero(zero), ops::store(zero, rows_access(tensor, 0), CopyKind::plain)}, "clear");
  return k.finish(name, row_items(plan, rows, schedule.backward.row_kernel_rows));
}

ir::Kernel convert_kernel(const TileListPlan& plan, const Schedule& schedule, const std::string& name, RowsOf rows, ir::TensorId from,
                          ir::TensorId to, int head_dim, double factor) {
  RowKernel k(schedule, head_dim);
  const ir::TileId sum = k.b.smem("sum", k.rows, k.cols, DType::f32);
  const ir::TileId scaled = k.registers("scaled", DType::f32);
  const ir::TileId out = k.registers("out", plan.dtype);
  const ir::TokenId full = k.b.token("full");
  k.add({ops::load(sum, rows_access(from, 0), CopyKind::cp_async, {full})}, "load_sum");
  k.add({ops::await(full), ops::binary(Fn::multiply, sum, factor, scaled), ops::convert(scaled, out),
         ops::store(out, rows_access(to, 0), CopyKind::plain)},
        "convert");
  return k.finish(name, row_items(plan, rows, schedule.backward.row_kernel_rows));
}

ir::Kernel add_gradient_kernel(const TileListPlan& plan, const std::string& name, RowsOf which, ir::TensorId gradient,
                               const HeldGradient& held, int head_dim) {
  // PyTorch's element-wise kernels: 128 threads, four elements each.
  constexpr int kWarps = 4;
  constexpr int kElementRegisters = 32;
  constexpr int kElements = 512;
  const int tile_rows = std::max(1, kElements / head_dim);
  ProgramBuilder b;
  const int section = b.section("add", ir::SectionKind::once);
  const int agent = b.agent("add", kWarps, kElementRegisters);
  const ir::AxisId rows = b.rows("rows", tile_rows);
  const ir::AxisId cols = b.fixed("d", head_dim, head_dim);
  const auto tile = [&](const char* tile_name, DType dtype) { return b.registers(tile_name, rows, cols, dtype, agent); };
  const ir::TileId grad = tile("gradient", plan.dtype);
  const ir::TileId old = tile("held", plan.dtype);
  const ir::TileId wide = tile("gradient_f32", DType::f32);
  const ir::TileId sum = tile("sum", DType::f32);
  const ir::TileId out = tile("out", plan.dtype);
  ops::append(b.ops(agent, section), ops::with_role({ops::load(grad, rows_access(gradient, 0), CopyKind::plain),
                                                     ops::load(old, rows_access(held.before, 0), CopyKind::plain)},
                                                    "load"));
  ops::append(b.ops(agent, section), ops::with_role({ops::convert(grad, wide), ops::convert(old, sum), ops::binary(Fn::add, sum, wide, sum),
                                                     ops::convert(sum, out), ops::store(out, rows_access(held.after, 0), CopyKind::plain)},
                                                    "add"));
  ir::Kernel kernel;
  kernel.name = name;
  kernel.program = b.take();
  kernel.families = row_items(plan, which, tile_rows);
  return kernel;
}

ir::Kernel sum_heads_kernel(const TileListPlan& plan, const Schedule& schedule, const std::string& name, ir::TensorId parts,
                            ir::TensorId to, int head_dim) {
  constexpr int kStages = 2;
  const int tile_rows = schedule.backward.row_kernel_rows;
  ProgramBuilder b;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int heads = b.section("heads", ir::SectionKind::loop, ir::TripSource::peers);
  const int epilogue = b.section("epilogue", ir::SectionKind::once);
  const int agent = b.agent("rows", schedule.backward.row_kernel_warps, kRegisters);
  const ir::AxisId rows = b.rows("rows", tile_rows);
  const ir::AxisId cols = b.fixed("d", head_dim, head_dim);
  const ir::TileId part = b.smem("part", rows, cols, plan.dtype, kStages);
  const ir::TileId wide = b.registers("part_f32", rows, cols, DType::f32, agent);
  const ir::TileId sum = b.registers("sum", rows, cols, DType::f32, agent);
  const ir::TileId out = b.registers("out", rows, cols, plan.dtype, agent);
  const ir::TokenId full = b.token("full");
  ir::Access from = rows_access(parts, 0);
  from.slab_multiplier = plan.kv_divisor;
  from.add_trip = true;
  ops::append(b.ops(agent, prologue), ops::with_role({ops::zero(sum)}, "init"));
  ops::append(b.ops(agent, heads), ops::with_role({ops::load(part, from, CopyKind::cp_async, {full})}, "load_part"));
  ops::append(b.ops(agent, heads),
              ops::with_role({ops::await(full), ops::convert(part, wide), ops::binary(Fn::add, sum, wide, sum)}, "sum", kStages - 1));
  ops::append(b.ops(agent, epilogue),
              ops::with_role({ops::convert(sum, out), ops::store(out, rows_access(to, 0), CopyKind::plain)}, "store"));
  ir::Kernel kernel;
  kernel.name = name;
  kernel.program = b.take();
  kernel.families = row_items(plan, RowsOf::keys, tile_rows, plan.kv_divisor);
  return kernel;
}

}  // namespace attnsim
