// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/rowwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numbers>

#include "sim/core/error.h"
#include "workloads/families/program_builder.h"
#include "workloads/families/tile_list.h"

namespace attnsim {

namespace {

using ir::Fn;

constexpr int kLanes = 32;
constexpr double kEpsilon = 1e-5;  // added to the variance

// Tiles that every row program has; statistics are row vectors.
struct RowTiles {
  ir::TileId in = ir::kNone;
  ir::TileId x = ir::kNone;  // f32
  ir::TileId out = ir::kNone;
  ir::TileId part = ir::kNone;
  std::array<ir::TileId, 3> stat{};
  ir::TileId square = ir::kNone;  // layer norm; |x| where 8 bits are wanted
};

// The passes of one operator. A pass is ops on a loaded chunk.
struct Passes {
  ops::Ops begin;
  std::vector<std::pair<std::string, ops::Ops>> reads;
  std::vector<ops::Ops> between;  // after each pass of reads
  ops::Ops write;                 // from x to x; of a known scale one multiplication
};

Passes softmax_passes(const RowTiles& t, bool keep) {
  const auto [m, l, inverse] = t.stat;
  const ops::Ops scale{ops::binary(Fn::multiply, t.x, std::numbers::log2e, t.x)};
  const ops::Ops exponentials{ops::binary(Fn::subtract, t.x, m, t.x), ops::unary(Fn::exp2, t.x, t.x)};
  Passes p;
  p.begin = {ops::zero(l), ops::zero(m), ops::binary(Fn::add, m, -std::numeric_limits<double>::infinity(), m)};
  ops::Ops largest = scale;
  ops::append(largest, {ops::reduce_row(Fn::maximum, t.x, t.part), ops::binary(Fn::maximum, m, t.part, m)});
  ops::Ops sum = keep ? ops::Ops{} : scale;
  ops::append(sum, exponentials);
  ops::append(sum, {ops::reduce_row(Fn::add, t.x, t.part), ops::binary(Fn::add, l, t.part, l)});
  p.reads = {{"maximum", largest}, {"sum", sum}};
  p.between = {{}, {ops::unary(Fn::reciprocal, l, inverse)}};
  if (!keep) {
    p.write = scale;
    ops::append(p.write, exponentials);
  }
  p.write.push_back(ops::binary(Fn::multiply, t.x, inverse, t.x));
  return p;
}

Passes layernorm_passes(const RowTiles& t, std::int64_t columns) {
  const auto [mean, square_mean, rstd] = t.stat;
  const double share = 1.0 / static_cast<double>(columns);
  Passes p;
  p.begin = {ops::zero(mean), ops::zero(square_mean)};
  p.reads = {
      {"statistics",
       {ops::reduce_row(Fn::add, t.x, t.part), ops::binary(Fn::add, mean, t.part, mean), ops::binary(Fn::multiply, t.x, t.x, t.square),
        ops::reduce_row(Fn::add, t.square, t.part), ops::binary(Fn::add, square_mean, t.part, square_mean)}}};
  p.between = {{ops::binary(Fn::multiply, mean, share, mean), ops::binary(Fn::multiply, square_mean, share, square_mean),
                ops::binary(Fn::multiply, mean, mean, rstd), ops::binary(Fn::subtract, square_mean, rstd, rstd),
                ops::binary(Fn::add, rstd, kEpsilon, rstd), ops::unary(Fn::log2, rstd, rstd), ops::binary(Fn::multiply, rstd, -0.5, rstd),
                ops::unary(Fn::exp2, rstd, rstd)}};
  p.write = {ops::binary(Fn::subtract, t.x, mean, t.x), ops::binary(Fn::multiply, t.x, rstd, t.x)};
  return p;
}

// Scales that take the largest element to 448, the largest of 8 bits with 4 of exponent (OCP FP8), and no smaller than what keeps their
// inverse finite (vLLM csrc/quantization/fp8/common.cu).
Passes largest_passes(const RowTiles& t, bool scales) {
  constexpr double kLargest8Bit = 448;
  const auto [largest, scale, inverse] = t.stat;
  Passes p;
  p.begin = {ops::zero(largest)};
  p.reads = {{"largest",
              {ops::unary(Fn::absolute, t.x, t.square), ops::reduce_row(Fn::maximum, t.square, t.part),
               ops::binary(Fn::maximum, largest, t.part, largest)}}};
  if (!scales) {
    p.between = {{}};
    return p;
  }
  p.between = {{ops::binary(Fn::multiply, largest, 1 / kLargest8Bit, scale),
                ops::binary(Fn::maximum, scale, 1 / (kLargest8Bit * 512), scale), ops::unary(Fn::reciprocal, scale, inverse)}};
  p.write = {ops::binary(Fn::multiply, t.x, inverse, t.x)};
  return p;
}

Passes passes_of(RowOp op, const RowTiles& t, const RowPlan& plan) {
  switch (op) {
    case RowOp::softmax: return softmax_passes(t, plan.rule.keep);
    case RowOp::layernorm: return layernorm_passes(t, plan.columns);
    case RowOp::largest: return largest_passes(t, false);
    case RowOp::quantize_rows: return largest_passes(t, true);
    case RowOp::quantize: {
      Passes p;
      p.write = {ops::binary(Fn::multiply, t.x, 1.0, t.x)};
      return p;
    }
  }
  throw Invariant("unknown row operator");
}

// Names of the passes in order; the last one writes, unless nothing but a statistic is wanted.
std::vector<std::string> pass_names(RowOp op) {
  switch (op) {
    case RowOp::softmax: return {"maximum", "sum", "write"};
    case RowOp::layernorm: return {"statistics", "write"};
    case RowOp::largest: return {"largest"};
    case RowOp::quantize_rows: return {"largest", "write"};
    case RowOp::quantize: return {"write"};
  }
  throw Invariant("unknown row operator");
}

std::array<const char*, 3> statistics_of(RowOp op) {
  if (op == RowOp::softmax) return {"maximum", "sum", "inverse"};
  if (op == RowOp::layernorm) return {"mean", "square_mean", "rstd"};
  return {"largest", "scale", "inverse"};
}

ir::Program row_program(RowOp op, const RowPlan& plan, const RowTensors& tensors, const RowTypes& types) {
  ProgramBuilder b;
  const bool keep = plan.rule.keep;
  const std::vector<std::string> names = pass_names(op);
  const bool writes = tensors.y != ir::kNone;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  std::vector<int> passes;
  std::vector<int> after;
  for (const std::string& name : names) {
    passes.push_back(b.section(name, keep ? ir::SectionKind::once : ir::SectionKind::loop));
    if (name != "write") after.push_back(b.section("after " + name, ir::SectionKind::once));
  }
  const int agent = b.agent("warps", plan.rule.warps, plan.rule.registers_per_thread);
  const ir::AxisId rows = b.rows("rows", plan.rule.rows);
  const ir::AxisId cols = keep ? b.fixed("columns", plan.chunk, plan.chunk) : b.trip_columns("columns", plan.chunk);
  const auto vector = [&](const char* name) { return b.registers(name, rows, ir::kUnit, ir::DType::f32, agent); };
  RowTiles t;
  t.in = b.registers("in", rows, cols, types.x, agent);
  t.x = b.registers("x", rows, cols, ir::DType::f32, agent);
  if (writes) t.out = b.registers("out", rows, cols, types.y, agent);
  const std::array<const char*, 3> statistics = statistics_of(op);
  if (op != RowOp::quantize) {
    t.part = vector("part");
    t.stat = {vector(statistics[0]), vector(statistics[1]), vector(statistics[2])};
    if (op != RowOp::softmax) t.square = b.registers("square", rows, cols, ir::DType::f32, agent);
  }

  const Passes p = passes_of(op, t, plan);
  const ir::Access from{tensors.x, 1, 1, false, !keep, ir::RowFrom::item, 0};
  const ir::Access to{tensors.y, 1, 1, false, !keep, ir::RowFrom::item, 0};
  const ops::Ops read{ops::load(t.in, from, ir::CopyKind::plain), ops::convert(t.in, t.x)};
  ops::append(b.ops(agent, prologue), ops::with_role(p.begin, "init"));
  for (std::size_t i = 0; i < passes.size(); ++i) {
    ops::Ops& list = b.ops(agent, passes[i]);
    if (i == 0 || !keep) ops::append(list, ops::with_role(read, "load_x"));
    if (names[i] != "write") {
      ops::append(list, ops::with_role(p.reads[i].second, p.reads[i].first));
      ops::append(b.ops(agent, after[i]), ops::with_role(p.between[i], "normalize"));
      continue;
    }
    ops::append(list, ops::with_role(p.write, "write"));
    ops::append(list, ops::with_role({ops::convert(t.x, t.out), ops::store(t.out, to, ir::CopyKind::plain)}, "store"));
  }
  if (tensors.statistic != ir::kNone) {
    const ir::TileId statistic = op == RowOp::largest ? t.stat[0] : t.stat[1];
    ops::append(b.ops(agent, after.back()),
                ops::with_role({ops::store(statistic, {tensors.statistic, 1, 1, false, false, ir::RowFrom::item, 0}, ir::CopyKind::plain)},
                               "store"));
  }
  return b.take();
}

}  // namespace

RowPlan plan_rows(std::int64_t n, const Schedule& schedule, const Chip& chip) {
  for (const RowRule& rule : schedule.rows) {
    if (n > rule.columns_max) continue;
    RowPlan plan;
    plan.rule = rule;
    plan.columns = n;
    const std::int64_t at_once = rule.keep ? n : static_cast<std::int64_t>(rule.warps) * kLanes * rule.columns_per_thread / rule.rows;
    plan.chunk = static_cast<int>(std::min(n, at_once));
    plan.trips = (n + plan.chunk - 1) / plan.chunk;
    const std::int64_t threads = static_cast<std::int64_t>(rule.warps) * kLanes;
    if (threads > chip.sm.max_threads) illegal("/schedule", schedule.name, fmt::format("needs {} threads per CTA", threads));
    return plan;
  }
  illegal("/schedule", schedule.name, fmt::format("has no rule for rows of {} columns", n));
}

ir::Kernel row_kernel(RowOp op, const RowPlan& plan, std::int64_t m, const RowTensors& tensors, const RowTypes& types) {
  ir::Kernel kernel;
  kernel.program = row_program(op, plan, tensors, types);
  ir::ItemFamily family;
  family.loop_extent = plan.columns;
  for (std::int64_t row = 0; row < m; row += plan.rule.rows) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min<std::int64_t>(plan.rule.rows, m - row);
    tile.runs = {{0, plan.trips, 1, false}};
    tile.kept = tile.rows * plan.columns;
    family.tiles.push_back(std::move(tile));
  }
  kernel.families.push_back(std::move(family));
  return kernel;
}

ir::Pipeline lower_rowwise(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                           const std::vector<ExtraKernel>&) {
  const RowPlan plan = plan_rows(problem.n, schedule, chip);
  ir::PipelineBuilder builder(fmt::format("{} {}", variant.name, schedule.name));
  RowTensors tensors;
  tensors.x = builder.tensor({"x", plan.trips, problem.m, plan.chunk, problem.dtype, ir::TensorRole::input});
  tensors.y = builder.tensor({"y", plan.trips, problem.m, plan.chunk, problem.dtype, ir::TensorRole::output});
  const RowOp op = variant.name == "softmax" ? RowOp::softmax : RowOp::layernorm;
  ir::Kernel kernel = row_kernel(op, plan, problem.m, tensors, {problem.dtype, problem.dtype});
  kernel.name = variant.name;
  kernel.grid.policy = schedule.grid;
  builder.add(std::move(kernel));
  return builder.build();
}

}  // namespace attnsim
