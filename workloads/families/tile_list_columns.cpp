// SPDX-License-Identifier: Apache-2.0
// The fused program whose computing agents share the columns of V and O instead of the rows (MLA decode: 64 rows of 512 output columns are
// more than one warpgroup's registers). The first agent scores and passes P and the row factors on through SMEM; all of them accumulate.
//
//   first:   await k_full   S = Q K^T   softmax   await p_empty   P, factor -> SMEM -> p_full   O0 += P V[:, first part]
//   others:  await k_full, p_full       O *= factor               O += P V[:, own part] -> p_empty, k_empty
#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::Fn;
using ir::When;

namespace {

// What passes from the first agent to the others.
struct Shared {
  ir::TileId p = ir::kNone;
  ir::TileId factor = ir::kNone;
  ir::TileId sum = ir::kNone;
  ir::TokenId p_full = ir::kNone;
  ir::TokenId p_empty = ir::kNone;
  ir::TokenId sum_full = ir::kNone;
  ir::TokenId sum_empty = ir::kNone;  // persistent only
};

void add_first_loop(const FusedContext& c, const AgentSpec& spec, const Shared& x, ops::Ops& to) {
  const ComputeTiles& t = c.compute.front();
  const auto placed = [](ir::Op op, const ir::Op& beside) {
    op.role = beside.role;
    op.skew = beside.skew;
    return op;
  };
  for (const ir::Op& op : compute_loop(c, spec, 0)) {
    const bool writes_p = op.kind == ir::OpKind::convert && op.out.front() == x.p;
    if (writes_p) to.push_back(placed(ops::await(x.p_empty, 1), op));
    to.push_back(op);
    if (writes_p) {
      to.push_back(placed(ops::unary(Fn::copy, t.alpha, x.factor), op));
      to.push_back(placed(ops::signal(x.p_full), op));
    }
    if (op.kind == ir::OpKind::signal && op.token == c.tokens.v_empty)
      to.push_back(placed(ops::when(op.when, ops::signal(x.p_empty, op.in)), op));
  }
}

ops::Ops other_loop(const FusedContext& c, const Shared& x, const ComputeTiles& t, ir::TileId v) {
  ops::Ops list = ops::with_role({ops::await(c.tokens.k_full), ops::await(x.p_full), ops::unary(Fn::copy, x.factor, t.alpha),
                                  ops::when(When::not_first_trip, ops::binary(Fn::multiply, t.o, t.alpha, t.o))},
                                 "rescale");
  ops::append(list, ops::with_role({ops::mma(x.p, v, t.o, c.plan.mma_pv, false, true), ops::signal(x.p_empty, {t.o}),
                                    ops::signal(c.tokens.v_empty, {t.o})},
                                   "pv"));
  return list;
}

}  // namespace

int part_columns(const TileListPlan& plan) {
  return plan.padded_v / plan.rule.consumers;
}

ir::AxisId part_axis(ProgramBuilder& b, const TileListPlan& plan, int index) {
  const int columns = part_columns(plan);
  const int valid = std::min(columns, plan.head_dim_v - index * columns);
  if (valid <= 0) {
    illegal("/shape/head_dim_v", std::to_string(plan.head_dim_v),
            fmt::format("leaves agent {} of {} without columns", index, plan.schedule), fmt::format("more than {}", index * columns));
  }
  return b.fixed("dv" + std::to_string(index), columns, valid);
}

ir::Program columns_program(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors) {
  ProgramBuilder b;
  b.section("prologue", ir::SectionKind::once);
  b.section("main", ir::SectionKind::loop);
  b.section("epilogue", ir::SectionKind::once);
  const TileRule& rule = plan.rule;
  if (plan.dtype_kv != plan.dtype)
    illegal("/dtype_kv", std::string(ir::name_of(plan.dtype_kv)), "is not converted where agents share V's columns", "Q's type");
  const AgentSpec& producer = spec_of(schedule, AgentKind::producer);
  const AgentSpec& compute = spec_of(schedule, AgentKind::consumer);
  const int load = b.agent(producer.name, producer.warps, producer.registers_per_thread);
  for (int w = 0; w < rule.consumers; ++w) {
    b.agent(compute.name + std::to_string(w), rule.warps > 0 ? rule.warps : compute.warps,
            rule.registers_per_thread > 0 ? rule.registers_per_thread : compute.registers_per_thread);
  }
  FusedContext c{plan, schedule, tensors, {}, {}, {}, rule.tile_q, ir::is_async(plan.mma), true};
  const ir::AxisId rows = b.rows("rows", rule.tile_q);
  const ir::AxisId kv = b.trip_columns("kv", rule.tile_kv);
  const ir::AxisId d = b.fixed("d", plan.padded_qk, plan.head_dim_qk);
  c.shared.k = b.smem("k", kv, d, plan.dtype_kv, rule.stages);
  if (schedule.item_global_round_trips > 0) c.shared.metadata = b.registers("metadata", ir::kUnit, ir::kUnit, ir::DType::i32, load);
  c.shared.pages = pages_tile(b, c, load);
  c.tokens.q_full = b.token("q_full");
  if (plan.persistent()) c.tokens.q_empty = b.token("q_empty");
  c.tokens.k_full = b.token("k_full");
  c.tokens.k_empty = c.tokens.v_empty = b.token("k_empty", rule.consumers);
  Shared x;
  x.p = b.smem("p", rows, kv, plan.dtype);
  x.factor = b.smem("factor", rows, ir::kUnit, ir::DType::f32);
  x.sum = b.smem("sum", rows, ir::kUnit, ir::DType::f32);
  x.p_full = b.token("p_full");
  x.p_empty = b.token("p_empty", rule.consumers);
  x.sum_full = b.token("sum_full");
  if (plan.persistent() && rule.consumers > 1) x.sum_empty = b.token("sum_empty", rule.consumers - 1);

  std::vector<ir::TileId> v;
  for (int w = 0; w < rule.consumers; ++w) {
    const int agent = load + 1 + w;
    const std::string suffix = std::to_string(w);
    const auto vector = [&](const char* name) { return b.registers(name + suffix, rows, ir::kUnit, ir::DType::f32, agent); };
    const ir::AxisId dv = part_axis(b, plan, w);
    v.push_back(b.view("v" + suffix, c.shared.k, dv, w * part_columns(plan)));
    ComputeTiles t;
    t.o = b.registers("o" + suffix, rows, dv, ir::DType::f32, agent);
    t.o_out = plan.splits > 1 ? t.o : b.registers("o_out" + suffix, rows, dv, plan.dtype, agent);
    t.alpha = vector("alpha");
    t.l = vector("l");
    t.row_sum = vector("row_sum");
    if (w == 0) {
      t.q = b.smem("q", rows, d, plan.dtype);
      t.p = x.p;
      t.s = b.registers("s", rows, kv, ir::DType::f32, agent);
      t.mask = mask_tiles(b, plan, rows, kv, agent, "");
      t.score = score_tiles(b, plan, rows, kv, agent);
      t.m = vector("m");
      t.m_new = vector("m_new");
      t.m_safe = plan.keyless_trips() ? vector("m_safe") : t.m_new;
      t.m_scaled = vector("m_scaled");
    }
    c.compute.push_back(t);
  }
  const std::vector<ComputeTiles> all = c.compute;
  c.shared.v = v.front();

  c.compute.resize(1);  // Q is loaded once, for the first agent
  ops::append(b.ops(load, kPrologue), lookup(c, c.shared.metadata, schedule.item_global_round_trips + plan.search_round_trips));
  for (const RolePlacement& p : producer.loop) ops::append(b.ops(load, kMain), ops::with_role(load_role(c, p.role), p.role, p.skew));
  const ComputeTiles& first = all.front();
  ops::append(b.ops(load + 1, kPrologue), ops::with_role(row_state_start(first.o, first.l, first.m), "init"));
  ops::append(b.ops(load + 1, kPrologue), mask_start(plan, tensors, first.mask, 0));
  ops::append(b.ops(load + 1, kPrologue), score_start(plan, tensors, first.score));
  add_first_loop(c, compute, x, b.ops(load + 1, kMain));
  ops::Ops pass_on;
  if (x.sum_empty != ir::kNone) pass_on.push_back(ops::await(x.sum_empty, 1));
  ops::append(pass_on, {ops::unary(Fn::copy, first.l, x.sum), ops::signal(x.sum_full)});
  ops::append(b.ops(load + 1, kEpilogue), ops::with_role(pass_on, "softmax"));

  c.compute = all;
  for (int w = 0; w < rule.consumers; ++w) {
    const auto index = static_cast<std::size_t>(w);
    if (w > 0) {
      const ComputeTiles& t = all[index];
      ops::append(b.ops(load + 1 + w, kPrologue), ops::with_role({ops::zero(t.o)}, "init"));
      ops::append(b.ops(load + 1 + w, kMain), other_loop(c, x, t, v[index]));
      ops::Ops take{ops::await(x.sum_full), ops::unary(Fn::copy, x.sum, t.l)};
      if (x.sum_empty != ir::kNone) take.push_back(ops::signal(x.sum_empty));
      ops::append(b.ops(load + 1 + w, kEpilogue), ops::with_role(take, "normalize"));
    }
    ops::append(b.ops(load + 1 + w, kEpilogue), epilogue(c, index, w * part_columns(plan)));
  }
  return b.take();
}

}  // namespace attnsim
