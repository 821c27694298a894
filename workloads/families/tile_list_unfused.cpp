// SPDX-License-Identifier: Apache-2.0
// The unfused form: scores and softmax weights go through HBM; every KV tile is visited, masked or not.
#include "workloads/families/tile_list_unfused.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "workloads/families/tile_list.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::Fn;
using ir::When;

std::int64_t kv_tile_count(const TileListPlan& plan) {
  return (plan.kv_len + plan.rule.tile_kv - 1) / plan.rule.tile_kv;
}

ir::Access block(const TileListPlan& plan, ir::TensorId tensor) {
  ir::Access access = rows_access(tensor, 0);
  access.slab_multiplier = static_cast<int>(kv_tile_count(plan));
  access.add_trip = true;
  return access;
}

namespace {

constexpr int kSoftmaxRows = 16;
constexpr int kSoftmaxWarps = 4;
constexpr int kSoftmaxRegisters = 128;

ir::Access keys(const TileListPlan& plan, ir::TensorId tensor) {
  return {tensor, plan.kv_divisor, 1, false, false, ir::RowFrom::trip, 0};
}

// An agent that loads for its own MMAs needs a token only where these still read when the next load issues.
struct SlotGuard {
  const TileListPlan& plan;
  ir::TokenId empty;
  [[nodiscard]] ops::Ops acquire() const { return empty == ir::kNone ? ops::Ops{} : ops::Ops{ops::await(empty, plan.rule.stages)}; }
  [[nodiscard]] ops::Ops release(ir::TileId result) const {
    return empty == ir::kNone ? ops::Ops{} : ops::Ops{ops::signal(empty, {result})};
  }
};

bool in_tmem(const TileListPlan& plan) {
  return plan.mma == ir::MmaKind::tcgen05;
}

ir::TileId accumulator(ProgramBuilder& b, const TileListPlan& plan, const char* name, ir::AxisId rows, ir::AxisId cols, int agent) {
  return in_tmem(plan) ? b.tmem(name, rows, cols, ir::DType::f32) : b.registers(name, rows, cols, ir::DType::f32, agent);
}

// Tensor memory is not cleared: the first product overwrites.
ops::Ops start_sum(const TileListPlan& plan, ir::TileId sum) {
  return in_tmem(plan) ? ops::Ops{} : ops::with_role({ops::zero(sum)}, "init");
}
ops::Ops add_to_sum(const TileListPlan& plan, const ir::Op& mma) {
  if (!in_tmem(plan)) return {mma};
  ir::Op first = mma;
  first.accumulate = false;
  return {ops::when(When::first_trip, first), ops::when(When::not_first_trip, mma)};
}

}  // namespace

ir::Kernel unfused_kernel(const std::string& name, ir::Program program, TileListPlan plan, const Schedule& schedule, int tile_rows) {
  plan.rule.tile_q = tile_rows;
  ir::Kernel kernel;
  kernel.name = name;
  kernel.program = std::move(program);
  kernel.families = item_families(plan, schedule);
  kernel.grid = plan.grid;
  return kernel;
}

ir::Program rows_by_keys(const TileListPlan& plan, const Schedule& schedule, const RowProduct& product) {
  ProgramBuilder b;
  const int main = b.section("main", ir::SectionKind::loop);
  const AgentSpec& spec = schedule.agents.front();
  const int agent = b.agent(spec.name, spec.warps, spec.registers_per_thread);
  const ir::AxisId rows = b.rows("rows", plan.rule.tile_q);
  const ir::AxisId kv = b.trip_columns("kv", plan.rule.tile_kv);
  const ir::AxisId d = b.fixed("d", product.padded, product.head_dim);
  const ir::TileId q = b.smem("q", rows, d, plan.dtype);
  const ir::TileId k = b.smem("k", kv, d, plan.dtype, plan.rule.stages);
  const ir::TileId s = accumulator(b, plan, "s", rows, kv, agent);
  const bool scales = product.factor != 1;
  const ir::TileId wide = scales && in_tmem(plan) ? b.registers("s_wide", rows, kv, ir::DType::f32, agent) : s;
  const ir::TileId out = b.registers("s_out", rows, kv, plan.dtype, agent);
  const ir::TokenId q_full = b.token("q_full");
  const ir::TokenId k_full = b.token("k_full");
  const SlotGuard slots{plan, ir::is_async(plan.mma) ? b.token("k_empty") : ir::kNone};
  const int lag = plan.rule.stages - 1;
  ops::Ops& list = b.ops(agent, main);
  ops::append(list,
              ops::with_role({ops::when(When::first_trip, ops::load(q, rows_access(product.rows, 0), schedule.copy, {q_full}))}, "load_q"));
  ops::append(list, ops::with_role(slots.acquire(), "load_k"));
  ops::append(list, ops::with_role({ops::load(k, keys(plan, product.keys), schedule.copy, {k_full})}, "load_k"));
  ops::append(
      list, ops::with_role({ops::when(When::first_trip, ops::await(q_full)), ops::await(k_full), ops::mma(q, k, s, plan.mma, true, false)},
                           product.role, lag));
  ops::append(list, ops::with_role(slots.release(s), product.role, lag));
  ops::Ops store;
  if (scales) store.push_back(ops::binary(Fn::multiply, s, product.factor, wide));
  ops::append(store, {ops::convert(wide, out), ops::store(out, block(plan, product.out), ir::CopyKind::plain)});
  ops::append(list, ops::with_role(store, "store", lag));
  return b.take();
}

namespace {

// First loop: row maximum and sum; second loop: weights.
ir::Program softmax_program(const TileListPlan& plan, const TileListTensors& tensors) {
  ProgramBuilder b;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int statistics = b.section("statistics", ir::SectionKind::loop);
  const int sum = b.section("normalizer", ir::SectionKind::once);
  const int weights = b.section("weights", ir::SectionKind::loop);
  const int agent = b.agent("softmax", kSoftmaxWarps, kSoftmaxRegisters);
  const ir::AxisId rows = b.rows("rows", kSoftmaxRows);
  const ir::AxisId kv = b.trip_columns("kv", plan.rule.tile_kv);
  const auto vector = [&](const char* name) { return b.registers(name, rows, ir::kUnit, ir::DType::f32, agent); };
  const ir::TileId in = b.registers("s_in", rows, kv, plan.dtype, agent);
  const ir::TileId s = b.registers("s", rows, kv, ir::DType::f32, agent);
  const std::vector<ir::TileId> mask_results = mask_tiles(b, plan, rows, kv, agent);
  const ir::TileId out = b.registers("p", rows, kv, plan.dtype, agent);
  const ir::TileId m = vector("m");
  const ir::TileId m_new = vector("m_new");
  const ir::TileId m_safe = vector("m_safe");
  const ir::TileId alpha = vector("alpha");
  const ir::TileId l = vector("l");
  const ir::TileId row_sum = vector("row_sum");
  const double scale = std::numbers::log2e * plan.score.factor;
  const ScoreTiles modifiers = score_tiles(b, plan, rows, kv, agent);

  const ops::Ops read{ops::load(in, block(plan, tensors.scores), ir::CopyKind::plain), ops::convert(in, s)};
  const ops::Ops modify = score_ops(plan, tensors, modifiers, s);
  const ops::Ops mask = mask_ops(plan, tensors, mask_results, s);
  ops::append(b.ops(agent, prologue),
              ops::with_role({ops::zero(l), ops::zero(m), ops::binary(Fn::add, m, -std::numeric_limits<double>::infinity(), m)}, "init"));
  ops::append(b.ops(agent, prologue), mask_start(plan, tensors, mask_results));
  ops::append(b.ops(agent, prologue), score_start(plan, tensors, modifiers));
  for (const int section : {statistics, weights}) {
    ops::append(b.ops(agent, section), ops::with_role(read, "load_s"));
    ops::append(b.ops(agent, section), modify);
    ops::append(b.ops(agent, section), ops::with_role({ops::binary(Fn::multiply, s, scale, s)}, "load_s"));
    ops::append(b.ops(agent, section), ops::with_role(mask, "mask"));
  }
  const ops::Ops exponentials{ops::binary(Fn::subtract, s, m_safe, s), ops::unary(Fn::exp2, s, s)};
  ops::Ops online{ops::reduce_row(Fn::maximum, s, m_new), ops::binary(Fn::maximum, m_new, m, m_new),
                  ops::unary(Fn::finite_or_zero, m_new, m_safe), ops::binary(Fn::subtract, m, m_safe, alpha),
                  ops::unary(Fn::exp2, alpha, alpha)};
  ops::append(online, exponentials);
  ops::append(online, {ops::reduce_row(Fn::add, s, row_sum), ops::binary(Fn::multiply, l, alpha, l), ops::binary(Fn::add, l, row_sum, l),
                       ops::unary(Fn::copy, m_new, m)});
  ops::append(b.ops(agent, statistics), ops::with_role(online, "softmax"));
  ops::Ops end{ops::unary(Fn::finite_or_zero, m, m_safe),
               ops::unary(Fn::log2, l, alpha),
               ops::binary(Fn::add, alpha, m, alpha),
               ops::binary(Fn::multiply, alpha, std::numbers::ln2, alpha),
               ops::store(alpha, rows_access(tensors.lse, 0), ir::CopyKind::plain),
               ops::unary(Fn::reciprocal, l, row_sum),
               ops::unary(Fn::finite_or_zero, row_sum, row_sum)};
  ops::append(b.ops(agent, sum), ops::with_role(end, "normalize"));
  ops::Ops write = exponentials;
  ops::append(write, {ops::binary(Fn::multiply, s, row_sum, s), ops::convert(s, out)});
  ops::append(b.ops(agent, weights), ops::with_role(write, "softmax"));
  ops::append(b.ops(agent, weights), ops::with_role({ops::store(out, block(plan, tensors.weights), ir::CopyKind::plain)}, "store"));
  return b.take();
}

}  // namespace

namespace {

// Where a scores tile lies for the item and trip, which of its sides is the item's, and the other operand's rows.
struct SummedSides {
  ir::AxisId item;
  ir::AxisId trip;
  bool transposed;  // [trip x item]
  ir::Access scores;
  ir::Access values;
};

// An item adds up its trips' products.
ir::Program summed_product(ProgramBuilder b, const TileListPlan& plan, const Schedule& schedule, const ScoreProduct& product,
                           const SummedSides& sides) {
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int main = b.section("main", ir::SectionKind::loop);
  const int epilogue = b.section("epilogue", ir::SectionKind::once);
  const AgentSpec& spec = schedule.agents.front();
  const int agent = b.agent(spec.name, spec.warps, spec.registers_per_thread);
  const ir::AxisId d = b.fixed("d", product.padded, product.head_dim);
  const ir::TileId p =
      b.smem("p", sides.transposed ? sides.trip : sides.item, sides.transposed ? sides.item : sides.trip, plan.dtype, plan.rule.stages);
  const ir::TileId values = b.smem("values", sides.trip, d, plan.dtype, plan.rule.stages);
  const ir::TileId sum = accumulator(b, plan, "sum", sides.item, d, agent);
  const ir::TileId out = b.registers("out", sides.item, d, plan.dtype, agent);
  const ir::TokenId full = b.token("full", 2);
  const SlotGuard slots{plan, ir::is_async(plan.mma) ? b.token("empty") : ir::kNone};
  ops::append(b.ops(agent, prologue), start_sum(plan, sum));
  ops::Ops& list = b.ops(agent, main);
  ops::append(list, ops::with_role(slots.acquire(), "load_p"));
  ops::append(list, ops::with_role({ops::load(p, sides.scores, schedule.copy, {full})}, "load_p"));
  ops::append(list, ops::with_role({ops::load(values, sides.values, schedule.copy, {full})}, "load_v"));
  ir::Op mma = ops::mma(p, values, sum, plan.mma, false, true);
  mma.a_transposed = sides.transposed;
  const int lag = plan.rule.stages - 1;
  ops::append(list, ops::with_role({ops::await(full)}, product.role, lag));
  ops::append(list, ops::with_role(add_to_sum(plan, mma), product.role, lag));
  ops::append(list, ops::with_role(slots.release(sum), product.role, lag));
  ops::append(b.ops(agent, epilogue),
              ops::with_role({ops::convert(sum, out), ops::store(out, rows_access(product.out, 0), ir::CopyKind::plain)}, "store"));
  return b.take();
}

}  // namespace

ir::Program scores_by_values(const TileListPlan& plan, const Schedule& schedule, const ScoreProduct& product) {
  ProgramBuilder b;
  const ir::AxisId rows = b.rows("rows", plan.rule.tile_q);
  const ir::AxisId kv = b.trip_columns("kv", plan.rule.tile_kv);
  return summed_product(std::move(b), plan, schedule, product, {rows, kv, false, block(plan, product.scores), keys(plan, product.values)});
}

ir::Program scores_by_rows(const TileListPlan& plan, const Schedule& schedule, const ScoreProduct& product) {
  ProgramBuilder b;
  const ir::AxisId kv = b.rows("kv", plan.rule.tile_kv);
  const ir::AxisId rows = b.trip_columns("rows", plan.rule.tile_q);
  ir::Access column = block(plan, product.scores);  // of blocks: the item's KV tile
  column.add_trip = false;
  column.add_split = true;
  column.row_from = ir::RowFrom::trip;
  const ir::Access visited{product.values, 1, 1, false, false, ir::RowFrom::trip, 0};
  return summed_product(std::move(b), plan, schedule, product, {kv, rows, true, column, visited});
}

std::vector<ir::Kernel> unfused_kernels(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors) {
  const RowProduct scores{tensors.q, tensors.k, tensors.scores, plan.padded_qk, plan.head_dim_qk, 1, "qk"};
  const ScoreProduct output{tensors.weights, tensors.v, tensors.o, plan.padded_v, plan.head_dim_v, "pv"};
  return {unfused_kernel("scores", rows_by_keys(plan, schedule, scores), plan, schedule, plan.rule.tile_q),
          unfused_kernel("softmax", softmax_program(plan, tensors), plan, schedule, kSoftmaxRows),
          unfused_kernel("output", scores_by_values(plan, schedule, output), plan, schedule, plan.rule.tile_q)};
}

}  // namespace attnsim
