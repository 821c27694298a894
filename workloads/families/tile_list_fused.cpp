// SPDX-License-Identifier: Apache-2.0
// The fused program: agents, tiles and tokens of a schedule, and the sections around its main loop.
#include "workloads/families/tile_list_fused.h"

#include <cmath>
#include <numbers>

#include "sim/core/error.h"

namespace attnsim {

using ir::Fn;
using ir::When;

namespace {

// O goes out through SMEM where its storage is free by then: V's where the schedule says so, Q's when no next item needs it.
enum class OutStage { none, in_v, in_q };
OutStage out_stage(const TileListPlan& plan, const Schedule& schedule) {
  if (plan.splits > 1 || plan.rule.slice_cols > 0 || plan.rule.split_columns) return OutStage::none;
  if (schedule.stage_o_in_v) return OutStage::in_v;
  return plan.persistent() ? OutStage::none : OutStage::in_q;
}

// `dv`: the columns of V that the agent owns.
ComputeTiles compute_tiles(ProgramBuilder& b, const FusedContext& c, std::size_t index, int agent, ir::AxisId kv, ir::AxisId d,
                           ir::AxisId dv) {
  const std::string suffix = c.plan.rule.consumers > 1 ? std::to_string(index) : "";
  const TileListPlan& plan = c.plan;
  const ir::AxisId rows = b.rows("rows" + suffix, c.rows_per_agent, c.row_offset(index));
  const auto vector = [&](const char* name) { return b.registers(name + suffix, rows, ir::kUnit, ir::DType::f32, agent); };
  ComputeTiles t;
  const bool shares_q = plan.rule.split_columns && index > 0;
  t.q = shares_q ? c.compute.front().q : b.smem("q" + suffix, rows, d, plan.dtype);
  if (plan.rule.split_columns) {
    const ir::TileId whole = plan.v_is_view() ? c.shared.k : c.shared.v;
    t.v = b.view("v" + suffix, whole, dv, static_cast<int>(index) * part_columns(plan));
  }
  if (c.schedule.q_in_registers) t.q_registers = b.registers("q_registers" + suffix, rows, d, plan.dtype, agent);
  if (c.schedule.consumer_global_round_trips > 0 && agent > 0) {
    t.metadata = b.registers("metadata" + suffix, ir::kUnit, ir::kUnit, ir::DType::i32, agent);
  }
  if (plan.dtype_kv != plan.dtype) {
    t.k_wide = b.registers("k_wide" + suffix, kv, d, plan.dtype, agent);
    t.v_wide = b.registers("v_wide" + suffix, kv, dv, plan.dtype, agent);
  }
  if (o_round_trips(c) > 1) t.o_piece = b.registers("o_piece" + suffix, ir::kUnit, ir::kUnit, ir::DType::i32, agent);
  t.s = b.registers("s" + suffix, rows, kv, ir::DType::f32, agent);
  if (c.schedule.f16_scores) t.s_product = b.registers("s_product" + suffix, rows, kv, ir::DType::f16, agent);
  const ir::DType weights = plan.mma == ir::MmaKind::lanes ? ir::DType::f32 : plan.dtype;
  t.p = plan.rule.p_in_smem ? b.smem("p" + suffix, rows, kv, weights) : b.registers("p" + suffix, rows, kv, weights, agent);
  t.o = b.registers("o" + suffix, rows, dv, ir::DType::f32, agent);
  if (c.schedule.f16_output) {
    t.o_half = b.registers("o_half" + suffix, rows, dv, ir::DType::f16, agent);
    t.o_product = b.registers("o_product" + suffix, rows, dv, ir::DType::f16, agent);
    t.o_part = b.registers("o_part" + suffix, rows, dv, ir::DType::f32, agent);
  }
  t.mask = mask_tiles(b, plan, rows, kv, agent, suffix);
  t.score = score_tiles(b, plan, rows, kv, agent, suffix);
  t.m = vector("m");
  t.m_new = vector("m_new");
  t.m_safe = plan.keyless_trips() ? vector("m_safe") : t.m_new;
  t.m_scaled = vector("m_scaled");
  t.alpha = vector("alpha");
  t.l = vector("l");
  t.row_sum = vector("row_sum");
  if (plan.rule.warp_columns > 1) t.row_parts = b.smem("row_parts" + suffix, rows, ir::kUnit, ir::DType::f32);
  switch (out_stage(plan, c.schedule)) {
    case OutStage::in_v: t.o_out = b.smem("o_out" + suffix, rows, dv, plan.dtype, 1, c.shared.v); break;
    case OutStage::in_q: t.o_out = b.smem("o_out" + suffix, rows, dv, plan.dtype, 1, t.q); break;
    case OutStage::none: t.o_out = plan.splits > 1 ? t.o : b.registers("o_out" + suffix, rows, dv, plan.dtype, agent); break;
  }
  return t;
}

SharedTokens shared_tokens(ProgramBuilder& b, const FusedContext& c) {
  const int agents = c.plan.rule.consumers;
  SharedTokens t;
  t.q_full = b.token("q_full", c.plan.rule.split_columns ? 1 : agents);
  if (c.plan.persistent()) t.q_empty = b.token("q_empty", agents);
  t.k_full = b.token("k_full");
  if (!c.plan.v_is_view()) t.v_full = b.token("v_full");
  if (c.guard_slots) {
    t.k_empty = b.token("k_empty", agents);
    t.v_empty = c.plan.v_is_view() ? t.k_empty : b.token("v_empty", agents);
  }
  if (out_stage(c.plan, c.schedule) == OutStage::in_v) {
    if (agents > 1) t.pv_done = b.token("pv_done", agents);
    if (c.plan.persistent()) t.o_stored = b.token("o_stored", agents);
  }
  if (c.schedule.ping_pong && agents > 1 && c.plan.padded_qk <= c.schedule.ping_pong_head_dim_max) {
    for (int w = 0; w < agents; ++w) t.turn.push_back(b.token("turn" + std::to_string(w), 1, w == 0 ? 1 : 0));
  }
  if (c.schedule.exp2_in_turn && agents > 1) {
    for (int w = 0; w < agents; ++w) t.exp2_turn.push_back(b.token("exp2_turn" + std::to_string(w), 1, w == 0 ? 1 : 0));
  }
  if (c.plan.rule.warp_columns > 1) t.exchanged = b.token("exchanged");
  if (c.plan.owner) t.ready = b.token("ready", 1, 0, ir::TokenScope::kernel);
  if (c.plan.last_cta) t.split_done = b.token("split_done", static_cast<int>(c.plan.splits), 0, ir::TokenScope::kernel);
  return t;
}

}  // namespace

bool has_producer(const Schedule& schedule) {
  for (const AgentSpec& spec : schedule.agents) {
    if (spec.kind == AgentKind::producer) return true;
  }
  return false;
}

const AgentSpec& spec_of(const Schedule& schedule, AgentKind kind) {
  for (const AgentSpec& spec : schedule.agents) {
    if (spec.kind == kind || (kind == AgentKind::consumer && spec.kind == AgentKind::all)) return spec;
  }
  throw Invariant("schedule without computing agent");
}

ops::Ops box_ops(ProgramBuilder& b, const FusedContext& c, int agent) {
  ops::Ops list;
  if (!c.plan.boxes || c.plan.boxes->gathers) return list;
  const ir::AxisId trip = b.trip_columns("trip_box", 1);
  const auto number = [&](const std::string& name) { return b.registers(name, ir::kUnit, trip, ir::DType::i32, agent); };
  const auto iota = [&](const ir::Relation& relation, ir::TileId out) {
    ir::Op op;
    op.kind = ir::OpKind::iota;
    op.relation = relation;
    op.out = {out};
    list.push_back(op);
  };
  ir::TileId rest = number("box");
  iota({0, 1, 1}, rest);
  const std::vector<std::int64_t>& grid = c.plan.boxes->kv.grid();
  for (std::size_t a = grid.size(); a-- > 0;) {
    const std::string axis = std::to_string(a);
    const ir::TileId tiles = b.registers("tiles" + axis, ir::kUnit, ir::kUnit, ir::DType::i32, agent);
    iota({0, 1, 0, grid[a]}, tiles);
    list.push_back(ops::binary(Fn::modulo, rest, tiles, number("box" + axis)));
    if (a == 0) break;
    const ir::TileId above = number("above" + axis);
    list.push_back(ops::binary(Fn::floor_divide, rest, tiles, above));
    rest = above;
  }
  return list;
}

ir::TileId pages_tile(ProgramBuilder& b, const FusedContext& c, int agent) {
  if (c.schedule.trip_global_round_trips == 0) return ir::kNone;
  const int entries = c.plan.pages_per_tile(c.schedule.page_tokens);
  return b.registers("pages", b.fixed("page", entries, entries), ir::kUnit, ir::DType::i32, agent);
}

int o_round_trips(const FusedContext& c) {
  if (!c.plan.o_in_memory) return 0;
  return c.schedule.o_pieces * ((c.plan.padded_v + c.plan.rule.tile_kv - 1) / c.plan.rule.tile_kv);
}

ops::Ops lookup(const FusedContext& c, ir::TileId into, int round_trips) {
  ops::Ops list;
  const ir::Access access{c.tensors.metadata, static_cast<int>(c.plan.slabs), 1, false, false, ir::RowFrom::zero, 0};
  for (int i = 0; i < round_trips; ++i) list.push_back(ops::load(into, access, ir::CopyKind::plain));
  return ops::with_role(list, "lookup");
}

ir::Access rows_access(ir::TensorId tensor, int row_offset) {
  return {tensor, 1, 1, false, false, ir::RowFrom::item, row_offset};
}

namespace {

// In base 2, in t.alpha.
ops::Ops log_sum_exp(const FusedContext& c, const ComputeTiles& t) {
  const double scale = std::numbers::log2e * c.plan.score.factor;
  ops::Ops list{ops::unary(Fn::log2, t.l, t.alpha)};
  const bool shifted = t.score.lse_shift != ir::kNone;
  if (shifted) list.push_back(ops::binary(Fn::subtract, t.m, t.score.lse_shift, t.m_scaled));
  ops::append(
      list, {ops::binary(Fn::multiply, shifted ? t.m_scaled : t.m, scale, t.m_scaled), ops::binary(Fn::add, t.alpha, t.m_scaled, t.alpha)});
  return list;
}

}  // namespace

ops::Ops finish_rows(const FusedContext& c, const ComputeTiles& t) {
  ops::Ops list = normalize(t.o, t.l, t.row_sum);
  ops::append(list, log_sum_exp(c, t));
  return list;
}

ops::Ops epilogue(const FusedContext& c, std::size_t index, int column) {
  const ComputeTiles& t = c.compute[index];
  const int row_offset = c.row_offset(index);
  const bool split = c.plan.splits > 1;
  ir::Access to_o = rows_access(split ? c.tensors.o_partial : c.tensors.o, row_offset);
  ir::Access to_lse = rows_access(split ? c.tensors.lse_partial : c.tensors.lse, row_offset);
  if (split) {
    to_o.slab_multiplier = to_lse.slab_multiplier = static_cast<int>(c.plan.splits);
    to_o.add_split = to_lse.add_split = true;
  }
  to_o.column_begin = column;
  ops::Ops list = ops::with_role(normalize(t.o, t.l, t.row_sum), "normalize");
  ops::Ops out;
  if (t.o_out != t.o) {
    // V still feeds the other agents' last MMA until all have signalled.
    if (c.tokens.pv_done != ir::kNone) ops::append(out, {ops::signal(c.tokens.pv_done, {t.o}), ops::await(c.tokens.pv_done)});
    out.push_back(ops::convert(t.o, t.o_out));
  }
  const bool bulk = c.schedule.copy == ir::CopyKind::tma && c.schedule.stage_o_in_v && !split && !c.plan.packed;
  std::vector<ir::TokenId> stored;
  if (c.tokens.o_stored != ir::kNone) stored.push_back(c.tokens.o_stored);
  out.push_back(ops::store(t.o_out, to_o, bulk ? ir::CopyKind::tma : ir::CopyKind::plain, stored));
  if (column > 0) {
    ops::append(list, ops::with_role(out, "store"));
    return list;
  }
  ops::append(out, log_sum_exp(c, t));
  if (!split) out.push_back(ops::binary(Fn::multiply, t.alpha, std::numbers::ln2, t.alpha));
  out.push_back(ops::store(t.alpha, to_lse, ir::CopyKind::plain));
  if (c.plan.last_cta) out.push_back(ops::signal(c.tokens.split_done, {t.o, t.alpha}));
  ops::append(list, ops::with_role(out, "store"));
  return list;
}

ir::Program fused_program(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors) {
  if (plan.mma == ir::MmaKind::tcgen05) return tmem_program(plan, schedule, tensors);
  if (plan.rule.split_columns && !plan.rule.each_scores) return columns_program(plan, schedule, tensors);
  ProgramBuilder b;
  b.section("prologue", ir::SectionKind::once);
  b.section("main", ir::SectionKind::loop);
  b.section("epilogue", ir::SectionKind::once);
  MergeSections merge{kEpilogue};
  if (plan.owner) merge.wait = b.section("wait", ir::SectionKind::loop, ir::TripSource::peers);
  if (plan.last_cta || plan.owner) {
    merge.reduce = b.section("reduce", ir::SectionKind::loop, ir::TripSource::peers);
    merge.finish = b.section("finish", ir::SectionKind::once);
  }
  const bool producer = has_producer(schedule);
  const AgentSpec& compute = spec_of(schedule, AgentKind::consumer);
  const TileRule& rule = plan.rule;
  if (producer)
    b.agent(spec_of(schedule, AgentKind::producer).name, spec_of(schedule, AgentKind::producer).warps,
            spec_of(schedule, AgentKind::producer).registers_per_thread);
  const int first_compute = producer ? 1 : 0;
  for (int w = 0; w < rule.consumers; ++w) {
    b.agent(compute.name + (rule.consumers > 1 ? std::to_string(w) : ""), rule.warps > 0 ? rule.warps : compute.warps,
            rule.registers_per_thread > 0 ? rule.registers_per_thread : compute.registers_per_thread);
  }

  FusedContext c{
      plan, schedule, tensors, {}, {}, {}, rule.split_columns ? rule.tile_q : rule.tile_q / rule.consumers, ir::is_async(plan.mma), false};
  c.guard_slots = producer || c.async_mma || rule.consumers > 1;
  const ir::AxisId kv = b.trip_columns("kv", rule.tile_kv);
  const ir::AxisId d = b.fixed("d", plan.padded_qk, plan.head_dim_qk);
  const ir::AxisId dv = b.fixed("dv", plan.padded_v, plan.head_dim_v);
  c.shared = kv_tiles(b, plan, kv, d, dv);
  if (schedule.item_global_round_trips > 0) {
    c.shared.metadata = b.registers("metadata", ir::kUnit, ir::kUnit, ir::DType::i32, 0);
  }
  c.shared.pages = pages_tile(b, c, 0);
  c.shared.box = box_ops(b, c, 0);
  c.tokens = shared_tokens(b, c);
  for (int w = 0; w < rule.consumers; ++w) {
    const ir::AxisId own = rule.split_columns ? part_axis(b, plan, w) : dv;
    c.compute.push_back(compute_tiles(b, c, static_cast<std::size_t>(w), first_compute + w, kv, d, own));
    c.extra.push_back(trip_instructions(b, first_compute + w, rule.warps > 0 ? rule.warps : compute.warps, rule.trip_instructions));
  }

  if (rule.slice_cols > 0) {
    const ComputeTiles& t = c.compute.front();
    for (const ir::TileId tile : {c.shared.k, c.shared.v, t.q, t.o, t.o_half, t.o_product, t.o_part}) {
      if (tile != ir::kNone) b.slice(tile, rule.slice_cols);
    }
  }

  ops::append(b.ops(0, kPrologue), lookup(c, c.shared.metadata, schedule.item_global_round_trips + plan.search_round_trips));
  if (producer) {
    for (const RolePlacement& p : spec_of(schedule, AgentKind::producer).loop) {
      ops::append(b.ops(0, kMain), ops::with_role(load_role(c, p.role), p.role, p.skew));
    }
    // An item without KV tiles loads no V, yet its stores count.
    if (c.tokens.o_stored != ir::kNone && plan.empty_items) {
      ops::append(b.ops(0, kPrologue), ops::with_role({ops::when(When::item_flag, ops::await(c.tokens.o_stored, 1))}, "load_v"));
    }
  }
  for (int w = 0; w < rule.consumers; ++w) {
    const auto index = static_cast<std::size_t>(w);
    const ComputeTiles& t = c.compute[index];
    if (producer) ops::append(b.ops(first_compute + w, kPrologue), lookup(c, t.metadata, schedule.consumer_global_round_trips));
    ops::append(b.ops(first_compute + w, kPrologue), ops::with_role(row_state_start(t.o, t.l, t.m), "init"));
    ops::append(b.ops(first_compute + w, kPrologue), c.extra[index].start());
    ops::append(b.ops(first_compute + w, kMain), c.extra[index].in_trip());
    ops::append(b.ops(first_compute + w, kPrologue), mask_start(plan, tensors, t.mask, c.row_offset(index)));
    ops::append(b.ops(first_compute + w, kPrologue), score_start(plan, tensors, t.score, c.row_offset(index)));
    ops::append(b.ops(first_compute + w, kMain), compute_loop(c, compute, index));
    if (!plan.owner) ops::append(b.ops(first_compute + w, kEpilogue), epilogue(c, index, rule.split_columns ? w * part_columns(plan) : 0));
  }
  if (plan.last_cta) add_last_cta_merge(b, c, first_compute, merge, dv);
  if (plan.owner) add_owner_merge(b, c, first_compute, merge, dv);
  return b.take();
}

}  // namespace attnsim
