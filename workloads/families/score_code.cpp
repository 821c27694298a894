// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/score_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::Fn;

namespace {

std::int64_t shift_of(const BatchGroup& group) {
  return group.set.kv_len() - group.set.q_len();
}

bool looks_back(const BatchGroup& group) {
  const std::optional<Band> band = group.set.mask->band();
  return band && band->upper < kUnbounded && band->shift + band->upper <= shift_of(group);
}

void check_layout(const Score& score, const BatchGroup& group) {
  if (score.bias_layout.empty()) return;
  std::int64_t tokens = 1;
  for (const std::int64_t extent : score.bias_layout) tokens *= extent;
  if (tokens != group.set.kv_len() || group.set.q_len() > tokens) {
    illegal("/score/bias_layout", fmt::format("{}", fmt::join(score.bias_layout, "x")),
            fmt::format("has {} tokens, there are {} queries and {} keys", tokens, group.set.q_len(), group.set.kv_len()),
            "extents whose product is kv_len, and no more queries than that");
  }
}

// Numbers that differ by group become parameters behind those that are there.
void append_parameters(MaskCode& code, std::vector<std::vector<std::int64_t>>& parameters) {
  const auto known = static_cast<int>(parameters.front().size());
  for (MaskInstruction& i : code.instructions) {
    if (i.relation.parameter != ir::kNone) i.relation.parameter += known;
  }
  for (std::size_t g = 0; g < parameters.size(); ++g)
    parameters[g].insert(parameters[g].end(), code.parameters[g].begin(), code.parameters[g].end());
}

}  // namespace

ScorePlan plan_score(const Score& score, const std::vector<BatchGroup>& groups, int head_dim_qk, std::int64_t tile_kv, bool one_sided_form,
                     std::vector<std::vector<std::int64_t>>& parameters) {
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim_qk));
  ScorePlan plan;
  plan.score = score;
  plan.factor = score.softcap > 0 ? score.softcap : scale;
  plan.inner = score.softcap > 0 ? scale / score.softcap : 1;
  if (!score.alibi && score.bias_radius.empty()) return plan;
  parameters.resize(groups.size());
  const std::int64_t row_group = groups.front().set.row_group;
  if (score.alibi) {
    plan.one_sided = one_sided_form && std::all_of(groups.begin(), groups.end(), looks_back);
    plan.position = {1, static_cast<int>(row_group), 0, shift_of(groups.front())};
    if (std::any_of(groups.begin(), groups.end(), [&](const BatchGroup& g) { return shift_of(g) != shift_of(groups.front()); })) {
      plan.position.offset = 0;
      plan.position.parameter = static_cast<int>(parameters.front().size());
      for (std::size_t g = 0; g < groups.size(); ++g) parameters[g].push_back(shift_of(groups[g]));
    }
  }
  if (!score.bias_radius.empty()) {
    std::vector<MaskTest> tests;
    for (const BatchGroup& group : groups) {
      check_layout(score, group);
      tests.push_back({{bias_index(score, shift_of(group))}, {}, {}});
    }
    plan.index = mask_code(tests, row_group, tile_kv);
    append_parameters(plan.index, parameters);
  }
  return plan;
}

ScoreTiles score_tiles(ProgramBuilder& b, const TileListPlan& plan, ir::AxisId rows, ir::AxisId columns, int agent,
                       const std::string& suffix, ScoreForm form) {
  const ScorePlan& p = plan.score;
  const auto tile = [&](const char* name, ir::AxisId m, ir::AxisId n) { return b.registers(name + suffix, m, n, ir::DType::f32, agent); };
  ScoreTiles t;
  t.form = form;
  if (p.score.alibi) {
    t.slope = tile("slope", plan.packed ? rows : ir::kUnit, ir::kUnit);
    t.row_places = tile("row_places", rows, ir::kUnit);
    t.column_places = tile("column_places", ir::kUnit, columns);
    t.distance = tile("distance", p.one_sided && !plan.packed ? ir::kUnit : rows, columns);
    if (p.one_sided) t.lse_shift = tile("lse_shift", rows, ir::kUnit);
  }
  if (!p.score.bias_radius.empty()) {
    const auto elements = static_cast<int>(p.score.bias_elements());
    t.table = b.smem("bias_table" + suffix, ir::kUnit, b.fixed("offsets" + suffix, elements, elements), ir::DType::f32);
    t.index = code_tiles(b, p.index, rows, columns, agent, "index", suffix);
    t.bias = tile("bias", rows, columns);
  }
  if (p.score.softcap > 0 && form.derivative) {
    t.square = tile("square", rows, columns);
    t.lost = tile("lost", rows, columns);
  }
  return t;
}

namespace {

ir::Op places(ir::TileId out, const ir::Relation& relation) {
  ir::Op op;
  op.kind = ir::OpKind::iota;
  op.out = {out};
  op.relation = relation;
  return op;
}

// Of keys, or of queries among the keys, along rows or columns.
ir::Relation places_of(const ScorePlan& plan, bool keys, bool along_rows) {
  ir::Relation r = keys ? ir::Relation{1} : plan.position;
  if (!along_rows) std::swap(r.row_coefficient, r.col_coefficient);
  return r;
}

}  // namespace

ops::Ops score_start(const TileListPlan& plan, const TileListTensors& tensors, const ScoreTiles& tiles, int row_offset) {
  ops::Ops list;
  const auto of_head = [&](ir::TensorId tensor) {
    ir::Access access{tensor};
    access.slab_period = plan.slabs_per_entry;
    return access;
  };
  if (tiles.slope != ir::kNone) {
    ir::Access slopes = of_head(tensors.alibi_slopes);
    if (plan.packed) {
      slopes.row_from = ir::RowFrom::item;
      slopes.row_offset = row_offset;
    }
    ops::append(list, {ops::load(tiles.slope, slopes, ir::CopyKind::plain),
                       places(tiles.row_places, places_of(plan.score, tiles.form.transposed, true))});
    if (tiles.lse_shift != ir::kNone) list.push_back(ops::binary(Fn::multiply, tiles.row_places, tiles.slope, tiles.lse_shift));
  }
  if (tiles.table != ir::kNone) list.push_back(ops::load(tiles.table, of_head(tensors.bias_table), ir::CopyKind::plain));
  return ops::with_role(list, "modify");
}

ops::Ops score_ops(const TileListPlan& plan, const TileListTensors& tensors, const ScoreTiles& tiles, ir::TileId s, int row_offset) {
  const ScorePlan& p = plan.score;
  ops::Ops list;
  if (p.score.softcap > 0) {
    ops::append(list, {ops::binary(Fn::multiply, s, p.inner, s), ops::unary(Fn::tanh, s, s)});
    if (tiles.square != ir::kNone) list.push_back(ops::binary(Fn::multiply, s, s, tiles.square));
  }
  if (p.score.alibi) {
    list.push_back(places(tiles.column_places, places_of(p, !tiles.form.transposed, false)));
    if (p.one_sided) {
      ops::append(
          list, {ops::binary(Fn::multiply, tiles.column_places, tiles.slope, tiles.distance), ops::binary(Fn::add, s, tiles.distance, s)});
    } else {
      ops::append(
          list, {ops::binary(Fn::subtract, tiles.row_places, tiles.column_places, tiles.distance),
                 ops::unary(Fn::absolute, tiles.distance, tiles.distance),
                 ops::binary(Fn::multiply, tiles.distance, tiles.slope, tiles.distance), ops::binary(Fn::subtract, s, tiles.distance, s)});
    }
  }
  if (tiles.table != ir::kNone) {
    ops::append(list, code_ops(plan, tensors, p.index, tiles.index, row_offset));
    ir::Op look_up = ops::binary(Fn::none, tiles.table, tiles.index.at(static_cast<std::size_t>(p.index.keeps.front())), tiles.bias);
    look_up.kind = ir::OpKind::look_up;
    ops::append(list, {look_up, ops::binary(Fn::add, s, tiles.bias, s)});
  }
  return ops::with_role(list, "modify");
}

ops::Ops score_gradient_ops(const ScoreTiles& tiles, ir::TileId gradient) {
  if (tiles.square == ir::kNone) return {};
  return {ops::binary(Fn::multiply, gradient, tiles.square, tiles.lost), ops::binary(Fn::subtract, gradient, tiles.lost, gradient)};
}

}  // namespace attnsim
