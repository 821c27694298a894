// SPDX-License-Identifier: Apache-2.0
#include "tests/support/attention_parts.h"

namespace attnsim::test {

using ir::CopyKind;
using ir::MmaKind;
using ir::RowFrom;

namespace {

int padded_head_dim(int head_dim) {
  return (head_dim + 15) / 16 * 16;
}

}  // namespace

ir::Pipeline toy_fa2(const ToyAttention& shape, int tile_q, int tile_kv) {
  ir::PipelineBuilder pipeline("toy fa2");
  const AttentionTensors x = attention_tensors(pipeline, shape);
  ProgramSketch s;
  const auto rows = s.rows("q", tile_q);
  const auto kv = s.trip("kv", tile_kv);
  const auto d = s.fixed("d", padded_head_dim(shape.head_dim), shape.head_dim);
  const int warps = s.agent("warps", 4, 255);
  const auto q = s.smem("q", rows, d);
  const auto k = s.smem("k", kv, d);
  const auto v = s.smem("v", kv, d);
  const SoftmaxTiles t = softmax_tiles(s, warps, "", rows, kv, d);
  const auto q_full = s.token("q_full");
  const auto k_full = s.token("k_full");
  const auto v_full = s.token("v_full");
  const int begin = s.once("prologue");
  const int main = s.loop("main");
  const int end = s.once("epilogue");
  const ir::Relation causal = causal_relation(shape);

  s.add(warps, begin, load("load_q", q, {.tensor = x.q, .row_from = RowFrom::item}, CopyKind::cp_async, {q_full}));
  add_init(s, warps, begin, t);
  s.add(warps, begin, await(q_full));
  s.add(warps, main, load("load_v", v, {.tensor = x.v, .row_from = RowFrom::trip}, CopyKind::cp_async, {v_full}), {.skew = 1});
  s.add(warps, main, await(k_full), {.skew = 1});
  s.add(warps, main, mma_bt("qk", MmaKind::mma_sync, t.s, q, k), {.skew = 1});
  s.add(warps, main, load("load_k", k, {.tensor = x.k, .row_from = RowFrom::trip}, CopyKind::cp_async, {k_full}));
  add_softmax(s, warps, main, t, log2_scale(shape.head_dim), shape.causal ? &causal : nullptr, 1);
  s.add(warps, main, await(v_full), {.skew = 1});
  s.add(warps, main, accumulate(mma("pv", MmaKind::mma_sync, t.o, t.p, v)), {.skew = 1});
  add_normalize(s, warps, end, t);
  s.add(warps, end, store("store", t.o, {.tensor = x.o, .row_from = RowFrom::item}));

  ir::Kernel kernel{"fa2", s.program(), {attention_items(shape, tile_q, tile_kv, false)}, {}};
  if (shape.causal) kernel.grid.tile_order = ir::TileOrder::descending;
  pipeline.add(std::move(kernel));
  return pipeline.build();
}

ir::Pipeline toy_fa3(const ToyAttention& shape, int tile_q, int tile_kv, int stages) {
  ir::PipelineBuilder pipeline("toy fa3");
  const AttentionTensors x = attention_tensors(pipeline, shape);
  ProgramSketch s;
  const int half = tile_q / 2;
  const ir::AxisId rows[2] = {s.rows("q0", half), s.rows("q1", half, half)};
  const auto kv = s.trip("kv", tile_kv);
  const auto d = s.fixed("d", padded_head_dim(shape.head_dim), shape.head_dim);
  const int producer = s.agent("producer", 4, 24);
  const int consumer[2] = {s.agent("consumer0", 4, 240), s.agent("consumer1", 4, 240)};
  const ir::TileId q[2] = {s.smem("q0", rows[0], d), s.smem("q1", rows[1], d)};
  const auto k = s.smem("k", kv, d, stages);
  const auto v = s.smem("v", kv, d, stages);
  const SoftmaxTiles t[2] = {softmax_tiles(s, consumer[0], "0", rows[0], kv, d), softmax_tiles(s, consumer[1], "1", rows[1], kv, d)};
  const auto q_full = s.token("q_full", 2);
  const auto q_empty = s.token("q_empty", 2);
  const auto k_full = s.token("k_full");
  const auto k_empty = s.token("k_empty", 2);
  const auto v_full = s.token("v_full");
  const auto v_empty = s.token("v_empty", 2);
  const ir::TokenId turn[2] = {s.token("turn0", 1, 1), s.token("turn1")};
  const int begin = s.once("prologue");
  const int main = s.loop("main");
  const int end = s.once("epilogue");
  const ir::Relation causal = causal_relation(shape);

  s.add(producer, begin, await(q_empty, 1));
  for (int w = 0; w < 2; ++w) {
    s.add(producer, begin,
          load("load_q", q[w], {.tensor = x.q, .row_from = RowFrom::item, .row_offset = w * half}, CopyKind::tma, {q_full}));
  }
  s.add(producer, main, await(k_empty, stages));
  s.add(producer, main, load("load_k", k, {.tensor = x.k, .row_from = RowFrom::trip}, CopyKind::tma, {k_full}));
  s.add(producer, main, await(v_empty, stages));
  s.add(producer, main, load("load_v", v, {.tensor = x.v, .row_from = RowFrom::trip}, CopyKind::tma, {v_full}));
  for (int w = 0; w < 2; ++w) {
    const int c = consumer[w];
    add_init(s, c, begin, t[w]);
    s.add(c, begin, await(q_full));
    s.add(c, main, await(k_full));
    s.add(c, main, await(turn[w]));
    s.add(c, main, mma_bt("qk", MmaKind::wgmma_ss, t[w].s, q[w], k, {k_empty}));
    s.add(c, main, await(v_full), {.skew = 1});
    s.add(c, main, accumulate(mma("pv", MmaKind::wgmma_rs, t[w].o, t[w].p, v, {v_empty})), {.skew = 1});
    s.add(c, main, signal(turn[1 - w]));
    add_softmax(s, c, main, t[w], log2_scale(shape.head_dim), shape.causal ? &causal : nullptr, 0);
    s.add(c, end, signal(q_empty, {t[w].s}));
    add_normalize(s, c, end, t[w]);
    s.add(c, end, store("store", t[w].o, {.tensor = x.o, .row_from = RowFrom::item, .row_offset = w * half}));
  }
  ir::Kernel kernel{"fa3", s.program(), {attention_items(shape, tile_q, tile_kv, true)}, {}};
  kernel.grid.policy = shape.causal ? ir::GridPolicy::persistent_dynamic : ir::GridPolicy::persistent_static;
  if (shape.causal) kernel.grid.tile_order = ir::TileOrder::descending;
  pipeline.add(std::move(kernel));
  return pipeline.build();
}

ir::Pipeline toy_linear(int slabs, int length, int head_dim_qk, int head_dim_v, int chunk) {
  ir::PipelineBuilder pipeline("toy linear attention");
  const auto tensor = [&](const char* name, int cols, ir::TensorRole role) {
    return pipeline.tensor({name, slabs, length, cols, ir::DType::bf16, role});
  };
  const auto gq = tensor("Q", head_dim_qk, ir::TensorRole::input);
  const auto gk = tensor("K", head_dim_qk, ir::TensorRole::input);
  const auto gv = tensor("V", head_dim_v, ir::TensorRole::input);
  const auto go = tensor("O", head_dim_v, ir::TensorRole::output);
  ProgramSketch s;
  const auto c = s.trip("chunk", chunk);
  const auto d = s.fixed("d", padded_head_dim(head_dim_qk), head_dim_qk);
  const auto dv = s.fixed("dv", padded_head_dim(head_dim_v), head_dim_v);
  const int warps = s.agent("warps", 4, 255);
  const auto q = s.smem("q", c, d, 2);
  const auto k = s.smem("k", c, d, 2);
  const auto v = s.smem("v", c, dv, 2);
  const auto sc = s.reg(warps, "s", c, c);
  const auto keep = s.reg(warps, "keep", c, c, ir::DType::pred);
  const auto p = s.reg(warps, "p", c, c, ir::DType::bf16);
  const auto state = s.reg(warps, "state", d, dv);
  const auto state_b = s.reg(warps, "state_b", d, dv, ir::DType::bf16);
  const auto o = s.reg(warps, "o", c, dv);
  const auto full = s.token("full", 3);
  const int begin = s.once("prologue");
  const int main = s.loop("main");
  s.add(warps, begin, zero("init", state));
  s.add(warps, main, load("load_q", q, {.tensor = gq, .row_from = RowFrom::trip}, CopyKind::cp_async, {full}));
  s.add(warps, main, load("load_k", k, {.tensor = gk, .row_from = RowFrom::trip}, CopyKind::cp_async, {full}));
  s.add(warps, main, load("load_v", v, {.tensor = gv, .row_from = RowFrom::trip}, CopyKind::cp_async, {full}));
  const auto add = [&](ir::Op op) { s.add(warps, main, std::move(op), {.skew = 1}); };
  add(await(full));
  add(convert("convert_h", state_b, state));
  add(mma("inter", MmaKind::mma_sync, o, q, state_b));
  add(mma_bt("intra_qk", MmaKind::mma_sync, sc, q, k));
  add(compare("mask", keep, {1, 1, -1, 0}));
  add(select("mask", sc, sc, keep, 0.0));
  add(convert("convert_p", p, sc));
  add(accumulate(mma("intra_pv", MmaKind::mma_sync, o, p, v)));
  ir::Op update = accumulate(mma("state", MmaKind::mma_sync, state, k, v));
  update.a_transposed = true;
  add(update);
  add(store("store", o, {.tensor = go, .row_from = RowFrom::trip}));

  ir::RowTile tile;
  tile.rows = length;
  tile.runs = {{0, (length + chunk - 1) / chunk, 1, true}};
  tile.kept = static_cast<std::int64_t>(length) * (length + 1) / 2;
  pipeline.add(ir::Kernel{"linear", s.program(), {ir::ItemFamily{0, slabs, length, 0, {tile}}}, {}});
  return pipeline.build();
}

}  // namespace attnsim::test
