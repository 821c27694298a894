// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/tile_list_eager.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

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

// PyTorch's element-wise kernels: 128 threads, four elements each, or 16 bytes where everything is contiguous
// (aten/src/ATen/native/cuda/CUDALoops.cuh elems_per_thread). On matrices of scores some of their CTAs are one here.
constexpr int kElementsPerThread = 4;
constexpr int kBytesPerThread = 16;
constexpr int kElements = 512;
constexpr int kBlockRows = 16;
constexpr int kElementRegisters = 32;
constexpr int kWarpLanes = 32;

int warps_for(int elements, int per_thread = kElementsPerThread) {
  return std::clamp(elements / (per_thread * kWarpLanes), 1, 32);
}

// The memory of the blocks, a row of all keys at a time.
ir::TensorId as_rows(ir::PipelineBuilder& builder, const TileListPlan& plan, const std::string& name, ir::TensorId blocks,
                     std::optional<DType> dtype = std::nullopt) {
  return builder.tensor({name, plan.slabs, plan.rows, kv_tile_count(plan) * plan.rule.tile_kv, dtype.value_or(plan.dtype),
                         ir::TensorRole::intermediate, 0, blocks});
}

ir::TensorId blocks(ir::PipelineBuilder& builder, const TileListPlan& plan, const std::string& name,
                    ir::TensorRole role = ir::TensorRole::intermediate, std::optional<DType> dtype = std::nullopt) {
  return builder.tensor({name, plan.slabs * kv_tile_count(plan), plan.rows, plan.rule.tile_kv, dtype.value_or(plan.dtype), role});
}

struct RowCopy {
  std::string name;
  RowsOf rows = RowsOf::queries;
  ir::TensorId from = ir::kNone;
  ir::TensorId to = ir::kNone;
  int columns = 1;
  DType in = DType::f32;
  DType out = DType::f32;
  double factor = 1;
  int slabs_per_source = 1;
};

ir::Kernel row_copy(const TileListPlan& plan, const RowCopy& copy) {
  const int tile_rows = std::max(1, kElements / copy.columns);
  ProgramBuilder b;
  const int section = b.section("copy", ir::SectionKind::once);
  const int agent = b.agent("copy", warps_for(tile_rows * copy.columns), kElementRegisters);
  const ir::AxisId rows = b.rows("rows", tile_rows);
  const ir::AxisId cols = b.fixed("columns", copy.columns, copy.columns);
  const ir::TileId in = b.registers("in", rows, cols, copy.in, agent);
  ir::TileId out = in;
  ir::Access from = rows_access(copy.from, 0);
  from.slab_divisor = copy.slabs_per_source;
  ops::Ops& list = b.ops(agent, section);
  ops::append(list, ops::with_role({ops::load(in, from, CopyKind::plain)}, "load"));
  if (copy.factor != 1 || copy.in != copy.out) {
    ops::Ops change;
    ir::TileId wide = in;
    if (copy.in != DType::f32) {
      wide = b.registers("wide", rows, cols, DType::f32, agent);
      change.push_back(ops::convert(in, wide));
    }
    if (copy.factor != 1) change.push_back(ops::binary(Fn::multiply, wide, copy.factor, wide));
    out = wide;
    if (copy.out != DType::f32) {
      out = b.registers("out", rows, cols, copy.out, agent);
      change.push_back(ops::convert(wide, out));
    }
    ops::append(list, ops::with_role(change, "scale"));
  }
  ops::append(list, ops::with_role({ops::store(out, rows_access(copy.to, 0), CopyKind::plain)}, "store"));
  ir::Kernel kernel;
  kernel.name = copy.name;
  kernel.program = b.take();
  kernel.families = row_items(plan, copy.rows, tile_rows);
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

// A kernel between products: one agent on tiles of scores.
struct ScoreProgram {
  ProgramBuilder b;
  int before = 0;  // the loop, where there is one
  int section = 0;
  int agent = 0;
  ir::AxisId rows = ir::kUnit;
  ir::AxisId kv = ir::kUnit;

  void start(const ops::Ops& list) { ops::append(b.ops(agent, before), list); }
  void add(const ops::Ops& list, const std::string& role) { ops::append(b.ops(agent, section), ops::with_role(list, role)); }
  ir::TileId tile(const char* name, DType dtype) { return b.registers(name, rows, kv, dtype, agent); }
  ir::TileId vector(const char* name) { return b.registers(name, rows, ir::kUnit, DType::f32, agent); }
  ir::Kernel finish(const std::string& name, std::vector<ir::ItemFamily> items) {
    ir::Kernel kernel;
    kernel.name = name;
    kernel.program = b.take();
    kernel.families = std::move(items);
    return kernel;
  }
};

// On block_items.
ScoreProgram block_program(const TileListPlan& plan) {
  ScoreProgram p;
  p.before = p.b.section("before", ir::SectionKind::once);
  p.section = p.b.section("block", ir::SectionKind::loop);
  const int per_thread = kBytesPerThread * 8 / ir::bits_of(plan.dtype);
  p.agent = p.b.agent("elements", warps_for(kBlockRows * plan.rule.tile_kv, per_thread), kElementRegisters);
  p.rows = p.b.rows("rows", kBlockRows);
  p.kv = p.b.trip_columns("kv", plan.rule.tile_kv);
  return p;
}

// Keeps whole rows, on items of `rule.rows` rows.
ScoreProgram score_rows_program(const TileListPlan& plan, const RowRule& rule) {
  ScoreProgram p;
  p.section = p.b.section("rows", ir::SectionKind::once);
  p.agent = p.b.agent("rows", rule.warps, rule.registers_per_thread);
  p.rows = p.b.rows("rows", rule.rows);
  p.kv = p.b.fixed("kv", static_cast<int>(kv_tile_count(plan)) * plan.rule.tile_kv, static_cast<int>(plan.kv_len));
  return p;
}

// Score modifiers and the mask.
ir::Kernel modify_kernel(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors, ir::TensorId to,
                         double factor) {
  ScoreProgram p = block_program(plan);
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
  return p.finish("modify", block_items(plan, schedule));
}

ir::Kernel multiply_kernel(const TileListPlan& plan, const Schedule& schedule, ir::TensorId x, ir::TensorId y, ir::TensorId to) {
  ScoreProgram p = block_program(plan);
  const ir::TileId x_in = p.tile("x", plan.dtype);
  const ir::TileId y_in = p.tile("y", plan.dtype);
  const ir::TileId product = p.tile("product", DType::f32);
  const ir::TileId factor = p.tile("factor", DType::f32);
  const ir::TileId out = p.tile("out", plan.dtype);
  p.add({ops::load(x_in, block(plan, x), CopyKind::plain), ops::load(y_in, block(plan, y), CopyKind::plain)}, "load");
  p.add({ops::convert(x_in, product), ops::convert(y_in, factor), ops::binary(Fn::multiply, product, factor, product)}, "ds");
  p.add({ops::convert(product, out), ops::store(out, block(plan, to), CopyKind::plain)}, "store");
  return p.finish("multiply", block_items(plan, schedule));
}

ir::Kernel softmax_kernel(const TileListPlan& plan, const RowRule& rule, ir::TensorId from, ir::TensorId to) {
  ScoreProgram p = score_rows_program(plan, rule);
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
  return p.finish("softmax", row_items(plan, RowsOf::queries, rule.rows));
}

// From P dP and P.
ir::Kernel softmax_backward_kernel(const TileListPlan& plan, const RowRule& rule, ir::TensorId products, ir::TensorId weights,
                                   ir::TensorId to) {
  ScoreProgram p = score_rows_program(plan, rule);
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
  return p.finish("softmax_backward", row_items(plan, RowsOf::queries, rule.rows));
}

// A byte an element.
constexpr DType kBool = DType::f8;

ir::Kernel masked_kernel(const TileListPlan& plan, const Schedule& schedule, ir::TensorId scores, ir::TensorId to) {
  ScoreProgram p = block_program(plan);
  const ir::TileId in = p.tile("s_in", plan.dtype);
  const ir::TileId s = p.tile("s", DType::f32);
  const ir::TileId out = p.tile("masked", kBool);
  p.add({ops::load(in, block(plan, scores), CopyKind::plain), ops::convert(in, s)}, "load_s");
  p.add({ops::binary(Fn::equal, s, -std::numeric_limits<double>::infinity(), s), ops::convert(s, out)}, "mask");
  p.add({ops::store(out, block(plan, to), CopyKind::plain)}, "store");
  return p.finish("masked", block_items(plan, schedule));
}

// 0 for a row all of whose scores are masked, else 1. PyTorch's reductions along rows: a warp per row, 16 rows a CTA
// (aten/src/ATen/native/cuda/Reduce.cuh setReduceConfig).
ir::Kernel masked_rows_kernel(const TileListPlan& plan, ir::TensorId masked, ir::TensorId to) {
  RowRule rule;
  rule.rows = rule.warps = 16;
  ScoreProgram p = score_rows_program(plan, rule);
  const ir::TileId in = p.tile("masked", kBool);
  const ir::TileId wide = p.tile("wide", DType::f32);
  const ir::TileId kept = p.vector("kept");
  p.add({ops::load(in, rows_access(masked, 0), CopyKind::plain), ops::convert(in, wide)}, "load_s");
  p.add({ops::reduce_row(Fn::minimum, wide, kept), ops::binary(Fn::multiply, kept, -1.0, kept), ops::binary(Fn::add, kept, 1.0, kept)},
        "mask");
  p.add({ops::store(kept, rows_access(to, 0), CopyKind::plain)}, "store");
  return p.finish("masked_rows", row_items(plan, RowsOf::queries, rule.rows));
}

ir::Kernel clear_rows_kernel(const TileListPlan& plan, const Schedule& schedule, ir::TensorId weights, ir::TensorId kept, ir::TensorId to) {
  ScoreProgram p = block_program(plan);
  const ir::TileId in = p.tile("p_in", plan.dtype);
  const ir::TileId wide = p.tile("p", DType::f32);
  const ir::TileId out = p.tile("p_out", plan.dtype);
  const ir::TileId row = p.vector("kept");
  p.add({ops::load(row, rows_access(kept, 0), CopyKind::plain), ops::load(in, block(plan, weights), CopyKind::plain)}, "load");
  p.add({ops::convert(in, wide), ops::binary(Fn::multiply, wide, row, wide), ops::convert(wide, out)}, "mask");
  p.add({ops::store(out, block(plan, to), CopyKind::plain)}, "store");
  return p.finish("clear_rows", block_items(plan, schedule));
}

ir::Kernel convert_blocks_kernel(const TileListPlan& plan, const Schedule& schedule, ir::TensorId from, ir::TensorId to, DType dtype) {
  ScoreProgram p = block_program(plan);
  const ir::TileId in = p.tile("in", plan.dtype);
  const ir::TileId out = p.tile("out", dtype);
  p.add({ops::load(in, block(plan, from), CopyKind::plain), ops::convert(in, out), ops::store(out, block(plan, to), CopyKind::plain)},
        "store");
  return p.finish("convert_weights", block_items(plan, schedule));
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

// Every query head has K and V of its own.
TileListPlan with_expanded_groups(TileListPlan plan) {
  plan.kv_divisor = 1;
  plan.kv_slabs = plan.slabs;
  return plan;
}

// Row copies of tensors [slabs x rows x columns], each under a new name.
struct RowSteps {
  ir::PipelineBuilder& builder;
  const TileListPlan& plan;  // K and V as the tensors have them
  RowsOf rows;
  int columns;

  [[nodiscard]] ir::TensorId tensor(const std::string& name, DType dtype, ir::TensorRole role = ir::TensorRole::intermediate,
                                    ir::TensorId same = ir::kNone) const {
    const bool queries = rows == RowsOf::queries;
    return builder.tensor({name, queries ? plan.slabs : plan.kv_slabs, queries ? plan.rows : plan.kv_len, columns, dtype, role, 0, same});
  }
  void copy(const std::string& kernel, ir::TensorId from, DType in, ir::TensorId to, DType out, double factor = 1,
            int slabs_per_source = 1) const {
    builder.add(row_copy(plan, {kernel, rows, from, to, columns, in, out, factor, slabs_per_source}));
  }
};

}  // namespace

Problem eager_problem(const Problem& problem, const Schedule& schedule) {
  Problem inner = problem;
  if (!schedule.eager.computes.empty()) inner.dtype = DType::f32;
  return inner;
}

void add_eager_forward(ir::PipelineBuilder& builder, const TileListPlan& plan, const Schedule& schedule, const Chip& chip,
                       const TileListTensors& tensors, DType given) {
  const EagerRules& eager = schedule.eager;
  const bool plain = plan.score.score.plain();
  if (!plain && eager.scales_operands)
    illegal("/score", "modified scores", fmt::format("have no kernels in {}, which scales Q and K", schedule.name), "plain scores");
  const RowRule rule = row_rule(plan, schedule, chip);
  const bool expands = eager.expands_groups && plan.kv_divisor > 1;
  const TileListPlan inner = expands ? with_expanded_groups(plan) : plan;
  const double root = eager.scales_operands ? std::sqrt(softmax_scale(plan)) : 1;
  const DType dtype = plan.dtype;
  TileListTensors t = tensors;
  const auto prepare = [&](const std::string& letter, RowsOf rows, ir::TensorId from, int columns, double factor) {
    const RowSteps outer{builder, plan, rows, columns};
    const RowSteps each{builder, inner, rows, columns};
    if (eager.copies_heads || dtype != given) {
      const ir::TensorId to = outer.tensor(letter + "_heads", dtype);
      outer.copy((dtype != given ? "convert_" : "copy_") + letter, from, given, to, dtype);
      from = to;
    }
    if (expands && rows == RowsOf::keys) {
      const ir::TensorId to = each.tensor(letter + "_expanded", dtype);
      each.copy("expand_" + letter, from, dtype, to, dtype, 1, plan.kv_divisor);
      from = to;
    }
    if (factor != 1) {
      const ir::TensorId to = each.tensor(letter + "_scaled", dtype);
      each.copy("scale_" + letter, from, dtype, to, dtype, factor);
      from = to;
    }
    return from;
  };
  t.q = prepare("q", RowsOf::queries, tensors.q, plan.head_dim_qk, root);
  t.k = prepare("k", RowsOf::keys, tensors.k, plan.head_dim_qk, root);
  t.v = prepare("v", RowsOf::keys, tensors.v, plan.head_dim_v, 1);
  const bool scales = plain && !eager.scales_operands;
  const RowProduct scores{t.q, t.k, t.scores, plan.padded_qk, plan.head_dim_qk, scales ? plan.score.factor : 1, "qk"};
  builder.add(unfused_kernel("scores", rows_by_keys(inner, schedule, scores), inner, schedule, plan.rule.tile_q));
  ir::TensorId modified = t.scores;
  if (!plain || plan.cuts.mask()) {
    modified = blocks(builder, plan, "modified");
    builder.add(modify_kernel(inner, schedule, t, modified, plain ? 1 : plan.score.factor));
  }
  builder.add(softmax_kernel(plan, rule, as_rows(builder, plan, "score_rows", modified), as_rows(builder, plan, "weight_rows", t.weights)));
  ir::TensorId weights = t.weights;
  if (eager.checks_rows) {
    const ir::TensorId masked = blocks(builder, plan, "masked", ir::TensorRole::intermediate, kBool);
    const ir::TensorId kept = builder.tensor({"rows_kept", plan.slabs, plan.rows, 1, DType::f32, ir::TensorRole::intermediate});
    weights = blocks(builder, plan, "safe_weights");
    builder.add(masked_kernel(plan, schedule, modified, masked));
    builder.add(masked_rows_kernel(plan, as_rows(builder, plan, "masked_by_row", masked, kBool), kept));
    builder.add(clear_rows_kernel(plan, schedule, t.weights, kept, weights));
  }
  const RowSteps result{builder, plan, RowsOf::queries, plan.head_dim_v};
  const ir::TensorId o = dtype == given ? tensors.o : result.tensor("o_product", dtype);
  const ScoreProduct output{weights, t.v, o, plan.padded_v, plan.head_dim_v, "pv"};
  builder.add(unfused_kernel("output", scores_by_values(inner, schedule, output), inner, schedule, plan.rule.tile_q));
  if (dtype != given) result.copy("convert_o", o, dtype, tensors.o, given);
  if (eager.returns_weights) {
    const ir::TensorId copy = blocks(builder, plan, "returned_weights", ir::TensorRole::intermediate, given);
    builder.add(convert_blocks_kernel(plan, schedule, weights, copy, given));
  }
}

ir::Pipeline lower_eager_backward(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                  const std::vector<ExtraKernel>& extras) {
  if (!problem.score.plain())
    illegal("/score", "modified scores", fmt::format("have no kernels in the backward pass of {}", schedule.name), "plain scores");
  const EagerRules& eager = schedule.eager;
  const Problem in_between = eager_problem(problem, schedule);
  const TileListPlan plan = choose_tiles(plan_problem(variant, in_between, schedule, chip), in_between, schedule, chip);
  check_memory(plan, schedule, chip);
  const RowRule rule = row_rule(plan, schedule, chip);
  const bool parts = plan.kv_divisor > 1;
  const bool expands = eager.expands_groups && parts;
  const TileListPlan each = with_expanded_groups(plan);  // a gradient of K and V per query head
  const TileListPlan& inner = expands ? each : plan;
  const double scale = softmax_scale(plan);
  const DType given = problem.dtype;
  const DType dtype = plan.dtype;
  ir::PipelineBuilder builder(fmt::format("{} backward {}", variant.name, schedule.name));
  constexpr ir::TensorRole kInput = ir::TensorRole::input;
  const RowSteps queries{builder, plan, RowsOf::queries, plan.head_dim_qk};
  const RowSteps results{builder, plan, RowsOf::queries, plan.head_dim_v};
  const std::string suffix = eager.scales_operands ? "_scaled" : "";
  const ir::TensorId q = queries.tensor("q" + suffix, dtype, kInput);
  const ir::TensorId k = RowSteps{builder, inner, RowsOf::keys, plan.head_dim_qk}.tensor("k" + suffix, dtype, kInput);
  const ir::TensorId v = RowSteps{builder, inner, RowsOf::keys, plan.head_dim_v}.tensor("v", dtype, kInput);
  ir::TensorId grad_o = results.tensor("do", given, kInput);
  if (dtype != given) {
    const ir::TensorId wide = results.tensor("do_wide", dtype);
    results.copy("convert_do", grad_o, given, wide, dtype);
    grad_o = wide;
  }
  const ir::TensorId weights = blocks(builder, plan, "weights", kInput);
  const ir::TensorId grad_weights = blocks(builder, plan, "grad_weights");
  const ir::TensorId products = blocks(builder, plan, "products");
  const ir::TensorId grad_scores = blocks(builder, plan, "grad_scores");

  // Scaled by `factor` before or after the parts of a group's query heads are added up, as the operand was before or after it was expanded.
  const auto by_key = [&](const std::string& letter, const std::string& role, ir::TensorId scores, ir::TensorId values, int padded,
                          int columns, double factor) {
    const RowSteps per_head{builder, each, RowsOf::keys, columns};
    const RowSteps per_group{builder, plan, RowsOf::keys, columns};
    const std::string name = "d" + letter;
    ir::TensorId at = per_head.tensor(name + "_product", dtype);
    builder.add(by_rows_kernel("grad_" + letter, each, schedule, {scores, values, at, padded, columns, role}));
    const auto scaled = [&](const RowSteps& steps) {
      const ir::TensorId to = steps.tensor(name + "_scaled", dtype);
      steps.copy("scale_" + name, at, dtype, to, dtype, factor);
      at = to;
    };
    if (factor != 1 && expands) scaled(per_head);
    if (parts) {
      const ir::TensorId sum = per_group.tensor(name + "_sum", dtype);
      builder.add(sum_heads_kernel(plan, schedule, "sum_" + name, at, sum, columns));
      at = sum;
    }
    if (factor != 1 && !expands) scaled(per_group);
    return at;
  };
  const double factor = eager.scales_operands ? std::sqrt(scale) : scale;
  const ir::TensorId grad_v = by_key("v", "dv", weights, grad_o, plan.padded_v, plan.head_dim_v, 1);
  const RowProduct dp{grad_o, v, grad_weights, plan.padded_v, plan.head_dim_v, 1, "dov"};
  builder.add(unfused_kernel("grad_weights", rows_by_keys(inner, schedule, dp), inner, schedule, plan.rule.tile_q));
  builder.add(multiply_kernel(plan, schedule, grad_weights, weights, products));
  builder.add(softmax_backward_kernel(plan, rule, as_rows(builder, plan, "product_rows", products),
                                      as_rows(builder, plan, "weight_rows", weights),
                                      as_rows(builder, plan, "grad_score_rows", grad_scores)));
  const ir::TensorId dq_product = queries.tensor("dq_product", dtype);
  const ScoreProduct dq{grad_scores, k, dq_product, plan.padded_qk, plan.head_dim_qk, "dq"};
  builder.add(unfused_kernel("grad_q", scores_by_values(inner, schedule, dq), inner, schedule, plan.rule.tile_q));
  const ir::TensorId grad_k = by_key("k", "dk", grad_scores, q, plan.padded_qk, plan.head_dim_qk, factor);
  const ir::TensorId grad_q = queries.tensor("dq_scaled", dtype);
  queries.copy("scale_dq", dq_product, dtype, grad_q, dtype, factor);

  const bool adds = std::find(extras.begin(), extras.end(), ExtraKernel::add_gradients) != extras.end();
  TileListPlan outside = plan;
  outside.dtype = given;
  const auto finish = [&](const std::string& name, RowsOf rows, ir::TensorId from, int columns) {
    const RowSteps steps{builder, plan, rows, columns};
    const ir::TensorId to = steps.tensor(name, given, adds ? ir::TensorRole::intermediate : ir::TensorRole::output);
    steps.copy((dtype != given ? "convert_" : "copy_") + name, from, dtype, to, given);
    if (!adds) return;
    HeldGradient held{steps.tensor("held_" + name, given, kInput), ir::kNone};
    held.after = steps.tensor("total_" + name, given, ir::TensorRole::output, held.before);
    builder.add(add_gradient_kernel(outside, "add_" + name, rows, to, held, columns));
  };
  finish("dq", RowsOf::queries, grad_q, plan.head_dim_qk);
  finish("dk", RowsOf::keys, grad_k, plan.head_dim_qk);
  finish("dv", RowsOf::keys, grad_v, plan.head_dim_v);
  return builder.build();
}

}  // namespace attnsim
