// SPDX-License-Identifier: Apache-2.0
#include "tests/support/attention_parts.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attnsim::test {

using ir::Fn;

SoftmaxTiles softmax_tiles(ProgramSketch& sketch, int agent, const std::string& suffix, ir::AxisId rows, ir::AxisId kv, ir::AxisId d) {
  SoftmaxTiles t{};
  t.s = sketch.reg(agent, "s" + suffix, rows, kv);
  t.keep = sketch.reg(agent, "keep" + suffix, rows, kv, ir::DType::pred);
  t.p = sketch.reg(agent, "p" + suffix, rows, kv, ir::DType::bf16);
  t.m = sketch.reg(agent, "m" + suffix, rows, ir::kUnit);
  t.next_m = sketch.reg(agent, "next_m" + suffix, rows, ir::kUnit);
  t.alpha = sketch.reg(agent, "alpha" + suffix, rows, ir::kUnit);
  t.l = sketch.reg(agent, "l" + suffix, rows, ir::kUnit);
  t.part = sketch.reg(agent, "part" + suffix, rows, ir::kUnit);
  t.o = sketch.reg(agent, "o" + suffix, rows, d);
  return t;
}

double log2_scale(int head_dim) {
  return 1.0 / std::sqrt(static_cast<double>(head_dim)) / std::log(2.0);
}

void add_init(ProgramSketch& sketch, int agent, int section, const SoftmaxTiles& t) {
  sketch.add(agent, section, zero("init", t.o));
  sketch.add(agent, section, zero("init", t.l));
  sketch.add(agent, section, zero("init", t.m));
  sketch.add(agent, section, scaled("init", Fn::add, t.m, t.m, -std::numeric_limits<double>::infinity()));
}

void add_softmax(ProgramSketch& sketch, int agent, int section, const SoftmaxTiles& t, double scale, const ir::Relation* causal, int skew) {
  const auto add = [&](ir::Op op) { sketch.add(agent, section, std::move(op), {.skew = skew}); };
  if (causal != nullptr) {
    sketch.add(agent, section, compare("mask", t.keep, *causal), {.when = ir::When::partial_trip, .skew = skew});
    sketch.add(agent, section, select("mask", t.s, t.s, t.keep, -std::numeric_limits<double>::infinity()),
               {.when = ir::When::partial_trip, .skew = skew});
  }
  add(reduce_row("softmax", Fn::maximum, t.part, t.s));
  add(binary("softmax", Fn::maximum, t.part, t.part, t.m));
  add(unary("softmax", Fn::finite_or_zero, t.next_m, t.part));
  add(scaled("softmax", Fn::multiply, t.next_m, t.next_m, scale));
  add(scaled("softmax", Fn::multiply, t.alpha, t.m, scale));
  add(binary("softmax", Fn::subtract, t.alpha, t.alpha, t.next_m));
  add(unary("softmax", Fn::exp2, t.alpha, t.alpha));
  add(unary("softmax", Fn::copy, t.m, t.part));
  add(scaled("softmax", Fn::multiply, t.s, t.s, scale));
  add(binary("softmax", Fn::subtract, t.s, t.s, t.next_m));
  add(unary("softmax", Fn::exp2, t.s, t.s));
  add(reduce_row("softmax", Fn::add, t.part, t.s));
  add(binary("softmax", Fn::multiply, t.l, t.l, t.alpha));
  add(binary("softmax", Fn::add, t.l, t.l, t.part));
  add(binary("rescale", Fn::multiply, t.o, t.o, t.alpha));
  add(convert("convert_p", t.p, t.s));
}

void add_normalize(ProgramSketch& sketch, int agent, int section, const SoftmaxTiles& t) {
  // l >= 1 wherever a key was kept, since the largest score contributes 2^0.
  sketch.add(agent, section, scaled("normalize", Fn::maximum, t.part, t.l, 0.5));
  sketch.add(agent, section, unary("normalize", Fn::reciprocal, t.part, t.part));
  sketch.add(agent, section, binary("normalize", Fn::multiply, t.o, t.o, t.part));
}

void add_merge(ProgramSketch& sketch, int agent, int section, const SoftmaxTiles& t, ir::TileId part_o, ir::TileId part_m,
               ir::TileId part_l, ir::TileId beta, double scale, ir::When when) {
  const auto add = [&](ir::Op op) { sketch.add(agent, section, std::move(op), {.when = when}); };
  add(binary("merge", Fn::maximum, t.part, t.m, part_m));
  add(unary("merge", Fn::finite_or_zero, t.next_m, t.part));
  add(binary("merge", Fn::subtract, t.alpha, t.m, t.next_m));
  add(scaled("merge", Fn::multiply, t.alpha, t.alpha, scale));
  add(unary("merge", Fn::exp2, t.alpha, t.alpha));
  add(binary("merge", Fn::subtract, beta, part_m, t.next_m));
  add(scaled("merge", Fn::multiply, beta, beta, scale));
  add(unary("merge", Fn::exp2, beta, beta));
  add(unary("merge", Fn::copy, t.m, t.part));
  add(binary("merge", Fn::multiply, t.l, t.l, t.alpha));
  add(binary("merge", Fn::multiply, part_l, part_l, beta));
  add(binary("merge", Fn::add, t.l, t.l, part_l));
  add(binary("merge", Fn::multiply, t.o, t.o, t.alpha));
  add(binary("merge", Fn::multiply, part_o, part_o, beta));
  add(binary("merge", Fn::add, t.o, t.o, part_o));
}

ir::Relation causal_relation(const ToyAttention& shape) {
  return {1, 1, -1, shape.kv_len - shape.q_len};
}

ir::ItemFamily attention_items(const ToyAttention& shape, int tile_q, int tile_kv, bool descending) {
  const std::int64_t shift = shape.kv_len - shape.q_len;
  ir::ItemFamily family{0, shape.slabs, shape.kv_len, 0, {}};
  const std::int64_t kv_tiles = (shape.kv_len + tile_kv - 1) / tile_kv;
  for (std::int64_t row = 0; row < shape.q_len; row += tile_q) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min<std::int64_t>(tile_q, shape.q_len - row);
    std::int64_t full = kv_tiles;
    std::int64_t all = kv_tiles;
    if (shape.causal) {
      const std::int64_t last_kept = row + tile.rows - 1 + shift;  // by the last row; the first keeps up to row + shift
      all = std::clamp<std::int64_t>(last_kept < 0 ? 0 : last_kept / tile_kv + 1, 0, kv_tiles);
      full = std::clamp<std::int64_t>((row + shift + 1) / tile_kv, 0, all);
    }
    for (std::int64_t r = row; r < row + tile.rows; ++r) {
      tile.kept += shape.causal ? std::clamp<std::int64_t>(r + shift + 1, 0, shape.kv_len) : shape.kv_len;
    }
    if (!descending) {
      if (full > 0) tile.runs.push_back({0, full, 1, false});
      if (all > full) tile.runs.push_back({full, all - full, 1, true});
    } else {
      if (all > full) tile.runs.push_back({all - 1, all - full, -1, true});
      if (full > 0) tile.runs.push_back({full - 1, full, -1, false});
    }
    family.tiles.push_back(tile);
  }
  return family;
}

AttentionTensors attention_tensors(ir::PipelineBuilder& pipeline, const ToyAttention& shape) {
  using ir::DType;
  AttentionTensors t{};
  t.q = pipeline.tensor({"Q", shape.slabs, shape.q_len, shape.head_dim, DType::bf16, ir::TensorRole::input});
  t.k = pipeline.tensor({"K", shape.slabs, shape.kv_len, shape.head_dim, DType::bf16, ir::TensorRole::input});
  t.v = pipeline.tensor({"V", shape.slabs, shape.kv_len, shape.head_dim, DType::bf16, ir::TensorRole::input});
  t.o = pipeline.tensor({"O", shape.slabs, shape.q_len, shape.head_dim, DType::bf16, ir::TensorRole::output});
  return t;
}

}  // namespace attnsim::test
