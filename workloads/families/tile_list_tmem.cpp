// SPDX-License-Identifier: Apache-2.0
// The fused program with accumulators in tensor memory (FA4's roles): load -> MMA issuer -> a softmax agent per query tile ->
// correction -> epilogue. S and P of a query tile share their columns; the issuer's order (PV of the trip before, then QK^T)
// keeps them apart, since tcgen05 MMAs of one agent execute in issue order. A lone query tile has two S instead, and QK^T comes
// before PV of the trip before.
//
//   issuer, per query tile:   t-1 await p_full, o_ready   PV -> pv_done      t QK^T -> s_full
//   softmax:                  await s_full   s   alpha -> stats   P -> p_full
//   correction:               await stats    O *= alpha (where it changes) -> o_ready
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "sim/core/error.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::Fn;
using ir::When;

namespace {

// Columns of O: all of them, or those of a part of V.
struct Output {
  ir::TileId sum = ir::kNone;        // TMEM
  ir::TileId registers = ir::kNone;  // of the correction agent
  ir::TileId out = ir::kNone;        // what is stored
  int column = 0;
};

// What hangs on one query tile of 128 rows, or of 64 in a pair of CTAs.
struct QueryTile {
  ComputeTiles t;  // q, row vectors; s is the softmax agent's copy in registers
  std::vector<Output> outputs;
  std::vector<ir::TileId> q_pieces;  // beside those of K
  ir::TileId s = ir::kNone;          // TMEM
  ir::TileId p = ir::kNone;          // TMEM, in the columns of s
  ir::TileId scale = ir::kNone;      // SMEM: alpha of a trip, in the end the sum
  ir::TileId top = ir::kNone;        // SMEM: row maximum, in the end
  // of the correction agent
  ir::TileId alpha = ir::kNone;
  ir::TileId sum = ir::kNone;
  ir::TileId max = ir::kNone;
  ir::TileId lse = ir::kNone;
  ir::TokenId s_full = ir::kNone;
  std::vector<ir::TokenId> p_full;  // one per part
  ir::TokenId stats = ir::kNone;
  ir::TokenId stats_empty = ir::kNone;
  ir::TokenId o_ready = ir::kNone;
  ir::TokenId pv_done = ir::kNone;
  ir::TokenId o_staged = ir::kNone;
  ir::TokenId o_stored = ir::kNone;
};

struct Agents {
  int load = ir::kNone;
  int issuer = ir::kNone;
  std::vector<int> softmax;
  int correction = ir::kNone;
  int epilogue = ir::kNone;  // none: the correction agent stores O itself
};

const AgentSpec* agent_of(const Schedule& schedule, AgentKind kind) {
  for (const AgentSpec& spec : schedule.agents) {
    if (spec.kind == kind) return &spec;
  }
  return nullptr;
}

Agents make_agents(ProgramBuilder& b, const Schedule& schedule, const TileRule& rule) {
  const auto add = [&](AgentKind kind, const std::string& suffix = "") {
    const AgentSpec* spec = agent_of(schedule, kind);
    if (spec == nullptr) return ir::kNone;
    const bool computes = kind == AgentKind::consumer;
    return b.agent(spec->name + suffix, computes && rule.warps > 0 ? rule.warps : spec->warps,
                   computes && rule.registers_per_thread > 0 ? rule.registers_per_thread : spec->registers_per_thread);
  };
  Agents agents;
  agents.load = add(AgentKind::producer);
  agents.issuer = add(AgentKind::issuer);
  for (int w = 0; w < rule.consumers; ++w) {
    agents.softmax.push_back(add(AgentKind::consumer, rule.consumers > 1 ? std::to_string(w) : ""));
  }
  for (const int agent : agents.softmax) {
    if (schedule.softmax_interleaved) b.interleave(agent);
  }
  agents.correction = add(AgentKind::correction);
  agents.epilogue = add(AgentKind::epilogue);
  return agents;
}

// None where there is one. `name`: k or v, `axis`: d or dv.
std::vector<Piece> make_pieces(ProgramBuilder& b, const TileListPlan& plan, ir::AxisId kv, const std::string& name, const std::string& axis,
                               int count, int padded, int valid, int slots) {
  std::vector<Piece> pieces;
  const int columns = padded / count;
  for (int i = 0; count > 1 && i < count; ++i) {
    const std::string number = std::to_string(i);
    const ir::AxisId d = b.fixed(axis + number, columns, std::clamp(valid - i * columns, 0, columns));
    pieces.push_back({b.smem(name + number, kv, d, plan.dtype_kv, slots), b.token(name + "_full" + number),
                      b.token(name + "_empty" + number), i * columns, d});
  }
  return pieces;
}

QueryTile make_query_tile(ProgramBuilder& b, const FusedContext& c, const Agents& agents, int index, ir::AxisId kv, ir::AxisId d,
                          ir::AxisId dv) {
  const TileListPlan& plan = c.plan;
  const std::string suffix = plan.rule.consumers > 1 ? std::to_string(index) : "";
  const int softmax = agents.softmax[static_cast<std::size_t>(index)];
  const ir::AxisId rows = b.rows("rows" + suffix, c.rows_per_agent, index * c.rows_per_agent);
  const auto vector = [&](const char* name, int agent) { return b.registers(name + suffix, rows, ir::kUnit, ir::DType::f32, agent); };
  QueryTile x;
  x.t.q = b.smem("q" + suffix, rows, d, plan.dtype);
  for (const Piece& piece : c.shared.k_pieces) {
    x.q_pieces.push_back(b.view(fmt::format("q{}_{}", suffix, piece.column), x.t.q, piece.columns, piece.column));
  }
  const int stages = plan.rule.consumers == 1 ? 2 : 1;
  x.s = b.tmem("s" + suffix, rows, kv, ir::DType::f32, stages);
  x.p = b.tmem("p" + suffix, rows, kv, plan.dtype, stages, x.s);
  x.t.s = b.registers("scores" + suffix, rows, kv, ir::DType::f32, softmax);
  x.t.mask = mask_tiles(b, plan, rows, kv, softmax, suffix);
  x.t.score = score_tiles(b, plan, rows, kv, softmax, suffix);
  x.t.m = vector("m", softmax);
  x.t.m_new = vector("m_new", softmax);
  x.t.m_safe = plan.keyless_trips() ? vector("m_safe", softmax) : x.t.m_new;
  x.t.m_scaled = vector("m_scaled", softmax);
  x.t.alpha = vector("alpha", softmax);
  x.t.l = vector("l", softmax);
  x.t.row_sum = vector("row_sum", softmax);
  x.scale = b.smem("scale" + suffix, rows, ir::kUnit, ir::DType::f32);
  x.top = b.smem("top" + suffix, rows, ir::kUnit, ir::DType::f32);
  x.alpha = vector("factor", agents.correction);
  x.sum = vector("sum", agents.correction);
  x.max = vector("max", agents.correction);
  x.lse = vector("lse", agents.correction);
  const bool staged = agents.epilogue != ir::kNone && plan.splits == 1;
  const auto output = [&](const std::string& number, ir::AxisId columns, int column) {
    Output o;
    o.sum = b.tmem("o" + suffix + number, rows, columns, ir::DType::f32);
    o.registers = b.registers("o_registers" + suffix + number, rows, columns, ir::DType::f32, agents.correction);
    o.out = plan.splits > 1 ? o.registers
            : staged        ? b.smem("o_stage" + suffix + number, rows, columns, plan.dtype)
                            : b.registers("o_out" + suffix + number, rows, columns, plan.dtype, agents.correction);
    o.column = column;
    return o;
  };
  for (const Piece& piece : c.shared.v_pieces) x.outputs.push_back(output("_" + std::to_string(piece.column), piece.columns, piece.column));
  if (x.outputs.empty()) x.outputs.push_back(output("", dv, 0));
  x.s_full = b.token("s_full" + suffix);
  for (int i = 0; i < c.schedule.p_parts; ++i) {
    x.p_full.push_back(b.token("p_full" + suffix + (c.schedule.p_parts > 1 ? "_" + std::to_string(i) : "")));
  }
  x.stats = b.token("stats" + suffix);
  x.stats_empty = b.token("stats_empty" + suffix);
  x.o_ready = b.token("o_ready" + suffix);
  x.pv_done = b.token("pv_done" + suffix);
  if (staged) {
    x.o_staged = b.token("o_staged" + suffix);
    x.o_stored = b.token("o_stored" + suffix);
  }
  return x;
}

// S of one query tile; the first one waits for K, the last one releases it.
ops::Ops score(const FusedContext& c, const QueryTile& x, bool first, bool last) {
  ops::Ops list;
  if (first) list.push_back(ops::when(When::first_trip, ops::await(c.tokens.q_full)));
  const std::size_t pieces = std::max<std::size_t>(1, c.shared.k_pieces.size());
  for (std::size_t i = 0; i < pieces; ++i) {
    const bool whole = c.shared.k_pieces.empty();
    const Piece k = whole ? Piece{c.shared.k, c.tokens.k_full, c.tokens.k_empty, 0, ir::kUnit} : c.shared.k_pieces[i];
    if (first) list.push_back(ops::await(k.full));
    ir::Op op = ops::mma(whole ? x.t.q : x.q_pieces[i], k.tile, x.s, ir::MmaKind::tcgen05, true, i > 0);
    op.pair = c.schedule.pair;
    if (i + 1 == pieces) op.completes.push_back(x.s_full);
    if (last) op.completes.push_back(k.empty);
    list.push_back(op);
  }
  return list;
}

// With one S a query tile, PV of the trip before comes first: QK^T writes over the P that it reads.
ops::Ops issuer_loop(const FusedContext& c, const std::vector<QueryTile>& tiles) {
  ops::Ops list;
  for (std::size_t w = 0; w < tiles.size(); ++w) {
    const QueryTile& x = tiles[w];
    const bool last = w + 1 == tiles.size();
    ops::Ops pv{ops::await(x.p_full.front()), ops::await(x.o_ready)};
    for (std::size_t i = 0; i < x.outputs.size(); ++i) {
      const bool whole = c.shared.v_pieces.empty();
      const Piece v = whole ? Piece{c.shared.v, c.tokens.v_full, c.tokens.v_empty, 0, ir::kUnit} : c.shared.v_pieces[i];
      if (w == 0) pv.insert(whole ? pv.begin() : pv.end(), ops::await(v.full));
      for (int part = 0; part < c.schedule.p_parts; ++part) {
        const bool last_part = part + 1 == c.schedule.p_parts;
        if (i == 0 && part > 0) pv.push_back(ops::await(x.p_full[static_cast<std::size_t>(part)]));
        ir::Op op = ops::mma(x.p, v.tile, x.outputs[i].sum, ir::MmaKind::tcgen05, false, true);
        op.pair = c.schedule.pair;
        op.part = part;
        op.parts = c.schedule.p_parts;
        if (last_part && i + 1 == x.outputs.size()) op.completes.push_back(x.pv_done);
        if (last_part && last) op.completes.push_back(v.empty);
        if (part > 0) {
          pv.push_back(op);
          continue;
        }
        op.accumulate = false;
        pv.push_back(ops::when(When::first_trip, op));
        op.accumulate = true;
        pv.push_back(ops::when(When::not_first_trip, op));
      }
    }
    const std::size_t before = list.size();
    ops::append(list, ops::with_role(pv, "pv", 1));
    const ops::Ops qk = ops::with_role(score(c, x, w == 0, last), "qk");
    const auto at = tiles.size() == 1 ? list.begin() + static_cast<std::ptrdiff_t>(before) : list.end();
    list.insert(at, qk.begin(), qk.end());
  }
  return list;
}

// The factor goes to the correction agent as soon as the maximum is known.
ops::Ops softmax_loop(const FusedContext& c, const QueryTile& x, int row_offset) {
  const ComputeTiles& t = x.t;
  const double scale = std::numbers::log2e * c.plan.score.factor;
  ops::Ops read{ops::await(x.s_full), ops::unary(Fn::copy, x.s, t.s)};
  if (c.tokens.q_empty != ir::kNone) read.push_back(ops::when(When::last_trip, ops::signal(c.tokens.q_empty)));
  ops::Ops list = ops::with_role(read, "load_s");
  ops::append(list, score_ops(c.plan, c.tensors, t.score, t.s, row_offset));
  ops::append(list, ops::with_role(mask_ops(c.plan, c.tensors, t.mask, t.s, row_offset), "mask"));
  ops::Ops top{ops::reduce_row(Fn::maximum, t.s, t.m_new), ops::binary(Fn::maximum, t.m_new, t.m, t.m_new)};
  if (t.m_safe != t.m_new) top.push_back(ops::unary(Fn::finite_or_zero, t.m_new, t.m_safe));
  ops::append(top, {ops::binary(Fn::subtract, t.m, t.m_safe, t.alpha), ops::binary(Fn::multiply, t.alpha, scale, t.alpha),
                    ops::unary(Fn::exp2, t.alpha, t.alpha), ops::binary(Fn::multiply, t.m_safe, scale, t.m_scaled),
                    ops::await(x.stats_empty, 1), ops::unary(Fn::copy, t.alpha, x.scale), ops::signal(x.stats)});
  if (c.schedule.holds_factors) std::erase_if(top, [&](const ir::Op& op) { return op.token == x.stats_empty; });
  ops::append(list, ops::with_role(top, "softmax"));
  ir::Op exponential = ops::unary(Fn::exp2, t.s, t.s);
  exponential.polynomial = c.plan.exp2_polynomial;
  for (int part = 0; part < c.schedule.p_parts; ++part) {
    ops::Ops weights = ops::with_role(
        {ops::binary(Fn::multiply, t.s, scale, t.s), ops::binary(Fn::subtract, t.s, t.m_scaled, t.s), exponential}, "softmax");
    ops::append(weights, ops::with_role({ops::convert(t.s, x.p)}, "convert_p"));
    for (ir::Op& op : weights) {
      op.part = part;
      op.parts = c.schedule.p_parts;
    }
    ops::append(list, weights);
    ops::append(list, ops::with_role({ops::signal(x.p_full[static_cast<std::size_t>(part)])}, "convert_p"));
  }
  // The next trip's factors find their buffer free.
  if (c.schedule.holds_factors) ops::append(list, ops::with_role({ops::await(x.stats_empty)}, "softmax"));
  ops::append(list, ops::with_role({ops::binary(Fn::multiply, t.l, t.alpha, t.l), ops::reduce_row(Fn::add, t.s, t.row_sum),
                                    ops::binary(Fn::add, t.l, t.row_sum, t.l), ops::unary(Fn::copy, t.m_new, t.m)},
                                   "softmax"));
  return list;
}

// Part of the trips after the first in which some of `rows` maxima moves. In trip i the largest of i equal shares of a row's keys is a new
// one with probability 1 / i, if scores come in no order.
double moving_share(const std::vector<ir::ItemFamily>& families, int rows) {
  std::vector<double> moves{0, 0};  // by trips of an item: expected number of them in which a maximum moves
  double moving = 0;
  double trips = 0;
  for (const ir::ItemFamily& family : families) {
    for (const ir::RowTile& tile : family.tiles) {
      const auto n = static_cast<std::size_t>(tile.trips());
      while (moves.size() <= n) moves.push_back(moves.back() + 1 - std::pow(1 - 1.0 / static_cast<double>(moves.size()), rows));
      moving += static_cast<double>(family.slab_count) * moves[n];
      trips += static_cast<double>(family.slab_count) * static_cast<double>(n - std::min<std::size_t>(n, 1));
    }
  }
  return trips == 0 ? 1 : moving / trips;
}

// Reads of O by parts of its columns, each begun while the one before is scaled: two are under way at a time.
double rescale_rounds(const FusedContext& c, std::size_t outputs) {
  const int at_once = c.schedule.rescale_columns;
  const int columns = (c.plan.rule.cta_columns > 0 ? c.plan.rule.cta_columns : c.plan.padded_v) / static_cast<int>(outputs);
  return at_once == 0 ? 1 : (std::ceil(static_cast<double>(columns) / at_once) + 1) / 2;
}

ops::Ops correction_loop(const FusedContext& c, const std::vector<QueryTile>& tiles) {
  ops::Ops list;
  const double share = c.schedule.rescale_rows > 0 ? moving_share(*c.plan.families, c.schedule.rescale_rows) : c.schedule.rescale_share;
  for (std::size_t w = 0; w < tiles.size(); ++w) {
    const QueryTile& x = tiles[w];
    const bool holds = c.schedule.holds_factors && tiles.size() > 1;
    ops::Ops one{ops::await(x.stats), ops::unary(Fn::copy, x.scale, x.alpha)};
    if (!holds) one.push_back(ops::signal(x.stats_empty));
    one.push_back(ops::when(When::not_first_trip, ops::await(x.pv_done)));
    for (const Output& o : x.outputs) {
      one.push_back(ops::when(When::not_first_trip, ops::binary(Fn::multiply, o.sum, x.alpha, o.sum)));
      one.back().share = share;
      one.back().tmem_rounds = rescale_rounds(c, x.outputs.size());
    }
    one.push_back(ops::signal(x.o_ready));
    if (holds && w > 0) one.push_back(ops::signal(tiles[w - 1].stats_empty));
    if (holds && w == 0) one.push_back(ops::when(When::not_first_trip, ops::signal(tiles.back().stats_empty)));
    if (holds && w + 1 == tiles.size()) one.push_back(ops::when(When::last_trip, ops::signal(x.stats_empty)));
    ops::append(list, ops::with_role(one, "rescale"));
  }
  return list;
}

// An item that visits no KV tile has no O in tensor memory.
ops::Ops read_output(const FusedContext& c, const QueryTile& x) {
  ops::Ops list{ops::await(x.pv_done)};
  for (const Output& o : x.outputs) list.push_back(ops::binary(Fn::multiply, o.sum, x.alpha, o.registers));
  if (!c.plan.empty_items) return list;
  for (ir::Op& op : list) op.when = When::not_item_flag;
  for (const Output& o : x.outputs) list.push_back(ops::when(When::item_flag, ops::zero(o.registers)));
  return list;
}

ops::Ops correction_end(const FusedContext& c, const QueryTile& x, int index) {
  const bool split = c.plan.splits > 1;
  const double scale = std::numbers::log2e * c.plan.score.factor;
  const int row_offset = index * c.rows_per_agent;
  ir::Access to_o = rows_access(split ? c.tensors.o_partial : c.tensors.o, row_offset);
  ir::Access to_lse = rows_access(split ? c.tensors.lse_partial : c.tensors.lse, row_offset);
  if (split) {
    to_o.slab_multiplier = to_lse.slab_multiplier = static_cast<int>(c.plan.splits);
    to_o.add_split = to_lse.add_split = true;
  }
  ops::Ops list{ops::await(x.stats),        ops::unary(Fn::copy, x.scale, x.sum),       ops::unary(Fn::copy, x.top, x.max),
                ops::signal(x.stats_empty), ops::unary(Fn::reciprocal, x.sum, x.alpha), ops::unary(Fn::finite_or_zero, x.alpha, x.alpha)};
  ops::append(list, read_output(c, x));
  list = ops::with_role(std::move(list), "normalize");
  ops::Ops out;
  if (x.o_stored != ir::kNone) {
    if (c.plan.persistent()) out.push_back(ops::await(x.o_stored, 1));
    for (const Output& o : x.outputs) out.push_back(ops::convert(o.registers, o.out));
    out.push_back(ops::signal(x.o_staged));
  } else {
    for (const Output& o : x.outputs) {
      to_o.column_begin = c.plan.column_begin + o.column;
      if (!split) out.push_back(ops::convert(o.registers, o.out));
      out.push_back(ops::store(o.out, to_o, ir::CopyKind::plain));
    }
    const bool last = static_cast<std::size_t>(index) + 1 == c.compute.size();
    if (last && c.tokens.o_stored != ir::kNone) out.back().completes.push_back(c.tokens.o_stored);
  }
  if (c.plan.column_begin > 0) {
    ops::append(list, ops::with_role(out, "store"));
    return list;
  }
  ops::append(
      out, {ops::unary(Fn::log2, x.sum, x.lse), ops::binary(Fn::multiply, x.max, scale, x.max), ops::binary(Fn::add, x.lse, x.max, x.lse)});
  if (!split) out.push_back(ops::binary(Fn::multiply, x.lse, std::numbers::ln2, x.lse));
  out.push_back(ops::store(x.lse, to_lse, ir::CopyKind::plain));
  ops::append(list, ops::with_role(out, "store"));
  return list;
}

// Operands B of pairs, and what lies in tensor memory.
void share_in_pairs(ir::Program& program) {
  constexpr int kPair = 2;
  const auto tile = [&](ir::TileId id) -> ir::Tile& { return program.tiles[static_cast<std::size_t>(id)]; };
  for (const ir::Agent& agent : program.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        if (op.kind == ir::OpKind::mma && op.pair) tile(op.in[1]).shared_by = kPair;
      }
    }
  }
  for (ir::Tile& t : program.tiles) {
    if (t.space == ir::Space::tmem) t.shared_by = kPair;
  }
}

}  // namespace

ir::Program tmem_program(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors) {
  ProgramBuilder b;
  b.section("prologue", ir::SectionKind::once);
  b.section("main", ir::SectionKind::loop);
  b.section("epilogue", ir::SectionKind::once);
  const TileRule& rule = plan.rule;
  const Agents agents = make_agents(b, schedule, rule);
  FusedContext c{plan, schedule, tensors, {}, {}, {}, rule.tile_q / rule.consumers, true, true};
  const ir::AxisId kv = b.trip_columns("kv", rule.tile_kv);
  const ir::AxisId d = b.fixed("d", plan.padded_qk, plan.head_dim_qk);
  const int columns = rule.cta_columns > 0 ? rule.cta_columns : plan.padded_v;
  const ir::AxisId dv = b.fixed("dv", columns, std::min(columns, plan.head_dim_v - plan.column_begin));
  c.shared = kv_tiles(b, plan, kv, d, dv);
  c.shared.k_pieces = make_pieces(b, plan, kv, "k", "d", rule.k_pieces, plan.padded_qk, plan.head_dim_qk, rule.stages);
  c.shared.v_pieces =
      make_pieces(b, plan, kv, "v", "dv", rule.v_pieces, plan.padded_v, plan.head_dim_v, rule.stages_v > 0 ? rule.stages_v : rule.stages);
  if (schedule.item_global_round_trips > 0) {
    c.shared.metadata = b.registers("metadata", ir::kUnit, ir::kUnit, ir::DType::i32, agents.load);
  }
  c.shared.pages = pages_tile(b, c, agents.load);
  c.shared.box = box_ops(b, c, agents.load);
  c.tokens.q_full = b.token("q_full", rule.consumers);
  if (plan.persistent()) c.tokens.q_empty = b.token("q_empty", rule.consumers);
  if (c.shared.k_pieces.empty()) {
    c.tokens.k_full = b.token("k_full");
    c.tokens.k_empty = b.token("k_empty");
  }
  if (c.shared.v_pieces.empty()) {
    c.tokens.v_full = b.token("v_full");
    c.tokens.v_empty = b.token("v_empty");
  }
  std::vector<QueryTile> tiles;
  for (int w = 0; w < rule.consumers; ++w) {
    tiles.push_back(make_query_tile(b, c, agents, w, kv, d, dv));
    c.compute.push_back(tiles.back().t);
  }

  if (schedule.stage_o_in_v && plan.persistent()) c.tokens.o_stored = b.token("o_stored");
  ops::append(b.ops(agents.load, kPrologue), lookup(c, c.shared.metadata, schedule.item_global_round_trips + plan.search_round_trips));
  for (const RolePlacement& p : agent_of(schedule, AgentKind::producer)->loop) {
    ops::append(b.ops(agents.load, kMain), ops::with_role(load_role(c, p.role), p.role, p.skew));
  }
  if (c.tokens.o_stored != ir::kNone && plan.empty_items) {
    ops::append(b.ops(agents.load, kPrologue), ops::with_role({ops::when(When::item_flag, ops::await(c.tokens.o_stored, 1))}, "load_v"));
  }
  b.ops(agents.issuer, kMain) = issuer_loop(c, tiles);
  b.ops(agents.correction, kMain) = correction_loop(c, tiles);
  for (int w = 0; w < rule.consumers; ++w) {
    const QueryTile& x = tiles[static_cast<std::size_t>(w)];
    const int softmax = agents.softmax[static_cast<std::size_t>(w)];
    if (c.tokens.o_stored != ir::kNone) ops::append(b.ops(softmax, kPrologue), ops::with_role({ops::await(c.tokens.o_stored, 1)}, "init"));
    ops::append(b.ops(softmax, kPrologue), ops::with_role({ops::zero(x.t.l), ops::zero(x.t.m),
                                                           ops::binary(Fn::add, x.t.m, -std::numeric_limits<double>::infinity(), x.t.m)},
                                                          "init"));
    ops::append(b.ops(softmax, kPrologue), mask_start(plan, tensors, x.t.mask, w * c.rows_per_agent));
    ops::append(b.ops(softmax, kPrologue), score_start(plan, tensors, x.t.score, w * c.rows_per_agent));
    b.ops(softmax, kMain) = softmax_loop(c, x, w * c.rows_per_agent);
    ops::Ops statistics{ops::await(x.stats_empty, 1), ops::unary(Fn::copy, x.t.l, x.scale)};
    if (x.t.score.lse_shift != ir::kNone) statistics.push_back(ops::binary(Fn::subtract, x.t.m, x.t.score.lse_shift, x.t.m));
    ops::append(statistics, {ops::unary(Fn::copy, x.t.m, x.top), ops::signal(x.stats)});
    b.ops(softmax, kEpilogue) = ops::with_role(statistics, "softmax");
    ops::append(b.ops(agents.correction, kEpilogue), correction_end(c, x, w));
    if (x.o_stored == ir::kNone) continue;
    ops::append(b.ops(agents.epilogue, kEpilogue),
                ops::with_role({ops::await(x.o_staged), ops::store(x.outputs.front().out, rows_access(c.tensors.o, w * c.rows_per_agent),
                                                                   ir::CopyKind::tma, {x.o_stored})},
                               "store"));
  }
  ir::Program program = b.take();
  if (schedule.pair) share_in_pairs(program);
  return program;
}

}  // namespace attnsim
