// SPDX-License-Identifier: Apache-2.0
// The main loop: what each role executes, and where its waits and signals stand.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "sim/core/error.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::Fn;
using ir::When;

namespace {

double scale2(const TileListPlan& plan) {
  return std::numbers::log2e * plan.score.factor;
}

bool placed(const AgentSpec& spec, const std::string& role) {
  return std::any_of(spec.loop.begin(), spec.loop.end(), [&](const RolePlacement& p) { return p.role == role; });
}

// Q stays in SMEM unless it is streamed.
When q_loads(const FusedContext& c) {
  return c.plan.rule.slice_cols > 0 ? When::always : When::first_trip;
}

// The operand as the matrix unit takes it: an 8-bit cache is converted first.
ir::TileId widened(ops::Ops& list, ir::TileId stored, ir::TileId wide) {
  if (wide == ir::kNone) return stored;
  list.push_back(ops::convert(stored, wide));
  return wide;
}

// Warps issue instructions of one k-step; where no order between agents keeps them apart those of several agents alternate.
ir::Op shared(const FusedContext& c, ir::Op mma) {
  mma.by_steps = c.schedule.mma_by_steps && c.tokens.turn.empty() && c.compute.size() > 1 && ir::is_async(mma.mma);
  return mma;
}

ops::Ops qk_role(const FusedContext& c, std::size_t index) {
  const ComputeTiles& t = c.compute[index];
  ops::Ops list{ops::when(q_loads(c), ops::await(c.tokens.q_full))};
  ir::TileId q = t.q;
  if (t.q_registers != ir::kNone) {
    list.push_back(ops::when(When::first_trip, ops::unary(Fn::copy, t.q, t.q_registers)));
    q = t.q_registers;
  }
  list.push_back(ops::await(c.tokens.k_full));
  if (!c.tokens.turn.empty()) list.push_back(ops::await(c.tokens.turn[index]));
  const bool apart = t.s_product != ir::kNone;
  ir::Op mma = ops::mma(q, widened(list, c.shared.k, t.k_wide), apart ? t.s_product : t.s, c.plan.mma, true, false);
  mma.warp_columns = c.plan.rule.warp_columns;
  if (!shared(c, mma).by_steps) {
    list.push_back(mma);
    if (apart) list.push_back(ops::convert(t.s_product, t.s));
    return list;
  }
  // The first products are issued in turn, so that the agents start apart.
  list.push_back(ops::when(When::first_trip, mma));
  list.push_back(ops::when(When::not_first_trip, shared(c, mma)));
  return list;
}

// K and Q are free when S is complete; K not yet where V is a part of it.
ops::Ops qk_release(const FusedContext& c, std::size_t index) {
  ops::Ops list;
  const std::vector<ir::TileId> after{c.compute[index].s};
  if (c.guard_slots && !c.plan.v_is_view()) list.push_back(ops::signal(c.tokens.k_empty, after));
  if (c.tokens.q_empty != ir::kNone) list.push_back(ops::when(When::last_trip, ops::signal(c.tokens.q_empty, after)));
  return list;
}

// Warps that share rows bring what each of them has found of a row together: all write, some of them reduce and write, all read. Every
// warp's part stands for the whole here.
ops::Ops exchange_rows(const FusedContext& c, const ComputeTiles& t, Fn fn, ir::TileId found) {
  if (t.row_parts == ir::kNone) return {};
  const ops::Ops barrier{ops::signal(c.tokens.exchanged), ops::await(c.tokens.exchanged)};
  ops::Ops list{ops::unary(Fn::copy, found, t.row_parts)};
  ops::append(list, barrier);
  ops::append(list, {ops::reduce_row(fn, t.row_parts, found), ops::unary(Fn::copy, found, t.row_parts)});
  ops::append(list, barrier);
  list.push_back(ops::unary(Fn::copy, t.row_parts, found));
  return list;
}

ops::Ops softmax_role(const FusedContext& c, std::size_t index) {
  const ComputeTiles& t = c.compute[index];
  const double scale = scale2(c.plan);
  ops::Ops list{ops::reduce_row(Fn::maximum, t.s, t.m_new)};
  ops::append(list, exchange_rows(c, t, Fn::maximum, t.m_new));
  list.push_back(ops::binary(Fn::maximum, t.m_new, t.m, t.m_new));
  if (t.m_safe != t.m_new) list.push_back(ops::unary(Fn::finite_or_zero, t.m_new, t.m_safe));
  ops::append(list, {
                        ops::binary(Fn::subtract, t.m, t.m_safe, t.alpha),
                        ops::binary(Fn::multiply, t.alpha, scale, t.alpha),
                        ops::unary(Fn::exp2, t.alpha, t.alpha),
                        ops::binary(Fn::multiply, t.m_safe, scale, t.m_scaled),
                        ops::binary(Fn::multiply, t.s, scale, t.s),
                    });
  if (!c.tokens.exp2_turn.empty()) list.push_back(ops::await(c.tokens.exp2_turn[index]));
  ops::append(list, {
                        ops::binary(Fn::subtract, t.s, t.m_scaled, t.s),
                        ops::unary(Fn::exp2, t.s, t.s),
                        ops::binary(Fn::multiply, t.l, t.alpha, t.l),
                        ops::reduce_row(Fn::add, t.s, t.row_sum),
                    });
  ops::append(list, exchange_rows(c, t, Fn::add, t.row_sum));
  ops::append(list, {ops::binary(Fn::add, t.l, t.row_sum, t.l), ops::unary(Fn::copy, t.m_new, t.m)});
  if (c.schedule.precise_softmax) ops::make_precise(list);
  return list;
}

ops::Ops rescale_role(const FusedContext& c, std::size_t index) {
  const ComputeTiles& t = c.compute[index];
  ops::Ops list;
  if (c.plan.o_in_memory) {
    list.push_back(ops::when(When::not_first_trip, ops::load(t.o, rows_access(c.tensors.o_accumulator, 0), ir::CopyKind::plain)));
    for (const ir::Op& op : lookup(c, t.o_piece, o_round_trips(c) - 1)) list.push_back(ops::when(When::not_first_trip, op));
  }
  if (t.o_half != ir::kNone) list.push_back(ops::when(When::not_first_trip, ops::convert(t.o_half, t.o)));
  list.push_back(ops::when(When::not_first_trip, ops::binary(Fn::multiply, t.o, t.alpha, t.o)));
  return list;
}

ops::Ops pv_role(const FusedContext& c, const AgentSpec& spec, std::size_t index) {
  const ComputeTiles& t = c.compute[index];
  ops::Ops list;
  if (!placed(spec, "await_v") && !c.plan.v_is_view()) list.push_back(ops::await(c.tokens.v_full));
  const bool apart = t.o_product != ir::kNone;
  const ir::TileId v = widened(list, t.v == ir::kNone ? c.shared.v : t.v, t.v_wide);
  ir::Op mma = ops::mma(t.p, v, apart ? t.o_product : t.o, c.plan.mma_pv, false, !apart);
  mma.warp_columns = c.plan.rule.warp_columns;
  list.push_back(shared(c, mma));
  if (apart)
    ops::append(list, {ops::convert(t.o_product, t.o_part), ops::binary(Fn::add, t.o, t.o_part, t.o), ops::convert(t.o, t.o_half)});
  if (c.plan.o_in_memory) {
    list.push_back(ops::store(t.o, rows_access(c.tensors.o_accumulator, 0), ir::CopyKind::plain));
  }
  return list;
}

ops::Ops role_ops(const FusedContext& c, const AgentSpec& spec, const std::string& role, std::size_t index) {
  const ComputeTiles& t = c.compute[index];
  if (role == "qk") return qk_role(c, index);
  if (role == "mask") return mask_ops(c.plan, c.tensors, t.mask, t.s, c.row_offset(index));
  if (role == "softmax") return softmax_role(c, index);
  if (role == "convert_p") {
    ops::Ops list{c.plan.mma == ir::MmaKind::lanes ? ops::unary(Fn::copy, t.s, t.p) : ops::convert(t.s, t.p)};
    if (t.row_parts != ir::kNone) ops::append(list, {ops::signal(c.tokens.exchanged), ops::await(c.tokens.exchanged)});
    return list;
  }
  if (role == "rescale") return rescale_role(c, index);
  if (role == "await_v") return c.plan.v_is_view() ? ops::Ops{} : ops::Ops{ops::await(c.tokens.v_full)};
  if (role == "release_v") return {};
  if (role == "pv") return pv_role(c, spec, index);
  return load_role(c, role, c.compute.size() > 1 ? static_cast<int>(index) : ir::kNone);
}

std::size_t find(const std::vector<PlacedRole>& roles, const std::string& role) {
  const auto it = std::find_if(roles.begin(), roles.end(), [&](const PlacedRole& r) { return r.role == role; });
  require(it != roles.end(), "a role of the main loop is not placed");
  return static_cast<std::size_t>(it - roles.begin());
}

// K and Q are released where S is needed next, so that an MMA issued in between is not held up.
void place_qk_release(const FusedContext& c, std::vector<PlacedRole>& roles, std::size_t index) {
  const ops::Ops release = qk_release(c, index);
  const std::size_t qk = find(roles, "qk");
  std::size_t next = std::min(find(roles, "mask"), find(roles, "softmax"));
  if (next > 0 && roles[next - 1].role == "modify") --next;
  PlacedRole& at = c.async_mma && next > qk && roles[next].skew == roles[qk].skew ? roles[next] : roles[qk];
  at.ops.insert(&at == &roles[qk] ? at.ops.end() : at.ops.begin(), release.begin(), release.end());
}

// V is released where the schedule says; else where O or P is needed next: in the following trip when PV lags one trip behind, at once
// after the last.
void place_pv_release(const FusedContext& c, const AgentSpec& spec, std::vector<PlacedRole>& roles, std::size_t index) {
  if (!c.guard_slots) return;
  const ir::Op release = ops::signal(c.tokens.v_empty, {c.compute[index].o});
  if (placed(spec, "release_v")) {
    roles[find(roles, "release_v")].ops.push_back(release);
    return;
  }
  const std::size_t pv = find(roles, "pv");
  for (std::size_t i = pv + 1; i < roles.size(); ++i) {
    const bool reader = roles[i].role == "rescale" || roles[i].role == "convert_p";
    if (!c.async_mma || !reader || roles[i].skew + 1 != roles[pv].skew) continue;
    roles[i].ops.insert(roles[i].ops.begin(), ops::when(When::not_first_trip, release));
    roles[pv].ops.push_back(ops::when(When::last_trip, release));
    return;
  }
  roles[pv].ops.push_back(release);
}

}  // namespace

KvSlots kv_slots(const TileRule& rule) {
  if (rule.kv_ring == 0) return {rule.stages, rule.stages_v > 0 ? rule.stages_v : rule.stages, false};
  const int half = (rule.kv_ring + 1) / 2;
  return {half, half, rule.kv_ring % 2 == 1};
}

SharedTiles kv_tiles(ProgramBuilder& b, const TileListPlan& plan, ir::AxisId kv, ir::AxisId d, ir::AxisId dv) {
  const KvSlots slots = kv_slots(plan.rule);
  SharedTiles tiles;
  if (plan.rule.k_pieces == 1) tiles.k = b.smem("k", kv, d, plan.dtype_kv, slots.k);
  if (plan.v_is_view()) {
    tiles.v = b.view("v", tiles.k, dv, 0);
    return tiles;
  }
  if (plan.rule.v_pieces == 1) tiles.v = b.smem("v", kv, dv, plan.dtype_kv, slots.v);
  if (slots.crossed) b.borrow(plan.padded_v <= plan.padded_qk ? tiles.v : tiles.k, 1);
  return tiles;
}

namespace {

ops::Ops load_pieces(const std::vector<Piece>& pieces, ir::Access from, ir::CopyKind copy, int slots) {
  ops::Ops list;
  const int begin = from.column_begin;
  for (const Piece& piece : pieces) {
    from.column_begin = begin + piece.column;
    ops::append(list, {ops::await(piece.empty, slots), ops::load(piece.tile, from, copy, {piece.full})});
  }
  return list;
}

}  // namespace

ops::Ops load_role(const FusedContext& c, const std::string& role, int reader) {
  ops::Ops list;
  const ir::CopyKind copy = c.schedule.copy;
  const KvSlots slots = kv_slots(c.plan.rule);
  const ir::Access keys{c.tensors.k, c.plan.kv_divisor, 1, false, false, ir::RowFrom::trip, 0};
  const ir::Access values{c.tensors.v, c.plan.kv_divisor, 1, false, false, ir::RowFrom::trip, 0, c.plan.column_begin};
  if (role == "load_q") {
    if (c.tokens.q_empty != ir::kNone) list.push_back(ops::when(When::first_trip, ops::await(c.tokens.q_empty, 1)));
    for (std::size_t w = 0; w < c.compute.size(); ++w) {
      if (reader != ir::kNone && reader != static_cast<int>(w)) continue;
      if (w > 0 && c.compute[w].q == c.compute.front().q) continue;
      const ir::Access from = rows_access(c.tensors.q, c.row_offset(w));
      list.push_back(ops::when(q_loads(c), ops::load(c.compute[w].q, from, copy, {c.tokens.q_full})));
    }
  } else if (role == "load_k") {
    const ir::Access table{c.tensors.block_table, static_cast<int>(c.plan.slabs / c.plan.batch), 1, false, false, ir::RowFrom::zero, 0};
    for (int i = 0; i < c.schedule.trip_global_round_trips; ++i) list.push_back(ops::load(c.shared.pages, table, ir::CopyKind::plain));
    if (c.guard_slots && c.shared.k_pieces.empty())
      list.insert(list.begin(), ops::await(slots.crossed ? c.tokens.v_empty : c.tokens.k_empty, slots.k));
    ops::append(list, c.shared.box);
    if (c.shared.k_pieces.empty()) list.push_back(ops::load(c.shared.k, keys, copy, {c.tokens.k_full}));
    ops::append(list, load_pieces(c.shared.k_pieces, keys, copy, slots.k));
  } else if (role == "load_v") {
    if (c.plan.v_is_view()) return {};
    if (c.tokens.o_stored != ir::kNone) list.push_back(ops::when(When::first_trip, ops::await(c.tokens.o_stored, 1)));
    const bool whole = c.shared.v_pieces.empty();
    if (c.guard_slots && whole)
      list.push_back(slots.crossed ? ops::await(c.tokens.k_empty, slots.k - 1) : ops::await(c.tokens.v_empty, slots.v));
    ops::append(list, c.shared.box);
    if (whole) list.push_back(ops::load(c.shared.v, values, copy, {c.tokens.v_full}));
    ops::append(list, load_pieces(c.shared.v_pieces, values, copy, slots.v));
  }
  for (ir::Op& op : list) {
    op.pair = c.schedule.pair && op.kind == ir::OpKind::load && op.copy != ir::CopyKind::plain && role != "load_q";
    op.whole_tile = op.kind == ir::OpKind::load && op.copy != ir::CopyKind::plain && role != "load_q" && c.schedule.whole_tile_loads;
  }
  require(!list.empty(), "unknown role in a schedule's loop");
  return list;
}

ops::Ops compute_loop(const FusedContext& c, const AgentSpec& spec, std::size_t index) {
  std::vector<PlacedRole> roles;
  for (const RolePlacement& p : spec.loop) {
    const ComputeTiles& t = c.compute[index];
    // Of agents that read the same tiles the first one loads them.
    if (c.plan.rule.split_columns && index > 0 && p.role.starts_with("load_")) continue;
    // Scores are modified where they would be masked.
    if (p.role == "mask" && !c.plan.score.score.plain()) {
      roles.push_back({"modify", p.skew, score_ops(c.plan, c.tensors, t.score, t.s, c.row_offset(index))});
    }
    roles.push_back({p.role, p.skew, role_ops(c, spec, p.role, index)});
  }
  place_qk_release(c, roles, index);
  place_pv_release(c, spec, roles, index);
  ops::Ops list;
  const std::size_t last_mma = std::max(find(roles, "qk"), find(roles, "pv"));
  const std::size_t last_of_chain = std::max({find(roles, "softmax"), find(roles, "rescale"), find(roles, "convert_p")});
  const auto hand_on = [&](const std::vector<ir::TokenId>& turn, const char* role) {
    if (turn.empty()) return;
    ops::append(list, ops::with_role({ops::signal(turn[(index + 1) % turn.size()])}, "order", roles[find(roles, role)].skew));
  };
  for (std::size_t i = 0; i < roles.size(); ++i) {
    ops::append(list, ops::with_role(roles[i].ops, roles[i].role, roles[i].skew));
    if (i == last_mma) hand_on(c.tokens.turn, "qk");
    if (i == last_of_chain) hand_on(c.tokens.exp2_turn, "softmax");
  }
  return list;
}

}  // namespace attnsim
