// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/tile_list_eager.h"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>

#include "workloads/families/rowwise.h"
#include "workloads/families/tile_list_backward.h"
#include "workloads/families/tile_list_fused.h"
#include "workloads/families/tile_list_unfused.h"
#include "workloads/families/transposed.h"

namespace attnsim {

using ir::CopyKind;
using ir::DType;
using ir::Fn;

namespace {

// PyTorch's element-wise kernels: 128 threads, four elements each (aten/src/ATen/native/cuda/CUDALoops.cuh). On matrices of scores four of
// their CTAs are one here.
constexpr int kElementsPerThread = 4;
constexpr int kElements = 512;
constexpr int kBlockRows = 16;
constexpr int kElementRegisters = 32;
constexpr int kLanes = 32;

int warps_for(int elements) {
  return std::clamp(elements / (kElementsPerThread * kLanes), 1, 32);
}

// The memory of the blocks, a row of all keys at a time.
ir::TensorId as_rows(ir::PipelineBuilder& builder, const TileListPlan& plan, const std::string& name, ir::TensorId blocks) {
  return builder.tensor(
      {name, plan.slabs, plan.rows, kv_tile_count(plan) * plan.rule.tile_kv, plan.dtype, ir::TensorRole::intermediate, 0, blocks});
}

ir::TensorId blocks(ir::PipelineBuilder& builder, const TileListPlan& plan, const std::string& name,
                    ir::TensorRole role = ir::TensorRole::intermediate) {
  return builder.tensor({name, plan.slabs * kv_tile_count(plan), plan.rows, plan.rule.tile_kv, plan.dtype, role});
}

// Rows of [tokens x columns], each element times `factor`.
ir::Kernel row_copy(const TileListPlan& plan, const std::string& name, RowsOf which, ir::TensorId from, ir::TensorId to, int columns,
                    double factor = 1) {
  const int tile_rows = std::max(1, kElements / columns);
  ProgramBuilder b;
  const int section = b.section("copy", ir::SectionKind::once);
  const int agent = b.agent("copy", warps_for(tile_rows * columns), kElementRegisters);
  const ir::AxisId rows = b.rows("rows", tile_rows);
  const ir::AxisId cols = b.fixed("columns", columns, columns);
  const ir::TileId in = b.registers("in", rows, cols, plan.dtype, agent);
  ir::TileId out = in;
  ops::append(b.ops(agent, section), ops::with_role({ops::load(in, rows_access(from, 0), CopyKind::plain)}, "load"));
  if (factor != 1) {
    const ir::TileId wide = b.registers("wide", rows, cols, DType::f32, agent);
    out = b.registers("out", rows, cols, plan.dtype, agent);
    ops::append(b.ops(agent, section),
                ops::with_role({ops::convert(in, wide), ops::binary(Fn::multiply, wide, factor, wide), ops::convert(wide, out)}, "scale"));
  }
  ops::append(b.ops(agent, section), ops::with_role({ops::store(out, rows_access(to, 0), CopyKind::plain)}, "store"));
  ir::Kernel kernel;
  kernel.name = name;
  kernel.program = b.take();
  kernel.families = row_items(plan, which, tile_rows);
  return kernel;
}

// An item per block of kBlockRows rows and a KV tile: one trip.
std::vector<ir::ItemFamily> block_items(TileListPlan plan, const Schedule& schedule) {
  plan.rule.tile_q = kBlockRows;
  std::vector<ir::ItemFamily> families = item_families(plan, schedule);
  for (ir::ItemFamily& family : families) {
    std::vector<ir::RowTile> tiles;
    for (const ir::RowTile& tile : family.tiles) {
      for (const ir::TripRun& run : tile.runs) {
        for (std::int64_t i = 0; i < run.count; ++i) {
          ir::RowTile one;
          one.row_begin = tile.row_begin;
          one.rows = tile.rows;
          one.runs = {{run.first + i * run.step, 1, 1, run.partial}};
          one.kept = one.rows * plan.rule.tile_kv;
          tiles.push_back(std::move(one));
        }
      }
    }
    family.tiles = std::move(tiles);
  }
  return families;
}

struct BlockProgram {
  ProgramBuilder b;
  int before = 0;
  int section = 0;
  int agent = 0;
  ir::AxisId rows = ir::kUnit;
  ir::AxisId kv = ir::kUnit;

  explicit BlockProgram(const TileListPlan& plan)
      : before(b.section("before", ir::SectionKind::once)),
        section(b.section("block", ir::SectionKind::loop)),
        agent(b.agent("elements", warps_for(kBlockRows * plan.rule.tile_kv), kElementRegisters)),
        rows(b.rows("rows", kBlockRows)),
        kv(b.trip_columns("kv", plan.rule.tile_kv)) {}
  void start(const ops::Ops& list) { ops::append(b.ops(agent, before), list); }
  void add(const ops::Ops& list, const std::string& role) { ops::append(b.ops(agent, section), ops::with_role(list, role)); }
  ir::TileId tile(const char* name, DType dtype) { return b.registers(name, rows, kv, dtype, agent); }
  ir::Kernel finish(const std::string& name, const TileListPlan& plan, const Schedule& schedule) {
    ir::Kernel kernel;
    kernel.name = name;
    kernel.program = b.take();
    kernel.families = block_items(plan, schedule);
    return kernel;
  }
};

// Score modifiers and the mask.
ir::Kernel modify_kernel(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors, ir::TensorId to,
                         double factor) {
  BlockProgram p(plan);
  const ir::TileId in = p.tile("s_in", plan.dtype);
  const ir::TileId s = p.tile("s", DType::f32);
  const ir::TileId out = p.tile("s_out", plan.dtype);
  const std::vector<ir::TileId> mask = mask_tiles(p.b, plan, p.rows, p.kv, p.agent);
  const ScoreTiles score = score_tiles(p.b, plan, p.rows, p.kv, p.agent);
  p.start(mask_start(plan, tensors, mask));
  p.start(score_start(plan, tensors, score));
  p.add({ops::load(in, block(plan, tensors.scores), CopyKind::plain), ops::convert(in, s)}, "load_s");
  ops::append(p.b.ops(p.agent, p.section), score_ops(plan, tensors, score, s));
  if (factor != 1) p.add({ops::binary(Fn::multiply, s, factor, s)}, "modify");
  ops::append(p.b.ops(p.agent, p.section), ops::with_role(mask_ops(plan, tensors, mask, s), "mask"));
  p.add({ops::convert(s, out), ops::store(out, block(plan, to), CopyKind::plain)}, "store");
  return p.finish("modify", plan, schedule);
}

ir::Kernel multiply_kernel(const TileListPlan& plan, const Schedule& schedule, ir::TensorId x, ir::TensorId y, ir::TensorId to) {
  BlockProgram p(plan);
  const ir::TileId x_in = p.tile("x", plan.dtype);
  const ir::TileId y_in = p.tile("y", plan.dtype);
  const ir::TileId product = p.tile("product", DType::f32);
  const ir::TileId factor = p.tile("factor", DType::f32);
  const ir::TileId out = p.tile("out", plan.dtype);
  p.add({ops::load(x_in, block(plan, x), CopyKind::plain), ops::load(y_in, block(plan, y), CopyKind::plain)}, "load");
  p.add({ops::convert(x_in, product), ops::convert(y_in, factor), ops::binary(Fn::multiply, product, factor, product)}, "ds");
  p.add({ops::convert(product, out), ops::store(out, block(plan, to), CopyKind::plain)}, "store");
  return p.finish("multiply", plan, schedule);
}

// A kernel that keeps whole rows of scores.
struct RowProgram {
  ProgramBuilder b;
  int section = 0;
  int agent = 0;
  int rows_at_once = 1;
  ir::AxisId rows = ir::kUnit;
  ir::AxisId kv = ir::kUnit;

  RowProgram(const TileListPlan& plan, const RowRule& rule)
      : section(b.section("rows", ir::SectionKind::once)),
        agent(b.agent("rows", rule.warps, rule.registers_per_thread)),
        rows_at_once(rule.rows),
        rows(b.rows("rows", rule.rows)),
        kv(b.fixed("kv", static_cast<int>(kv_tile_count(plan)) * plan.rule.tile_kv, static_cast<int>(plan.kv_len))) {}
  void add(const ops::Ops& list, const std::string& role) { ops::append(b.ops(agent, section), ops::with_role(list, role)); }
  ir::TileId tile(const char* name, DType dtype) { return b.registers(name, rows, kv, dtype, agent); }
  ir::TileId vector(const char* name) { return b.registers(name, rows, ir::kUnit, DType::f32, agent); }
  ir::Kernel finish(const std::string& name, const TileListPlan& plan) {
    ir::Kernel kernel;
    kernel.name = name;
    kernel.program = b.take();
    kernel.families = row_items(plan, RowsOf::queries, rows_at_once);
    return kernel;
  }
};

ir::Kernel softmax_kernel(const TileListPlan& plan, const RowRule& rule, ir::TensorId from, ir::TensorId to) {
  RowProgram p(plan, rule);
  const ir::TileId in = p.tile("s_in", plan.dtype);
  const ir::TileId s = p.tile("s", DType::f32);
  const ir::TileId out = p.tile("p", plan.dtype);
  const ir::TileId m = p.vector("m");
  const ir::TileId l = p.vector("l");
  p.add({ops::load(in, rows_access(from, 0), CopyKind::plain), ops::convert(in, s)}, "load_s");
  p.add({ops::reduce_row(Fn::maximum, s, m), ops::unary(Fn::finite_or_zero, m, m), ops::binary(Fn::subtract, s, m, s),
         ops::binary(Fn::multiply, s, std::numbers::log2e, s), ops::unary(Fn::exp2, s, s), ops::reduce_row(Fn::add, s, l)},
        "softmax");
  p.add({ops::unary(Fn::reciprocal, l, l), ops::unary(Fn::finite_or_zero, l, l), ops::binary(Fn::multiply, s, l, s)}, "normalize");
  p.add({ops::convert(s, out), ops::store(out, rows_access(to, 0), CopyKind::plain)}, "store");
  return p.finish("softmax", plan);
}

// From P dP and P.
ir::Kernel softmax_backward_kernel(const TileListPlan& plan, const RowRule& rule, ir::TensorId products, ir::TensorId weights,
                                   ir::TensorId to) {
  RowProgram p(plan, rule);
  const ir::TileId product_in = p.tile("product_in", plan.dtype);
  const ir::TileId weight_in = p.tile("p_in", plan.dtype);
  const ir::TileId product = p.tile("product", DType::f32);
  const ir::TileId weight = p.tile("p", DType::f32);
  const ir::TileId out = p.tile("ds", plan.dtype);
  const ir::TileId sum = p.vector("sum");
  p.add({ops::load(product_in, rows_access(products, 0), CopyKind::plain), ops::load(weight_in, rows_access(weights, 0), CopyKind::plain)},
        "load");
  p.add({ops::convert(product_in, product), ops::convert(weight_in, weight), ops::reduce_row(Fn::add, product, sum),
         ops::binary(Fn::multiply, weight, sum, weight), ops::binary(Fn::subtract, product, weight, product)},
        "ds");
  p.add({ops::convert(product, out), ops::store(out, rows_access(to, 0), CopyKind::plain)}, "store");
  return p.finish("softmax_backward", plan);
}

// A KV tile an item, which visits every row tile.
ir::Kernel by_rows_kernel(const std::string& name, const TileListPlan& plan, const Schedule& schedule, const ScoreProduct& product) {
  ir::Kernel kernel;
  kernel.name = name;
  kernel.program = scores_by_rows(plan, schedule, product);
  for (const BatchGroup& group : plan.groups) {
    ir::ItemFamily family;
    family.slab_begin = group.slab_begin;
    family.slab_count = group.slab_count;
    family.loop_extent = group.set.q_len();
    const std::int64_t trips = (group.set.q_len() + plan.rule.tile_q - 1) / plan.rule.tile_q;
    family.tiles = kv_row_tiles(group.set, {.tile_q = plan.rule.tile_q, .tile_kv = plan.rule.tile_kv});
    for (std::size_t t = 0; t < family.tiles.size(); ++t) {
      family.tiles[t].runs = {{0, trips, 1, false}};
      family.tiles[t].split = static_cast<int>(t);
    }
    kernel.families.push_back(std::move(family));
  }
  return kernel;
}

RowRule row_rule(const TileListPlan& plan, const Schedule& schedule, const Chip& chip) {
  if (plan.ragged)
    illegal("/shape/kv_len", "lengths by batch entry", fmt::format("do not fit the matrices of {}", schedule.name), "one length for all");
  return plan_rows(plan.kv_len, schedule, chip).rule;
}

}  // namespace

void add_eager_forward(ir::PipelineBuilder& builder, const TileListPlan& plan, const Schedule& schedule, const Chip& chip,
                       const TileListTensors& given) {
  const RowRule rule = row_rule(plan, schedule, chip);
  TileListTensors t = given;
  constexpr ir::TensorRole kBetween = ir::TensorRole::intermediate;
  t.q = builder.tensor({"q_heads", plan.slabs, plan.rows, plan.head_dim_qk, plan.dtype, kBetween});
  t.k = builder.tensor({"k_heads", plan.kv_slabs, plan.kv_len, plan.head_dim_qk, plan.dtype, kBetween});
  t.v = builder.tensor({"v_heads", plan.kv_slabs, plan.kv_len, plan.head_dim_v, plan.dtype, kBetween});
  builder.add(row_copy(plan, "copy_q", RowsOf::queries, given.q, t.q, plan.head_dim_qk));
  builder.add(row_copy(plan, "copy_k", RowsOf::keys, given.k, t.k, plan.head_dim_qk));
  builder.add(row_copy(plan, "copy_v", RowsOf::keys, given.v, t.v, plan.head_dim_v));
  const bool plain = plan.score.score.plain();
  const RowProduct scores{t.q, t.k, t.scores, plan.padded_qk, plan.head_dim_qk, plain ? plan.score.factor : 1, "qk"};
  builder.add(unfused_kernel("scores", rows_by_keys(plan, schedule, scores), plan, schedule, plan.rule.tile_q));
  ir::TensorId modified = t.scores;
  if (!plain || plan.cuts.mask()) {
    modified = blocks(builder, plan, "modified");
    builder.add(modify_kernel(plan, schedule, t, modified, plain ? 1 : plan.score.factor));
  }
  builder.add(softmax_kernel(plan, rule, as_rows(builder, plan, "score_rows", modified), as_rows(builder, plan, "weight_rows", t.weights)));
  const ScoreProduct output{t.weights, t.v, t.o, plan.padded_v, plan.head_dim_v, "pv"};
  builder.add(unfused_kernel("output", scores_by_values(plan, schedule, output), plan, schedule, plan.rule.tile_q));
}

ir::Pipeline lower_eager_backward(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                  const std::vector<ExtraKernel>& extras) {
  if (!problem.score.plain())
    illegal("/score", "modified scores", fmt::format("have no kernels in the backward pass of {}", schedule.name), "plain scores");
  const TileListPlan plan = choose_tiles(plan_problem(variant, problem, schedule, chip), problem, schedule, chip);
  check_memory(plan, schedule, chip);
  const RowRule rule = row_rule(plan, schedule, chip);
  const double scale = softmax_scale(plan);
  ir::PipelineBuilder builder(fmt::format("{} backward {}", variant.name, schedule.name));
  constexpr ir::TensorRole kInput = ir::TensorRole::input;
  constexpr ir::TensorRole kBetween = ir::TensorRole::intermediate;
  const auto queries = [&](const std::string& name, int columns, ir::TensorRole role, ir::TensorId same = ir::kNone) {
    return builder.tensor({name, plan.slabs, plan.rows, columns, plan.dtype, role, 0, same});
  };
  const auto keys = [&](const std::string& name, int columns, ir::TensorRole role, ir::TensorId same = ir::kNone) {
    return builder.tensor({name, plan.kv_slabs, plan.kv_len, columns, plan.dtype, role, 0, same});
  };
  const ir::TensorId q = queries("q", plan.head_dim_qk, kInput);
  const ir::TensorId k = keys("k", plan.head_dim_qk, kInput);
  const ir::TensorId v = keys("v", plan.head_dim_v, kInput);
  const ir::TensorId grad_o = queries("do", plan.head_dim_v, kInput);
  const ir::TensorId weights = blocks(builder, plan, "weights", kInput);
  const ir::TensorId grad_weights = blocks(builder, plan, "grad_weights");
  const ir::TensorId products = blocks(builder, plan, "products");
  const ir::TensorId grad_scores = blocks(builder, plan, "grad_scores");

  // Of a group's query heads one part each, which a kernel adds up.
  const auto by_key = [&](const std::string& letter, const std::string& role, ir::TensorId scores, ir::TensorId values, int padded,
                          int columns) {
    const bool parts = plan.kv_divisor > 1;
    const ir::TensorId product = parts ? builder.tensor({"d" + letter + "_part", plan.slabs, plan.kv_len, columns, plan.dtype, kBetween})
                                       : keys("d" + letter + "_product", columns, kBetween);
    builder.add(by_rows_kernel("grad_" + letter, plan, schedule, {scores, values, product, padded, columns, role}));
    if (!parts) return product;
    const ir::TensorId sum = keys("d" + letter + "_sum", columns, kBetween);
    builder.add(sum_heads_kernel(plan, schedule, "sum_d" + letter, product, sum, columns));
    return sum;
  };
  const ir::TensorId grad_v = by_key("v", "dv", weights, grad_o, plan.padded_v, plan.head_dim_v);
  const RowProduct dp{grad_o, v, grad_weights, plan.padded_v, plan.head_dim_v, 1, "dov"};
  builder.add(unfused_kernel("grad_weights", rows_by_keys(plan, schedule, dp), plan, schedule, plan.rule.tile_q));
  builder.add(multiply_kernel(plan, schedule, grad_weights, weights, products));
  builder.add(softmax_backward_kernel(plan, rule, as_rows(builder, plan, "product_rows", products),
                                      as_rows(builder, plan, "weight_rows", weights),
                                      as_rows(builder, plan, "grad_score_rows", grad_scores)));
  const ir::TensorId dq_product = queries("dq_product", plan.head_dim_qk, kBetween);
  const ScoreProduct dq{grad_scores, k, dq_product, plan.padded_qk, plan.head_dim_qk, "dq"};
  builder.add(unfused_kernel("grad_q", scores_by_values(plan, schedule, dq), plan, schedule, plan.rule.tile_q));
  const ir::TensorId dk_product = by_key("k", "dk", grad_scores, q, plan.padded_qk, plan.head_dim_qk);
  const ir::TensorId scaled_q = queries("dq_scaled", plan.head_dim_qk, kBetween);
  const ir::TensorId scaled_k = keys("dk_scaled", plan.head_dim_qk, kBetween);
  builder.add(row_copy(plan, "scale_dq", RowsOf::queries, dq_product, scaled_q, plan.head_dim_qk, scale));
  builder.add(row_copy(plan, "scale_dk", RowsOf::keys, dk_product, scaled_k, plan.head_dim_qk, scale));

  const bool adds = std::find(extras.begin(), extras.end(), ExtraKernel::add_gradients) != extras.end();
  const ir::TensorRole gradient = adds ? kBetween : ir::TensorRole::output;
  const auto finish = [&](const std::string& name, RowsOf which, ir::TensorId from, int columns) {
    const bool of_queries = which == RowsOf::queries;
    const auto make = [&](const std::string& full, ir::TensorRole role, ir::TensorId same = ir::kNone) {
      return of_queries ? queries(full, columns, role, same) : keys(full, columns, role, same);
    };
    const ir::TensorId to = make(name, gradient);
    builder.add(row_copy(plan, "copy_" + name, which, from, to, columns));
    if (!adds) return;
    HeldGradient held{make("held_" + name, kInput), ir::kNone};
    held.after = make("total_" + name, ir::TensorRole::output, held.before);
    builder.add(add_gradient_kernel(plan, "add_" + name, which, to, held, columns));
  };
  finish("dq", RowsOf::queries, scaled_q, plan.head_dim_qk);
  finish("dk", RowsOf::keys, scaled_k, plan.head_dim_qk);
  finish("dv", RowsOf::keys, grad_v, plan.head_dim_v);
  return builder.build();
}

}  // namespace attnsim
