// SPDX-License-Identifier: Apache-2.0
#include "tests/support/attention_program.h"

#include <string>

namespace attnsim::test {

namespace {

using ir::Fn;
using ir::OpKind;
using ir::When;

class Builder {
 public:
  Builder(const AttentionSpec& spec, const SpecTensors& tensors) : spec_(spec), tensors_(tensors) {
    d_ = axis({"d", ir::AxisKind::fixed, spec.head_dim_padded, spec.head_dim, 0});
    kv_ = axis({"kv", ir::AxisKind::trip_cols, spec.tile_kv, 1, 0});
    p_.sections = {{"start", ir::SectionKind::once, ir::TripSource::runs},
                   {"main", ir::SectionKind::loop, ir::TripSource::runs},
                   {"end", ir::SectionKind::once, ir::TripSource::runs}};
    const int stages = spec.specialised ? spec.stages : 1;
    k_ = tile({"k", ir::Space::smem, kv_, d_, ir::DType::bf16, stages, ir::kNone, ir::kNone});
    v_ = tile({"v", ir::Space::smem, kv_, d_, ir::DType::bf16, stages, ir::kNone, ir::kNone});
    k_full_ = token({"k_full", ir::TokenScope::cta, 1, 0});
    v_full_ = token({"v_full", ir::TokenScope::cta, 1, 0});
  }

  ir::Program run() {
    const int consumers = spec_.specialised ? spec_.consumers : 1;
    if (spec_.specialised) {
      agent("producer", 1, 40);
      k_empty_ = token({"k_empty", ir::TokenScope::cta, consumers, 0});
      v_empty_ = token({"v_empty", ir::TokenScope::cta, consumers, 0});
      q_empty_ = token({"q_empty", ir::TokenScope::cta, consumers, 0});
      add(0, 0, await(q_empty_, 1));
    }
    for (int c = 0; c < consumers; ++c) consumer(c, spec_.tile_q / consumers);
    if (spec_.specialised) {
      add(0, 1, await(k_empty_, spec_.stages));
      add(0, 1, load("load_k", k_, tensors_.k, ir::RowFrom::trip, k_full_));
      add(0, 1, await(v_empty_, spec_.stages));
      add(0, 1, load("load_v", v_, tensors_.v, ir::RowFrom::trip, v_full_));
    }
    return std::move(p_);
  }

 private:
  void consumer(int index, int rows) {
    const std::string suffix = std::to_string(index);
    const int c = agent("consumer" + suffix, 4, 240);
    const ir::AxisId m = axis({"rows" + suffix, ir::AxisKind::item_rows, rows, 1, index * rows});
    const ir::TileId q = tile({"q" + suffix, ir::Space::smem, m, d_, ir::DType::bf16, 1, ir::kNone, ir::kNone});
    const ir::TileId s = reg(c, "s", m, kv_, ir::DType::f32);
    const ir::TileId p = reg(c, "p", m, kv_, ir::DType::bf16);
    const ir::TileId keep = reg(c, "keep", m, kv_, ir::DType::pred);
    const ir::TileId o = reg(c, "o", m, d_, ir::DType::f32);
    const ir::TileId o16 = reg(c, "o16", m, d_, ir::DType::bf16);
    const ir::TileId max = reg(c, "max", m, ir::kUnit, ir::DType::f32);
    const ir::TileId old = reg(c, "old", m, ir::kUnit, ir::DType::f32);
    const ir::TileId sum = reg(c, "sum", m, ir::kUnit, ir::DType::f32);
    const ir::TileId part = reg(c, "part", m, ir::kUnit, ir::DType::f32);
    const ir::TokenId q_full = token({"q_full" + suffix, ir::TokenScope::cta, 1, 0});
    const int loader = spec_.specialised ? 0 : c;

    ir::Op load_q = load("load_q", q, tensors_.q, ir::RowFrom::item, q_full);
    load_q.access.row_offset = index * rows;
    add(loader, 0, load_q);
    add(c, 0, await(q_full, 0));
    add(c, 0, op(OpKind::unary, "init", Fn::zero, o, {}));
    add(c, 0, op(OpKind::unary, "init", Fn::zero, sum, {}));
    add(c, 0, op(OpKind::unary, "init", Fn::zero, max, {}));

    if (!spec_.specialised) {
      add(c, 1, load("load_k", k_, tensors_.k, ir::RowFrom::trip, k_full_));
      add(c, 1, load("load_v", v_, tensors_.v, ir::RowFrom::trip, v_full_));
    }
    const int lag = spec_.specialised && spec_.overlap ? 1 : 0;
    add(c, 1, await(k_full_, 0));
    add(c, 1, mma("qk", s, q, k_, true));
    if (lag == 1) add_pv(c, o, p, lag);
    for (ir::Op mask : {op(OpKind::compare, "mask", Fn::none, keep, {}), op(OpKind::select, "mask", Fn::none, s, {s, keep})}) {
      if (!spec_.mask_all_tiles) mask.when = When::partial_trip;
      if (mask.kind == OpKind::compare) mask.relation = {1, 1, -1, spec_.upper};
      if (mask.kind == OpKind::select) mask.scalar = -1e30;
      add(c, 1, mask);
    }
    if (spec_.specialised) add(c, 1, signal(k_empty_, {s}));
    add(c, 1, op(OpKind::unary, "softmax", Fn::copy, old, {max}));
    add(c, 1, op(OpKind::reduce_row, "softmax", Fn::maximum, part, {s}));
    add(c, 1, op(OpKind::binary, "softmax", Fn::maximum, max, {max, part}));
    add(c, 1, op(OpKind::binary, "softmax", Fn::subtract, s, {s, max}));
    add(c, 1, op(OpKind::unary, "softmax", Fn::exp2, s, {s}));
    add(c, 1, op(OpKind::binary, "softmax", Fn::subtract, old, {old, max}));
    add(c, 1, op(OpKind::unary, "softmax", Fn::exp2, old, {old}));
    add(c, 1, op(OpKind::reduce_row, "softmax", Fn::add, part, {s}));
    add(c, 1, op(OpKind::binary, "softmax", Fn::multiply, sum, {sum, old}));
    add(c, 1, op(OpKind::binary, "softmax", Fn::add, sum, {sum, part}));
    add(c, 1, op(OpKind::convert, "softmax", Fn::none, p, {s}));
    if (lag == 1) add_release(c, o, lag);
    ir::Op rescale = op(OpKind::binary, "rescale", Fn::multiply, o, {o, old});
    rescale.when = When::not_first_trip;
    add(c, 1, rescale);
    if (lag == 0) {
      add_pv(c, o, p, lag);
      if (spec_.specialised) add_release(c, o, lag);
    }

    if (spec_.specialised) add(c, 2, signal(q_empty_, {}));
    add(c, 2, op(OpKind::unary, "normalise", Fn::reciprocal, sum, {sum}));
    add(c, 2, op(OpKind::binary, "normalise", Fn::multiply, o, {o, sum}));
    const bool partial = spec_.splits > 1;
    if (!partial) add(c, 2, op(OpKind::convert, "normalise", Fn::none, o16, {o}));
    ir::Op out = op(OpKind::store, "store", Fn::none, ir::kNone, {partial ? o : o16});
    out.out.clear();
    out.access.tensor = partial ? tensors_.partial : tensors_.o;
    out.access.row_from = ir::RowFrom::item;
    out.access.row_offset = index * rows;
    if (partial) {
      out.access.slab_multiplier = spec_.splits;
      out.access.add_split = true;
    }
    add(c, 2, out);
  }

  void add_pv(int c, ir::TileId o, ir::TileId p, int skew) {
    ir::Op wait = await(v_full_, 0);
    ir::Op pv = mma("pv", o, p, v_, false);
    pv.accumulate = true;
    wait.skew = skew;
    pv.skew = skew;
    add(c, 1, wait);
    add(c, 1, pv);
  }

  // V's slot is free when the product that reads it is complete.
  void add_release(int c, ir::TileId o, int skew) {
    ir::Op release = signal(v_empty_, {o});
    release.skew = skew;
    add(c, 1, release);
  }

  ir::AxisId axis(ir::Axis a) {
    p_.axes.push_back(std::move(a));
    return static_cast<int>(p_.axes.size()) - 1;
  }
  ir::TileId tile(ir::Tile t) {
    p_.tiles.push_back(std::move(t));
    return static_cast<int>(p_.tiles.size()) - 1;
  }
  ir::TileId reg(int agent, const std::string& name, ir::AxisId rows, ir::AxisId cols, ir::DType dtype) {
    return tile({name + std::to_string(agent), ir::Space::registers, rows, cols, dtype, 1, ir::kNone, agent});
  }
  ir::TokenId token(ir::Token t) {
    p_.tokens.push_back(std::move(t));
    return static_cast<int>(p_.tokens.size()) - 1;
  }
  int agent(const std::string& name, int warps, int registers) {
    p_.agents.push_back({name, warps, registers, std::vector<std::vector<ir::Op>>(p_.sections.size())});
    return static_cast<int>(p_.agents.size()) - 1;
  }
  void add(int agent, std::size_t section, ir::Op o) {
    p_.agents[static_cast<std::size_t>(agent)].sections[section].push_back(std::move(o));
  }

  static ir::Op op(OpKind kind, const std::string& role, Fn fn, ir::TileId out, std::vector<ir::TileId> in) {
    ir::Op o;
    o.kind = kind;
    o.role = role;
    o.fn = fn;
    o.in = std::move(in);
    o.out = {out};
    return o;
  }
  static ir::Op await(ir::TokenId t, int distance) {
    ir::Op o = op(OpKind::await, "", Fn::none, 0, {});
    o.out.clear();
    o.token = t;
    o.distance = distance;
    return o;
  }
  static ir::Op signal(ir::TokenId t, std::vector<ir::TileId> after) {
    ir::Op o = await(t, 0);
    o.kind = OpKind::signal;
    o.in = std::move(after);
    return o;
  }
  ir::Op mma(const std::string& role, ir::TileId out, ir::TileId a, ir::TileId b, bool b_transposed) const {
    ir::Op o = op(OpKind::mma, role, Fn::none, out, {a, b});
    o.b_transposed = b_transposed;
    if (!spec_.specialised) return o;
    o.mma = b_transposed ? ir::MmaKind::wgmma_ss : ir::MmaKind::wgmma_rs;
    return o;
  }
  ir::Op load(const std::string& role, ir::TileId out, ir::TensorId from, ir::RowFrom rows, ir::TokenId done) const {
    ir::Op o = op(OpKind::load, role, Fn::none, out, {});
    o.copy = spec_.specialised ? ir::CopyKind::tma : ir::CopyKind::cp_async;
    o.access.tensor = from;
    o.access.row_from = rows;
    if (from != tensors_.q) o.access.slab_divisor = static_cast<int>(spec_.group);
    o.completes = {done};
    return o;
  }

  const AttentionSpec& spec_;
  const SpecTensors& tensors_;
  ir::Program p_;
  ir::AxisId d_ = 0;
  ir::AxisId kv_ = 0;
  ir::TileId k_ = 0;
  ir::TileId v_ = 0;
  ir::TokenId k_full_ = 0;
  ir::TokenId v_full_ = 0;
  ir::TokenId k_empty_ = 0;
  ir::TokenId v_empty_ = 0;
  ir::TokenId q_empty_ = 0;
};

}  // namespace

ir::Program attention_program(const AttentionSpec& spec, const SpecTensors& tensors) {
  return Builder(spec, tensors).run();
}

}  // namespace attnsim::test
