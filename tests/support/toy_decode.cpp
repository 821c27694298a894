// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/core/error.h"
#include "tests/support/attention_parts.h"

namespace attnsim::test {

using ir::CopyKind;
using ir::Fn;
using ir::MmaKind;
using ir::RowFrom;

namespace {

// One piece of a KV range on one agent; pieces meet in workspaces of `splits` slabs per slab.
struct PieceProgram {
  ProgramSketch s;
  int agent = 0;
  ir::AxisId rows = 0, d = 0;
  SoftmaxTiles t{};
  int begin = 0, main = 0;
};

PieceProgram piece_program(const ToyAttention& shape, const AttentionTensors& x, int tile_q, int tile_kv) {
  PieceProgram p;
  ProgramSketch& s = p.s;
  p.rows = s.rows("q", tile_q);
  const auto kv = s.trip("kv", tile_kv);
  p.d = s.fixed("d", (shape.head_dim + 15) / 16 * 16, shape.head_dim);
  p.agent = s.agent("warps", 4, 255);
  const auto q = s.smem("q", p.rows, p.d);
  const auto k = s.smem("k", kv, p.d, 2);
  const auto v = s.smem("v", kv, p.d, 2);
  p.t = softmax_tiles(s, p.agent, "", p.rows, kv, p.d);
  const auto q_full = s.token("q_full");
  const auto k_full = s.token("k_full");
  const auto v_full = s.token("v_full");
  p.begin = s.once("prologue");
  p.main = s.loop("main");
  s.add(p.agent, p.begin, load("load_q", q, {.tensor = x.q, .row_from = RowFrom::item}, CopyKind::cp_async, {q_full}));
  add_init(s, p.agent, p.begin, p.t);
  s.add(p.agent, p.begin, await(q_full));
  s.add(p.agent, p.main, load("load_k", k, {.tensor = x.k, .row_from = RowFrom::trip}, CopyKind::cp_async, {k_full}));
  s.add(p.agent, p.main, load("load_v", v, {.tensor = x.v, .row_from = RowFrom::trip}, CopyKind::cp_async, {v_full}));
  s.add(p.agent, p.main, await(k_full), {.skew = 1});
  s.add(p.agent, p.main, mma_bt("qk", MmaKind::mma_sync, p.t.s, q, k), {.skew = 1});
  add_softmax(s, p.agent, p.main, p.t, log2_scale(shape.head_dim), nullptr, 1);
  s.add(p.agent, p.main, await(v_full), {.skew = 1});
  s.add(p.agent, p.main, accumulate(mma("pv", MmaKind::mma_sync, p.t.o, p.t.p, v)), {.skew = 1});
  return p;
}

struct Workspace {
  ir::TensorId o, m, l;
};
Workspace workspace(ir::PipelineBuilder& pipeline, const ToyAttention& shape, int pieces) {
  using ir::DType;
  const auto role = ir::TensorRole::intermediate;
  return {pipeline.tensor({"part_O", shape.slabs * pieces, shape.q_len, shape.head_dim, DType::f32, role}),
          pipeline.tensor({"part_M", shape.slabs * pieces, shape.q_len, 1, DType::f32, role}),
          pipeline.tensor({"part_L", shape.slabs * pieces, shape.q_len, 1, DType::f32, role})};
}

ir::Access piece_of(ir::TensorId tensor, int pieces, bool by_trip) {
  return {.tensor = tensor, .slab_multiplier = pieces, .add_split = !by_trip, .add_trip = by_trip, .row_from = RowFrom::item};
}

void add_handover(PieceProgram& p, int section, const Workspace& w, int pieces, ir::When when) {
  p.s.add(p.agent, section, store("store_part", p.t.o, piece_of(w.o, pieces, false)), {.when = when});
  p.s.add(p.agent, section, store("store_part", p.t.m, piece_of(w.m, pieces, false)), {.when = when});
  p.s.add(p.agent, section, store("store_part", p.t.l, piece_of(w.l, pieces, false)), {.when = when});
}

struct PartTiles {
  ir::TileId o, m, l, beta;
};
PartTiles part_tiles(ProgramSketch& s, int agent, ir::AxisId rows, ir::AxisId d) {
  return {s.reg(agent, "part_o", rows, d), s.reg(agent, "part_m", rows, ir::kUnit), s.reg(agent, "part_l", rows, ir::kUnit),
          s.reg(agent, "beta", rows, ir::kUnit)};
}

void add_fetch_and_merge(ProgramSketch& s, int agent, int section, const SoftmaxTiles& t, const PartTiles& part, const Workspace& w,
                         int pieces, double scale, ir::When when) {
  s.add(agent, section, load("load_part", part.m, piece_of(w.m, pieces, true), CopyKind::plain, {}), {.when = when});
  s.add(agent, section, load("load_part", part.l, piece_of(w.l, pieces, true), CopyKind::plain, {}), {.when = when});
  s.add(agent, section, load("load_part", part.o, piece_of(w.o, pieces, true), CopyKind::plain, {}), {.when = when});
  add_merge(s, agent, section, t, part.o, part.m, part.l, part.beta, scale, when);
}

// Every query tile `splits` times, each with its share of the KV tiles; shares may be empty.
ir::ItemFamily split_items(const ToyAttention& shape, int tile_q, int tile_kv, int splits, int peers) {
  const ir::ItemFamily whole = attention_items(shape, tile_q, tile_kv, false);
  ir::ItemFamily family{0, shape.slabs, shape.kv_len, 0, {}};
  const std::int64_t kv_tiles = (shape.kv_len + tile_kv - 1) / tile_kv;
  const std::int64_t share = (kv_tiles + splits - 1) / splits;
  for (const ir::RowTile& tile : whole.tiles) {
    for (int split = 0; split < splits; ++split) {
      const std::int64_t first = std::min<std::int64_t>(split * share, kv_tiles);
      const std::int64_t count = std::min(share, kv_tiles - first);
      ir::RowTile piece = tile;
      piece.split = split;
      piece.peers = peers;
      piece.runs.clear();
      if (count > 0) piece.runs.push_back({first, count, 1, false});
      piece.kept = tile.rows * std::max<std::int64_t>(0, std::min<std::int64_t>(shape.kv_len, (first + count) * tile_kv) - first * tile_kv);
      family.tiles.push_back(piece);
    }
  }
  return family;
}

}  // namespace

ir::Pipeline toy_split_kv(const ToyAttention& shape, int tile_q, int tile_kv, int splits) {
  ir::PipelineBuilder pipeline("toy split-kv");
  const AttentionTensors x = attention_tensors(pipeline, shape);
  const Workspace w = workspace(pipeline, shape, splits);
  PieceProgram p = piece_program(shape, x, tile_q, tile_kv);
  add_handover(p, p.s.once("epilogue"), w, splits, ir::When::always);
  pipeline.add(ir::Kernel{"split", p.s.program(), {split_items(shape, tile_q, tile_kv, splits, 0)}, {}});

  ProgramSketch s;
  const auto rows = s.rows("q", tile_q);
  const auto d = s.fixed("d", (shape.head_dim + 15) / 16 * 16, shape.head_dim);
  const int warps = s.agent("warps", 4, 128);
  SoftmaxTiles t{};
  t.m = s.reg(warps, "m", rows, ir::kUnit);
  t.next_m = s.reg(warps, "next_m", rows, ir::kUnit);
  t.alpha = s.reg(warps, "alpha", rows, ir::kUnit);
  t.l = s.reg(warps, "l", rows, ir::kUnit);
  t.part = s.reg(warps, "part", rows, ir::kUnit);
  t.o = s.reg(warps, "o", rows, d);
  const PartTiles part = part_tiles(s, warps, rows, d);
  const int begin = s.once("prologue");
  const int main = s.loop("main");
  const int end = s.once("epilogue");
  add_init(s, warps, begin, t);
  add_fetch_and_merge(s, warps, main, t, part, w, splits, log2_scale(shape.head_dim), ir::When::always);
  add_normalize(s, warps, end, t);
  s.add(warps, end, store("store", t.o, {.tensor = x.o, .row_from = RowFrom::item}));
  ir::ItemFamily family = attention_items(shape, tile_q, tile_kv, false);
  family.loop_extent = splits;
  for (ir::RowTile& tile : family.tiles) tile.runs = {{0, splits, 1, false}};
  pipeline.add(ir::Kernel{"combine", s.program(), {family}, {}});
  return pipeline.build();
}

ir::Pipeline toy_split_kv_last(const ToyAttention& shape, int tile_q, int tile_kv, int splits) {
  ir::PipelineBuilder pipeline("toy split-kv, last CTA combines");
  const AttentionTensors x = attention_tensors(pipeline, shape);
  const Workspace w = workspace(pipeline, shape, splits);
  PieceProgram p = piece_program(shape, x, tile_q, tile_kv);
  const auto arrived = p.s.kernel_token("arrived", splits);
  const PartTiles part = part_tiles(p.s, p.agent, p.rows, p.d);
  const int hand_over = p.s.once("hand over");
  const int combine = p.s.loop("combine", ir::TripSource::peers);
  const int end = p.s.once("epilogue");
  const auto last = [&](int section, ir::Op op) {
    op.when = ir::When::last_arriver;
    op.token = arrived;
    p.s.add(p.agent, section, std::move(op));
  };
  add_handover(p, hand_over, w, splits, ir::When::always);
  p.s.add(p.agent, hand_over, signal(arrived, {p.t.o, p.t.m, p.t.l}));
  ProgramSketch merge = p.s;  // the same ops as in the combine kernel, each under the same condition
  add_init(merge, p.agent, hand_over, p.t);
  add_fetch_and_merge(merge, p.agent, combine, p.t, part, w, splits, log2_scale(shape.head_dim), ir::When::always);
  add_normalize(merge, p.agent, end, p.t);
  merge.add(p.agent, end, store("store", p.t.o, {.tensor = x.o, .row_from = RowFrom::item}));
  for (const int section : {hand_over, combine, end}) {
    const auto at = static_cast<std::size_t>(section);
    const auto& ops = merge.program().agents.front().sections[at];
    const std::size_t old = at < p.s.program().agents.front().sections.size() ? p.s.program().agents.front().sections[at].size() : 0;
    for (std::size_t i = old; i < ops.size(); ++i) last(section, ops[i]);
  }
  pipeline.add(ir::Kernel{"split", p.s.program(), {split_items(shape, tile_q, tile_kv, splits, splits)}, {}});
  return pipeline.build();
}

ir::Pipeline toy_stream_k(const ToyAttention& shape, int tile_q, int tile_kv, int ctas) {
  require(shape.q_len <= tile_q, "toy_stream_k: one query tile per slab");
  ir::PipelineBuilder pipeline("toy stream-k");
  const AttentionTensors x = attention_tensors(pipeline, shape);
  const std::int64_t kv_tiles = (shape.kv_len + tile_kv - 1) / tile_kv;
  const std::int64_t total = kv_tiles * shape.slabs;
  const auto bound = [&](std::int64_t cta) { return total * cta / ctas; };  // CTA c takes tiles bound(c) .. bound(c + 1) - 1

  ir::Kernel kernel;
  kernel.name = "stream-k";
  kernel.grid.policy = ir::GridPolicy::lists;
  kernel.grid.lists.resize(static_cast<std::size_t>(ctas));
  std::int64_t position = 0;
  int most = 1;
  for (int slab = 0; slab < shape.slabs; ++slab) {
    ir::ItemFamily family{slab, 1, shape.kv_len, 0, {}};
    for (int c = 0; c < ctas; ++c) {
      const std::int64_t from = std::max(bound(c), slab * kv_tiles) - slab * kv_tiles;
      const std::int64_t to = std::min(bound(c + 1), (slab + 1) * kv_tiles) - slab * kv_tiles;
      if (to <= from) continue;
      ir::RowTile piece;
      piece.rows = shape.q_len;
      piece.runs = {{from, to - from, 1, false}};
      piece.kept = piece.rows * (std::min<std::int64_t>(to * tile_kv, shape.kv_len) - from * tile_kv);
      piece.flag = from > 0;
      piece.split = static_cast<int>(family.tiles.size()) - 1;
      family.tiles.push_back(piece);
      kernel.grid.lists[static_cast<std::size_t>(c)].push_back(position++);
    }
    family.tiles.front().split = 0;
    family.tiles.front().peers = static_cast<int>(family.tiles.size()) - 1;
    most = std::max(most, family.tiles.front().peers);
    kernel.families.push_back(family);
  }
  const Workspace w = workspace(pipeline, shape, most);
  PieceProgram p = piece_program(shape, x, tile_q, tile_kv);
  const auto ready = p.s.kernel_token("ready");
  const PartTiles part = part_tiles(p.s, p.agent, p.rows, p.d);
  const int hand_over = p.s.once("hand over");
  const int wait = p.s.loop("wait", ir::TripSource::peers);
  const int fix_up = p.s.loop("fix up", ir::TripSource::peers);
  const int end = p.s.once("epilogue");
  add_handover(p, hand_over, w, most, ir::When::item_flag);
  p.s.add(p.agent, hand_over, signal(ready, {p.t.o, p.t.m, p.t.l}), {.when = ir::When::item_flag});
  p.s.add(p.agent, wait, await(ready));
  add_fetch_and_merge(p.s, p.agent, fix_up, p.t, part, w, most, log2_scale(shape.head_dim), ir::When::always);
  ProgramSketch& s = p.s;
  s.add(p.agent, end, scaled("normalize", Fn::maximum, p.t.part, p.t.l, 0.5), {.when = ir::When::not_item_flag});
  s.add(p.agent, end, unary("normalize", Fn::reciprocal, p.t.part, p.t.part), {.when = ir::When::not_item_flag});
  s.add(p.agent, end, binary("normalize", Fn::multiply, p.t.o, p.t.o, p.t.part), {.when = ir::When::not_item_flag});
  s.add(p.agent, end, store("store", p.t.o, {.tensor = x.o, .row_from = RowFrom::item}), {.when = ir::When::not_item_flag});
  kernel.program = p.s.program();
  pipeline.add(std::move(kernel));
  return pipeline.build();
}

}  // namespace attnsim::test
