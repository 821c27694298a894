// SPDX-License-Identifier: Apache-2.0
// The query-stationary kernel: dQ of a query tile, with S and dP computed anew for every KV tile that it visits. Q, dO, LSE and delta stay;
// K and V go through rings. Tiles are [queries x keys] here.
#include <algorithm>
#include <numbers>

#include "sim/core/error.h"
#include "workloads/families/tile_list_backward.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::DType;
using ir::Fn;

ir::Program query_stationary_program(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors) {
  if (plan.mma == ir::MmaKind::tcgen05) return query_stationary_tmem_program(plan, schedule, tensors);
  const TileRule& rule = plan.rule;
  ProgramBuilder b;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int main = b.section("main", ir::SectionKind::loop);
  const int epilogue = b.section("epilogue", ir::SectionKind::once);
  const bool producer = has_producer(schedule);
  int loader = 0;
  if (producer) {
    const AgentSpec& spec = spec_of(schedule, AgentKind::producer);
    loader = b.agent(spec.name, spec.warps, spec.registers_per_thread);
  }
  const AgentSpec& spec = spec_of(schedule, AgentKind::consumer);
  const int agent = b.agent(spec.name, rule.warps > 0 ? rule.warps : spec.warps,
                            rule.registers_per_thread > 0 ? rule.registers_per_thread : spec.registers_per_thread);
  const bool async = ir::is_async(plan.mma);
  const bool guard = producer || async;

  const ir::AxisId queries = b.rows("queries", rule.tile_kv);  // the longer side of a tile stays
  const ir::AxisId keys = b.trip_columns("keys", rule.tile_q);
  const ir::AxisId d = b.fixed("d", plan.padded_qk, plan.head_dim_qk);
  const ir::AxisId dv = b.fixed("dv", plan.padded_v, plan.head_dim_v);
  const int stages = std::max(2, rule.stages);
  const ir::TileId q = b.smem("q", queries, d, plan.dtype);
  const ir::TileId grad_o = b.smem("do", queries, dv, plan.dtype);
  const ir::TileId lse = b.smem("lse", queries, ir::kUnit, DType::f32);
  const ir::TileId delta = b.smem("delta", queries, ir::kUnit, DType::f32);
  const ir::TileId k = b.smem("k", keys, d, plan.dtype, stages);
  const ir::TileId v = b.smem("v", keys, dv, plan.dtype, stages);
  const auto registers = [&](const char* name, ir::AxisId rows, ir::AxisId cols, DType dtype) {
    return b.registers(name, rows, cols, dtype, agent);
  };
  const ir::TileId s = registers("s", queries, keys, DType::f32);
  const ir::TileId dp = registers("dp", queries, keys, DType::f32);
  const bool shares_rows = rule.dq_warp_columns > 1;
  const ir::TileId ds = shares_rows ? b.smem("ds", queries, keys, plan.dtype) : registers("ds", queries, keys, plan.dtype);
  const std::vector<ir::TileId> mask = mask_tiles(b, plan, queries, keys, agent);
  const ScoreTiles score = score_tiles(b, plan, queries, keys, agent, "", {false, true});
  const ir::TileId sum = registers("dq", queries, d, DType::f32);
  const ir::TileId out = registers("dq_out", queries, d, plan.dtype);
  const ir::TokenId q_full = b.token("q_full", 4);
  const ir::TokenId k_full = b.token("k_full");
  const ir::TokenId v_full = b.token("v_full");
  const ir::TokenId k_empty = guard ? b.token("k_empty") : ir::kNone;
  const ir::TokenId v_empty = guard ? b.token("v_empty") : ir::kNone;
  const ir::TokenId done = waits_for_products(plan, schedule) ? b.token("product") : ir::kNone;
  const ir::TokenId written = shares_rows ? b.token("written") : ir::kNone;
  const bool scales = schedule.backward.scale_in_trip;
  const TripInstructions extra = trip_instructions(b, agent, rule.warps > 0 ? rule.warps : spec.warps, rule.trip_instructions);

  ops::append(b.ops(loader, prologue), list_lookup(b, loader, schedule, tensors));
  ops::append(b.ops(loader, prologue), ops::with_role({ops::load(q, rows_access(tensors.q, 0), schedule.copy, {q_full}),
                                                       ops::load(grad_o, rows_access(tensors.grad_o, 0), schedule.copy, {q_full}),
                                                       ops::load(lse, rows_access(tensors.lse2, 0), schedule.copy, {q_full}),
                                                       ops::load(delta, rows_access(tensors.delta, 0), schedule.copy, {q_full})},
                                                      "load_q"));
  ops::append(b.ops(agent, prologue), extra.start());
  ops::append(b.ops(agent, main), extra.in_trip());
  const ir::Access key_tile{tensors.k, plan.kv_divisor, 1, false, false, ir::RowFrom::trip, 0};
  const ir::Access value_tile{tensors.v, plan.kv_divisor, 1, false, false, ir::RowFrom::trip, 0};
  const auto load = [&](ir::TileId tile, const ir::Access& from, ir::TokenId empty, ir::TokenId full, const char* role) {
    ops::Ops list;
    if (empty != ir::kNone) list.push_back(ops::await(empty, stages));
    list.push_back(ops::load(tile, from, schedule.copy, {full}));
    ops::append(b.ops(loader, main), ops::with_role(list, role));
  };
  load(k, key_tile, k_empty, k_full, "load_k");
  load(v, value_tile, v_empty, v_full, "load_v");

  const int lag = producer ? 0 : stages - 1;
  const auto compute = [&](ops::Ops list, const char* role) {
    ops::append(b.ops(agent, main), ops::with_role(std::move(list), role, lag));
  };
  const auto product = [&](ir::TileId x, ir::TileId y, ir::TileId z, bool transposed, bool accumulate) {
    const bool from_registers = accumulate && plan.mma == ir::MmaKind::wgmma_ss;
    ir::Op op = ops::mma(x, y, z, from_registers ? ir::MmaKind::wgmma_rs : plan.mma, transposed, accumulate);
    op.warp_columns = accumulate && !shares_rows ? 1 : rule.warp_columns;
    return op;
  };
  ops::append(b.ops(agent, prologue), ops::with_role({ops::zero(sum), ops::await(q_full)}, "init"));
  compute({ops::await(k_full), product(q, k, s, true, false)}, "recompute_qk");
  compute({ops::await(v_full), product(grad_o, v, dp, true, false)}, "recompute_dov");
  ops::append(b.ops(agent, prologue), mask_start(plan, tensors.query_tables, mask));
  ops::append(b.ops(agent, prologue), score_start(plan, tensors.query_tables, score));
  compute(score_ops(plan, tensors.query_tables, score, s), "recompute_modify");
  const ops::Ops scale{ops::binary(Fn::multiply, s, plan.score.factor * std::numbers::log2e, s)};
  if (scales) compute(scale, "recompute_exp");
  compute(mask_ops(plan, tensors.query_tables, mask, s), "mask");
  if (!scales) compute(scale, "recompute_exp");
  compute({ops::binary(Fn::subtract, s, lse, s), ops::unary(Fn::exp2, s, s)}, "recompute_exp");
  ops::Ops gradient{ops::binary(Fn::subtract, dp, delta, dp), ops::binary(Fn::multiply, dp, s, dp)};
  ops::append(gradient, score_gradient_ops(score, dp));
  if (scales) gradient.push_back(ops::binary(Fn::multiply, dp, softmax_scale(plan), dp));
  gradient.push_back(ops::convert(dp, ds));
  if (shares_rows) ops::append(gradient, {ops::signal(written), ops::await(written)});
  compute(gradient, "recompute_ds");
  if (guard) compute({ops::signal(v_empty, {dp})}, "release");
  compute({product(ds, k, sum, false, true)}, "dq");
  compute(wait_for(done, sum), "dq");
  if (guard) compute({ops::signal(k_empty, {sum})}, "release");
  ops::Ops store;
  if (!scales) store.push_back(ops::binary(Fn::multiply, sum, softmax_scale(plan), sum));
  ops::append(store, {ops::convert(sum, out), ops::store(out, rows_access(tensors.grad_q, 0), ir::CopyKind::plain)});
  ops::append(b.ops(agent, epilogue), ops::with_role(store, "store"));
  return b.take();
}

}  // namespace attnsim
