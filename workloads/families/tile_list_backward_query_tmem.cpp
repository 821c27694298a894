// SPDX-License-Identifier: Apache-2.0
// The query-stationary kernel with accumulators in tensor memory: load -> MMA issuer -> compute agent. dS takes dP's columns: the MMAs of
// one agent execute in issue order, so that dP of the next trip comes behind dQ.
//
//   issuer:    t await s_read: S -> s_full    t-1 await ds_full: dQ -> k_empty    t dP -> dp_full, v_empty
//   compute:   await s_full  S -> s_read      await dp_full  dS -> ds_full
#include <numbers>

#include "sim/core/error.h"
#include "workloads/families/tile_list_backward.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::DType;
using ir::Fn;
using ir::When;

namespace {

int add_agent(ProgramBuilder& b, const Schedule& schedule, AgentKind kind) {
  const AgentSpec& spec = spec_of(schedule, kind);
  return b.agent(spec.name, spec.warps, spec.registers_per_thread);
}

ir::Op product(ir::TileId a, ir::TileId b, ir::TileId d, bool b_transposed, bool accumulate, std::vector<ir::TokenId> completes) {
  ir::Op op = ops::mma(a, b, d, ir::MmaKind::tcgen05, b_transposed, accumulate);
  op.completes = std::move(completes);
  return op;
}

}  // namespace

ir::Program query_stationary_tmem_program(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors) {
  const TileRule& rule = plan.rule;
  ProgramBuilder b;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int main = b.section("main", ir::SectionKind::loop);
  const int epilogue = b.section("epilogue", ir::SectionKind::once);
  const int load = add_agent(b, schedule, AgentKind::producer);
  const int issuer = add_agent(b, schedule, AgentKind::issuer);
  const int compute = add_agent(b, schedule, AgentKind::consumer);

  const ir::AxisId queries = b.rows("queries", rule.tile_kv);
  const ir::AxisId keys = b.trip_columns("keys", rule.tile_q);
  const ir::AxisId d = b.fixed("d", plan.padded_qk, plan.head_dim_qk);
  const ir::AxisId dv = b.fixed("dv", plan.padded_v, plan.head_dim_v);
  const int v_stages = rule.stages_v > 0 ? rule.stages_v : rule.stages;
  const ir::TileId q = b.smem("q", queries, d, plan.dtype);
  const ir::TileId grad_o = b.smem("do", queries, dv, plan.dtype);
  const ir::TileId lse = b.smem("lse", queries, ir::kUnit, DType::f32);
  const ir::TileId delta = b.smem("delta", queries, ir::kUnit, DType::f32);
  const ir::TileId k = b.smem("k", keys, d, plan.dtype, rule.stages);
  const ir::TileId v = b.smem("v", keys, dv, plan.dtype, v_stages);
  const ir::TileId s = b.tmem("s", queries, keys, DType::f32);
  const ir::TileId dp = b.tmem("dp", queries, keys, DType::f32);
  const ir::TileId ds = b.tmem("ds", queries, keys, plan.dtype, 1, dp);
  const ir::TileId grad_q = b.tmem("dq", queries, d, DType::f32);
  const auto registers = [&](const char* name, ir::AxisId cols, DType dtype) { return b.registers(name, queries, cols, dtype, compute); };
  const ir::TileId scores = registers("scores", keys, DType::f32);
  const ir::TileId products = registers("products", keys, DType::f32);
  const std::vector<ir::TileId> mask = mask_tiles(b, plan, queries, keys, compute);
  const ScoreTiles score = score_tiles(b, plan, queries, keys, compute, "", {false, true});
  const ir::TileId sum = registers("dq_sum", d, DType::f32);
  const ir::TileId out = registers("dq_out", d, plan.dtype);

  const ir::TokenId q_full = b.token("q_full", 2);
  const ir::TokenId rows_full = b.token("rows_full", 2);
  const ir::TokenId k_full = b.token("k_full");
  const ir::TokenId k_empty = b.token("k_empty");
  const ir::TokenId v_full = b.token("v_full");
  const ir::TokenId v_empty = b.token("v_empty");
  const ir::TokenId s_full = b.token("s_full");
  const ir::TokenId s_read = b.token("s_read");
  const ir::TokenId dp_full = b.token("dp_full");
  const ir::TokenId ds_full = b.token("ds_full");
  const ir::TokenId dq_done = b.token("dq_done");

  ops::append(b.ops(load, prologue), ops::with_role({ops::load(q, rows_access(tensors.q, 0), schedule.copy, {q_full}),
                                                     ops::load(grad_o, rows_access(tensors.grad_o, 0), schedule.copy, {q_full}),
                                                     ops::load(lse, rows_access(tensors.lse2, 0), schedule.copy, {rows_full}),
                                                     ops::load(delta, rows_access(tensors.delta, 0), schedule.copy, {rows_full})},
                                                    "load_q"));
  const auto load_keys = [&](ir::TileId tile, ir::TensorId from, ir::TokenId empty, int stages, ir::TokenId full, const char* role) {
    const ir::Access access{from, plan.kv_divisor, 1, false, false, ir::RowFrom::trip, 0};
    ops::append(b.ops(load, main), ops::with_role({ops::await(empty, stages), ops::load(tile, access, schedule.copy, {full})}, role));
  };
  load_keys(k, tensors.k, k_empty, rule.stages, k_full, "load_k");
  load_keys(v, tensors.v, v_empty, v_stages, v_full, "load_v");

  const auto issue = [&](const ops::Ops& list, const char* role, int skew = 0) {
    ops::append(b.ops(issuer, main), ops::with_role(list, role, skew));
  };
  issue(
      {ops::when(When::first_trip, ops::await(q_full)), ops::await(k_full), ops::await(s_read, 1), product(q, k, s, true, false, {s_full})},
      "recompute_qk");
  // The first trip overwrites what the item before left in the accumulator.
  issue({ops::await(ds_full), ops::when(When::first_trip, product(ds, k, grad_q, false, false, {k_empty, dq_done})),
         ops::when(When::not_first_trip, product(ds, k, grad_q, false, true, {k_empty, dq_done}))},
        "dq", 1);
  issue({ops::await(v_full), product(grad_o, v, dp, true, false, {dp_full, v_empty})}, "recompute_dov");

  const auto work = [&](ops::Ops list, const char* role) { ops::append(b.ops(compute, main), ops::with_role(std::move(list), role)); };
  ops::append(b.ops(compute, prologue), ops::with_role({ops::await(rows_full)}, "init"));
  ops::append(b.ops(compute, prologue), mask_start(plan, tensors.query_tables, mask));
  ops::append(b.ops(compute, prologue), score_start(plan, tensors.query_tables, score));
  work({ops::await(s_full), ops::unary(Fn::copy, s, scores), ops::signal(s_read)}, "recompute_load_s");
  work(score_ops(plan, tensors.query_tables, score, scores), "recompute_modify");
  work(mask_ops(plan, tensors.query_tables, mask, scores), "mask");
  ir::Op exponential = ops::unary(Fn::exp2, scores, scores);
  exponential.polynomial = plan.exp2_polynomial;
  work({ops::binary(Fn::multiply, scores, plan.score.factor * std::numbers::log2e, scores), ops::binary(Fn::subtract, scores, lse, scores),
        exponential},
       "recompute_exp");
  // dS of a trip lies where dQ of the trip before has read its own: behind dp_full that wait passes at once, and counts.
  ops::Ops gradient{ops::await(dp_full), ops::await(dq_done, 1), ops::unary(Fn::copy, dp, products),
                    ops::binary(Fn::subtract, products, delta, products), ops::binary(Fn::multiply, products, scores, products)};
  ops::append(gradient, score_gradient_ops(score, products));
  ops::append(gradient, {ops::convert(products, ds), ops::signal(ds_full)});
  work(gradient, "recompute_ds");
  ops::append(b.ops(compute, epilogue),
              ops::with_role({ops::await(dq_done, 1), ops::when(When::not_item_flag, ops::unary(Fn::copy, grad_q, sum)),
                              ops::when(When::item_flag, ops::zero(sum)), ops::binary(Fn::multiply, sum, softmax_scale(plan), sum),
                              ops::convert(sum, out), ops::store(out, rows_access(tensors.grad_q, 0), ir::CopyKind::plain)},
                             "store"));
  return b.take();
}

}  // namespace attnsim
