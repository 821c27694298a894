// SPDX-License-Identifier: Apache-2.0
// Partial results merged inside the attention kernel.
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::Fn;
using ir::When;

namespace {

// Row vectors of the main loop serve again.
MergeTiles merge_tiles(ProgramBuilder& b, const FusedContext& c, int agent, ir::AxisId dv) {
  const ComputeTiles& t = c.compute.front();
  const ir::AxisId rows = b.rows("merge_rows", c.rows_per_agent);
  MergeTiles m;
  m.o = t.o;
  m.m = t.m;
  m.m_new = t.m_new;
  m.m_safe = t.m_scaled;
  m.alpha = t.alpha;
  m.beta = t.row_sum;
  m.l = t.l;
  m.part_o = b.registers("part_o", rows, dv, ir::DType::f32, agent);
  m.part_lse = b.registers("part_lse", rows, ir::kUnit, ir::DType::f32, agent);
  m.scaled = b.registers("scaled", rows, dv, ir::DType::f32, agent);
  return m;
}

struct PartialAccess {
  ir::Access o;
  ir::Access lse;
};
PartialAccess partial_access(const FusedContext& c, bool by_trip) {
  PartialAccess access{rows_access(c.tensors.o_partial, 0), rows_access(c.tensors.lse_partial, 0)};
  for (ir::Access* a : {&access.o, &access.lse}) {
    a->slab_multiplier = static_cast<int>(c.plan.splits);
    a->add_trip = by_trip;
    a->add_split = !by_trip;
  }
  return access;
}

ops::Ops store_merged(ProgramBuilder& b, const FusedContext& c, const MergeTiles& m, int agent, ir::AxisId dv) {
  const ir::AxisId rows = b.rows("out_rows", c.rows_per_agent);
  const ir::TileId out = b.registers("o_merged", rows, dv, c.plan.dtype, agent);
  ops::Ops list = merge_finish(m);
  ops::append(list, {ops::convert(m.o, out), ops::store(out, rows_access(c.tensors.o, 0), ir::CopyKind::plain),
                     ops::store(m.alpha, rows_access(c.tensors.lse, 0), ir::CopyKind::plain)});
  return list;
}

ops::Ops all_when(ops::Ops list, When when, ir::TokenId token = ir::kNone) {
  for (ir::Op& op : list) {
    op.when = when;
    if (token != ir::kNone) op.token = token;
  }
  return list;
}

}  // namespace

void add_last_cta_merge(ProgramBuilder& b, const FusedContext& c, int agent, const MergeSections& at, ir::AxisId dv) {
  const MergeTiles m = merge_tiles(b, c, agent, dv);
  const PartialAccess from = partial_access(c, true);
  const auto last = [&](ops::Ops list, const std::string& role) {
    return ops::with_role(all_when(std::move(list), When::last_arriver, c.tokens.split_done), role);
  };
  ops::append(b.ops(agent, at.hand_over), last(merge_start(m), "merge"));
  ops::append(b.ops(agent, at.reduce), last(merge_load(m, from.o, from.lse, ir::CopyKind::cp_async), "load_partial"));
  ops::append(b.ops(agent, at.reduce), last(merge_step(m), "merge"));
  ops::append(b.ops(agent, at.finish), last(store_merged(b, c, m, agent, dv), "store"));
}

// The owner's own part enters the merge as (O, lse, 1).
void add_owner_merge(ProgramBuilder& b, const FusedContext& c, int agent, const MergeSections& at, ir::AxisId dv) {
  const ComputeTiles& t = c.compute.front();
  const MergeTiles m = merge_tiles(b, c, agent, dv);
  const PartialAccess to = partial_access(c, false);
  const PartialAccess from = partial_access(c, true);
  ops::Ops& end = b.ops(agent, at.hand_over);
  ops::append(end, ops::with_role(finish_rows(c, t), "normalize"));
  const ops::Ops hand_over{ops::store(t.o, to.o, ir::CopyKind::plain), ops::store(t.alpha, to.lse, ir::CopyKind::plain),
                           ops::signal(c.tokens.ready, {t.o, t.alpha})};
  ops::append(end, ops::with_role(all_when(hand_over, When::item_flag), "store_partial"));
  const ops::Ops own{ops::unary(Fn::copy, t.alpha, t.m), ops::zero(t.l), ops::binary(Fn::add, t.l, 1.0, t.l)};
  ops::append(end, ops::with_role(all_when(own, When::not_item_flag), "merge"));
  ops::append(b.ops(agent, at.wait), ops::with_role({ops::await(c.tokens.ready)}, "wait"));
  ops::append(b.ops(agent, at.reduce), ops::with_role(merge_load(m, from.o, from.lse, ir::CopyKind::plain), "load_partial"));
  ops::append(b.ops(agent, at.reduce), ops::with_role(merge_step(m), "merge"));
  ops::append(b.ops(agent, at.finish), ops::with_role(all_when(store_merged(b, c, m, agent, dv), When::not_item_flag), "store"));
}

}  // namespace attnsim
