// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/rowwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numbers>

#include "workloads/families/program_builder.h"
#include "workloads/families/tile_list.h"

namespace attnsim {

namespace {

using ir::Fn;

constexpr int kLanes = 32;
constexpr double kEpsilon = 1e-5;  // added to the variance

struct RowPlan {
  RowRule rule;
  std::int64_t columns = 1;
  int chunk = 1;
  std::int64_t trips = 1;
  ir::DType dtype = ir::DType::f16;
  ir::TensorId x = ir::kNone;
  ir::TensorId y = ir::kNone;
};

// Tiles that every row program has; statistics are row vectors.
struct RowTiles {
  ir::TileId in = ir::kNone;
  ir::TileId x = ir::kNone;  // f32
  ir::TileId out = ir::kNone;
  ir::TileId part = ir::kNone;
  std::array<ir::TileId, 3> stat{};
  ir::TileId square = ir::kNone;  // layer norm
};

// The passes of one operator. A pass is ops on a loaded chunk.
struct Passes {
  ops::Ops begin;
  std::vector<std::pair<std::string, ops::Ops>> reads;
  std::vector<ops::Ops> between;  // after each pass but the last
  ops::Ops write;                 // from x to x
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

ir::Program row_program(const RowPlan& plan, bool softmax) {
  ProgramBuilder b;
  const bool keep = plan.rule.keep;
  const std::vector<std::string> names =
      softmax ? std::vector<std::string>{"maximum", "sum", "write"} : std::vector<std::string>{"statistics", "write"};
  const int prologue = b.section("prologue", ir::SectionKind::once);
  std::vector<int> passes;
  std::vector<int> after;
  for (const std::string& name : names) {
    passes.push_back(b.section(name, keep ? ir::SectionKind::once : ir::SectionKind::loop));
    if (name != names.back()) after.push_back(b.section("after " + name, ir::SectionKind::once));
  }
  const int agent = b.agent("warps", plan.rule.warps, plan.rule.registers_per_thread);
  const ir::AxisId rows = b.rows("rows", plan.rule.rows);
  const ir::AxisId cols = keep ? b.fixed("columns", plan.chunk, plan.chunk) : b.trip_columns("columns", plan.chunk);
  const auto vector = [&](const char* name) { return b.registers(name, rows, ir::kUnit, ir::DType::f32, agent); };
  RowTiles t;
  t.in = b.registers("in", rows, cols, plan.dtype, agent);
  t.x = b.registers("x", rows, cols, ir::DType::f32, agent);
  t.out = b.registers("out", rows, cols, plan.dtype, agent);
  t.part = vector("part");
  t.stat = {vector(softmax ? "maximum" : "mean"), vector(softmax ? "sum" : "square_mean"), vector(softmax ? "inverse" : "rstd")};
  if (!softmax) t.square = b.registers("square", rows, cols, ir::DType::f32, agent);

  const Passes p = softmax ? softmax_passes(t, keep) : layernorm_passes(t, plan.columns);
  const ir::Access from{plan.x, 1, 1, false, !keep, ir::RowFrom::item, 0};
  const ir::Access to{plan.y, 1, 1, false, !keep, ir::RowFrom::item, 0};
  const ops::Ops read{ops::load(t.in, from, ir::CopyKind::plain), ops::convert(t.in, t.x)};
  ops::append(b.ops(agent, prologue), ops::with_role(p.begin, "init"));
  for (std::size_t i = 0; i < passes.size(); ++i) {
    ops::Ops& list = b.ops(agent, passes[i]);
    if (i == 0 || !keep) ops::append(list, ops::with_role(read, "load_x"));
    if (i + 1 < passes.size()) {
      ops::append(list, ops::with_role(p.reads[i].second, p.reads[i].first));
      ops::append(b.ops(agent, after[i]), ops::with_role(p.between[i], "normalize"));
      continue;
    }
    ops::append(list, ops::with_role(p.write, "write"));
    ops::append(list, ops::with_role({ops::convert(t.x, t.out), ops::store(t.out, to, ir::CopyKind::plain)}, "store"));
  }
  return b.take();
}

RowPlan plan_rows(const Problem& problem, const Schedule& schedule, const Chip& chip) {
  for (const RowRule& rule : schedule.rows) {
    if (problem.n > rule.columns_max) continue;
    RowPlan plan;
    plan.rule = rule;
    plan.columns = problem.n;
    plan.dtype = problem.dtype;
    const std::int64_t at_once =
        rule.keep ? problem.n : static_cast<std::int64_t>(rule.warps) * kLanes * rule.columns_per_thread / rule.rows;
    plan.chunk = static_cast<int>(std::min(problem.n, at_once));
    plan.trips = (problem.n + plan.chunk - 1) / plan.chunk;
    const std::int64_t threads = static_cast<std::int64_t>(rule.warps) * kLanes;
    if (threads > chip.sm.max_threads) illegal("/schedule", schedule.name, fmt::format("needs {} threads per CTA", threads));
    return plan;
  }
  illegal("/schedule", schedule.name, fmt::format("has no rule for rows of {} columns", problem.n));
}

}  // namespace

ir::Pipeline lower_rowwise(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                           const std::vector<ExtraKernel>&) {
  RowPlan plan = plan_rows(problem, schedule, chip);
  ir::PipelineBuilder builder(fmt::format("{} {}", variant.name, schedule.name));
  plan.x = builder.tensor({"x", plan.trips, problem.m, plan.chunk, plan.dtype, ir::TensorRole::input});
  plan.y = builder.tensor({"y", plan.trips, problem.m, plan.chunk, plan.dtype, ir::TensorRole::output});
  ir::Kernel kernel;
  kernel.name = variant.name;
  kernel.program = row_program(plan, variant.name == "softmax");
  ir::ItemFamily family;
  family.loop_extent = problem.n;
  for (std::int64_t row = 0; row < problem.m; row += plan.rule.rows) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min<std::int64_t>(plan.rule.rows, problem.m - row);
    tile.runs = {{0, plan.trips, 1, false}};
    tile.kept = tile.rows * problem.n;
    family.tiles.push_back(std::move(tile));
  }
  kernel.families.push_back(std::move(family));
  kernel.grid.policy = schedule.grid;
  builder.add(std::move(kernel));
  return builder.build();
}

}  // namespace attnsim
