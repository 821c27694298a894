// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/tile_list_backward.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/core/error.h"
#include "workloads/families/tile_list_eager.h"
#include "workloads/families/tile_list_fused.h"
#include "workloads/families/transposed.h"

namespace attnsim {

double softmax_scale(const TileListPlan& plan) {
  return 1 / std::sqrt(static_cast<double>(plan.head_dim_qk));
}

namespace {

// One relation with the family's shift serves bands that differ in it alone.
bool of_one_band(const TileListPlan& plan) {
  const std::optional<Band> first = plan.groups.front().set.mask->band();
  return std::all_of(plan.groups.begin(), plan.groups.end(), [&](const BatchGroup& g) {
    const std::optional<Band> band = g.set.mask->band();
    return band && first && band->lower == first->lower && band->upper == first->upper;
  });
}

MaskCode seen_band_code(const TileListPlan& plan, int sign) {
  const Band band = plan.groups.front().set.mask->band().value();
  const bool uniform = std::all_of(plan.groups.begin(), plan.groups.end(), [&](const BatchGroup& g) {
    return g.set.mask->band()->shift == band.shift && g.set.kv_len() == plan.groups.front().set.kv_len();
  });
  const std::int64_t shift = uniform ? band.shift : 0;
  const int by_family = uniform ? 0 : 1;
  const int group = static_cast<int>(plan.row_group);
  MaskCode code;
  const auto keep = [&](const ir::Relation& relation) {
    MaskInstruction compare;
    compare.relation = relation;
    compare.by_row = compare.by_column = compare.predicate = true;
    code.keeps.push_back(static_cast<int>(code.instructions.size()));
    code.instructions.push_back(compare);
  };
  if (plan.cuts.upper) keep({sign, group, -sign, shift + band.upper, 0, by_family});
  if (plan.cuts.lower) keep({-sign, group, sign, -shift - band.lower, 0, -by_family});
  return code;
}

// Where queries come by lists a kernel reads their numbers.
MaskTest listed_test(const TileListPlan& plan, const Mask& mask) {
  const std::optional<MaskTest> test = by_place(mask.test_in_tiles(1, plan.rule.tile_kv), {});
  if (!test)
    illegal("/variant", "a mask that reads tables", fmt::format("is not tested where {} gathers queries", plan.schedule),
            "masks of places, or another schedule");
  return *test;
}

}  // namespace

TileListPlan seen_from(const TileListPlan& plan, RowsOf items, const Score& score) {
  const bool by_key = items == RowsOf::keys;
  TileListPlan view = plan;
  const std::int64_t loop_extent = !by_key ? plan.kv_len : plan.gathers ? std::max<std::int64_t>(1, plan.places) : plan.rows;
  view.loop_tiles = (loop_extent + plan.rule.tile_q - 1) / plan.rule.tile_q;
  if (by_key && plan.gathers) {
    std::vector<MaskTest> tests;
    for (const BatchGroup& group : plan.groups) {
      tests.push_back(transposed(listed_test(plan, *group.set.mask)));
      tests.back().key_values.resize(1);
    }
    view.code = mask_code(tests, 1);
  } else if (plan.packed && plan.cuts.other) {
    std::vector<MaskTest> tests;
    for (const BatchGroup& group : plan.groups) tests.push_back(group.set.mask->test_in_tiles(1, plan.rule.tile_q));
    view.code = mask_code(tests, plan.row_group);
  } else if (plan.cuts.other) {
    std::vector<MaskTest> tests;
    for (const BatchGroup& group : plan.groups) {
      tests.push_back(by_key ? transposed(group.set.mask->test_by_key()) : group.set.mask->test());
    }
    view.code = by_key ? mask_code(tests, 1, plan.rule.tile_q, plan.rule.tile_kv) : mask_code(tests, 1);
  } else {
    view.code = seen_band_code(plan, by_key ? -1 : 1);
  }
  view.score = plan_score(score, plan.groups, plan.head_dim_qk, 0, false, view.code.parameters);
  return view;
}

TileListPlan with_dq_tile(TileListPlan plan) {
  TileRule& rule = plan.rule;
  if (rule.dq_rows > 0) rule.tile_kv = rule.dq_rows;
  if (rule.dq_columns > 0) rule.tile_q = rule.dq_columns;
  if (rule.dq_warps > 0) rule.warps = rule.dq_warps;
  if (rule.dq_registers_per_thread > 0) rule.registers_per_thread = rule.dq_registers_per_thread;
  if (rule.dq_warp_columns > 0) rule.warp_columns = rule.dq_warp_columns;
  rule.trip_instructions = rule.dq_trip_instructions;
  return plan;
}

bool waits_for_products(const TileListPlan& plan, const Schedule& schedule) {
  constexpr int kWarpgroup = 4;
  const int warps = plan.rule.warps > 0 ? plan.rule.warps : spec_of(schedule, AgentKind::consumer).warps;
  return schedule.backward.waits_for_products && ir::is_async(plan.mma) && warps <= kWarpgroup;
}

ops::Ops wait_for(ir::TokenId done, ir::TileId result) {
  if (done == ir::kNone) return {};
  return {ops::signal(done, {result}), ops::await(done)};
}

ir::Op pass_on(const Schedule& schedule, ir::TokenId turn, ir::TileId added) {
  ir::Op op = ops::signal(turn, {added});
  op.until_seen = schedule.backward.turns_fenced;
  return op;
}

ir::Access key_rows(const TileListPlan& plan, ir::TensorId tensor) {
  return {tensor, plan.kv_divisor, 1, false, false, ir::RowFrom::item, 0};
}

ir::Access trip_rows(ir::TensorId tensor) {
  return {tensor, 1, 1, false, false, ir::RowFrom::trip, 0};
}

ops::Ops store_key_gradients(const TileListPlan& plan, const Schedule& schedule, const KeyGradients& g) {
  ops::Ops list;
  if (plan.kv_divisor > 1 && schedule.backward.grad_kv == GradKeyValue::atomic) {
    list = {ops::atomic_add(g.sum, key_rows(plan, g.to), ir::CopyKind::plain)};
  } else {
    if (g.factor != 1) list.push_back(ops::binary(ir::Fn::multiply, g.sum, g.factor, g.sum));
    ops::append(list, {ops::convert(g.sum, g.out), ops::store(g.out, rows_access(g.to, 0), ir::CopyKind::plain)});
  }
  return ops::with_role(list, "store");
}

namespace {

bool sums_dq(const Schedule& schedule) {
  return schedule.backward.adds_grad_query();
}
bool sums_heads_by_atomics(const TileListPlan& plan, const Schedule& schedule) {
  return plan.kv_divisor > 1 && schedule.backward.grad_kv == GradKeyValue::atomic;
}

// Per-token numbers and bits of a plan seen from one side.
void add_tables(ir::PipelineBuilder& builder, const TileListPlan& view, std::int64_t rows, const std::string& prefix, TileListTensors& t) {
  const std::int64_t entries = view.ragged ? view.slabs / view.slabs_per_entry : 1;
  const int columns = view.rule.tile_q;
  const std::int64_t tiles = view.loop_tiles;
  const auto add = [&](const char* name, int count, std::int64_t slabs, std::int64_t height, int width, ir::DType dtype,
                       std::vector<ir::TensorId>& to) {
    for (int i = 0; i < count; ++i)
      to.push_back(builder.tensor({fmt::format("{}{}{}", prefix, name, i), slabs, height, width, dtype, ir::TensorRole::input}));
  };
  add("row_values", view.code.query_tables, entries, rows, 1, ir::DType::i32, t.query_values);
  add("column_values", view.code.key_tables, entries * tiles, 1, columns, ir::DType::i32, t.key_values);
  add("bits", view.code.pair_tables, view.slabs * tiles, rows, columns, ir::DType::pred, t.pairs);
}

BackwardTensors make_backward_tensors(ir::PipelineBuilder& builder, const TileListPlan& plan, const Schedule& schedule, bool adds) {
  std::int64_t query_rows = 0;
  std::int64_t key_rows_stored = 0;
  for (const BatchGroup& g : plan.groups) {
    query_rows += g.slab_count * g.set.q_len();
    key_rows_stored += g.slab_count * g.set.kv_len();
  }
  const bool ragged = plan.ragged;
  const auto queries = [&](const char* name, int cols, ir::DType dtype, ir::TensorRole role, ir::TensorId same = ir::kNone) {
    return builder.tensor({name, plan.slabs, plan.rows, cols, dtype, role, ragged ? query_rows : 0, same});
  };
  const auto keys = [&](const char* name, std::int64_t slabs, int cols, ir::DType dtype, ir::TensorRole role,
                        ir::TensorId same = ir::kNone) {
    return builder.tensor({name, slabs, plan.kv_len, cols, dtype, role, ragged ? key_rows_stored * slabs / plan.slabs : 0, same});
  };
  constexpr ir::TensorRole kInput = ir::TensorRole::input;
  constexpr ir::TensorRole kBetween = ir::TensorRole::intermediate;
  BackwardTensors t;
  t.q = queries("q", plan.head_dim_qk, plan.dtype, kInput);
  t.k = keys("k", plan.kv_slabs, plan.head_dim_qk, plan.dtype, kInput);
  t.v = keys("v", plan.kv_slabs, plan.head_dim_v, plan.dtype, kInput);
  t.o = queries("o", plan.head_dim_v, plan.dtype, kInput);
  t.lse = queries("lse", 1, ir::DType::f32, kInput);
  t.grad_o = queries("do", plan.head_dim_v, plan.dtype, kInput);
  const ir::TensorRole gradient = adds ? kBetween : ir::TensorRole::output;
  t.grad_q = queries("dq", plan.head_dim_qk, plan.dtype, gradient);
  t.grad_k = keys("dk", plan.kv_slabs, plan.head_dim_qk, plan.dtype, gradient);
  t.grad_v = keys("dv", plan.kv_slabs, plan.head_dim_v, plan.dtype, gradient);
  if (adds) {
    t.held_q = {queries("held_dq", plan.head_dim_qk, plan.dtype, kInput), ir::kNone};
    t.held_k = {keys("held_dk", plan.kv_slabs, plan.head_dim_qk, plan.dtype, kInput), ir::kNone};
    t.held_v = {keys("held_dv", plan.kv_slabs, plan.head_dim_v, plan.dtype, kInput), ir::kNone};
    t.held_q.after = queries("total_dq", plan.head_dim_qk, plan.dtype, ir::TensorRole::output, t.held_q.before);
    t.held_k.after = keys("total_dk", plan.kv_slabs, plan.head_dim_qk, plan.dtype, ir::TensorRole::output, t.held_k.before);
    t.held_v.after = keys("total_dv", plan.kv_slabs, plan.head_dim_v, plan.dtype, ir::TensorRole::output, t.held_v.before);
  }
  t.lse2 = queries("lse2", 1, ir::DType::f32, kBetween);
  t.delta = queries("delta", 1, ir::DType::f32, kBetween);
  if (plan.score.score.alibi)
    t.tables.alibi_slopes = t.query_tables.alibi_slopes =
        builder.tensor({"alibi_slopes", plan.slabs_per_entry, 1, 1, ir::DType::f32, kInput});
  if (sums_dq(schedule)) t.grad_q_sum = queries("dq_sum", plan.head_dim_qk, ir::DType::f32, kBetween);
  if (plan.kv_divisor > 1) {
    const bool atomic = sums_heads_by_atomics(plan, schedule);
    const std::int64_t slabs = atomic ? plan.kv_slabs : plan.slabs;
    const ir::DType dtype = atomic ? ir::DType::f32 : plan.dtype;
    t.grad_k_part = keys(atomic ? "dk_sum" : "dk_part", slabs, plan.head_dim_qk, dtype, kBetween);
    t.grad_v_part = keys(atomic ? "dv_sum" : "dv_part", slabs, plan.head_dim_v, dtype, kBetween);
  }
  return t;
}

// Query tiles that a KV tile visits; for the query-stationary kernel KV tiles that a query tile visits.
std::vector<ir::ItemFamily> main_items(const TileListPlan& plan, const TileListPlan& view, const Schedule& schedule, bool by_query,
                                       const std::vector<QueryLists>& lists) {
  std::vector<ir::ItemFamily> families;
  const Tiling tiling{.tile_q = plan.rule.tile_q, .tile_kv = plan.rule.tile_kv, .descending = schedule.kv_descending};
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const BatchGroup& group = plan.groups[i];
    ir::ItemFamily family;
    if (i < view.code.parameters.size()) family.parameters = view.code.parameters[i];
    family.slab_begin = group.slab_begin;
    family.slab_count = group.slab_count;
    family.shift = group.set.mask->band().value_or(Band{}).shift;
    std::size_t same = 0;  // heads may share a mask
    while (same < i && plan.groups[same].set.mask != group.set.mask) ++same;
    if (by_query) {
      const std::int64_t rows = plan.packed ? plan.row_group : tiling.tile_kv;
      family.loop_extent = group.set.kv_len();
      family.tiles = same < i ? families[same].tiles
                              : row_tiles(group.set, {.tile_q = rows, .tile_kv = tiling.tile_q, .descending = tiling.descending});
    } else if (plan.gathers) {
      family.loop_extent = plan.places;
      family.tiles = same < i ? families[same].tiles : lists[i].tiles;
    } else {
      family.loop_extent = group.set.q_len();
      family.tiles = same < i ? families[same].tiles : kv_row_tiles(group.set, tiling);
    }
    for (ir::RowTile& tile : family.tiles) tile.flag = tile.runs.empty();
    families.push_back(std::move(family));
  }
  return families;
}

// What is alive at once in a computing agent: dK and dV, and S with dP, or dQ.
void check_registers(const TileListPlan& plan, const Schedule& schedule, const ir::Program& program) {
  const auto& agent = *std::find_if(program.agents.begin(), program.agents.end(), [&](const ir::Agent& a) {
    return std::any_of(schedule.agents.begin(), schedule.agents.end(),
                       [&](const AgentSpec& s) { return s.name == a.name && (s.kind == AgentKind::all || s.kind == AgentKind::consumer); });
  });
  const std::int64_t scores = static_cast<std::int64_t>(plan.rule.tile_kv) * plan.rule.tile_q;
  const std::int64_t grad_q = sums_dq(schedule) ? static_cast<std::int64_t>(plan.rule.tile_q) * plan.padded_qk : 0;
  const std::int64_t sums = static_cast<std::int64_t>(plan.rule.tile_kv) * (plan.padded_qk + plan.padded_v);
  const std::int64_t kept = plan.score.score.softcap > 0 ? scores : 0;  // squares of tanh
  const std::int64_t per_thread = (sums + std::max(2 * scores + kept, grad_q)) / (32 * agent.warps);
  if (per_thread <= agent.registers_per_thread) return;
  illegal("/schedule", plan.schedule,
          fmt::format("needs {} registers per thread of agent {} for head_dim {} ({} x {} tile)", per_thread, agent.name, plan.padded_qk,
                      plan.rule.tile_q, plan.rule.tile_kv),
          fmt::format("up to {}", agent.registers_per_thread));
}

void check_backward_plan(const TileListPlan& plan, const Score& score, const Schedule& schedule, const Chip& chip) {
  BackwardTensors any{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, plan.kv_divisor > 1 ? 12 : ir::kNone, plan.kv_divisor > 1 ? 13 : ir::kNone};
  any.tables.alibi_slopes = 14;
  any.tables.query_values = any.tables.key_values = any.tables.pairs = std::vector<ir::TensorId>(16, 15);
  any.query_tables = any.tables;
  const ir::Program program = key_stationary_program(seen_from(plan, RowsOf::keys, score), schedule, any);
  check_fits(program, plan, chip, false);
  if (plan.mma != ir::MmaKind::tcgen05) check_registers(plan, schedule, program);
  if (sums_dq(schedule)) return;
  const TileListPlan dq_plan = query_plan(plan, schedule);
  check_fits(query_stationary_program(seen_from(dq_plan, RowsOf::queries, score), schedule, any), dq_plan, chip, false);
}

TileListPlan with_rule(TileListPlan plan, const Score& score, const Schedule& schedule, const TileRule& rule) {
  plan.rule = rule;
  plan.score.score = score;
  if (!rule.q_boxes.empty()) {
    take_boxes(plan, schedule, rule);
    if (plan.boxes->reorders)
      illegal("/params/tokens", "layout",
              fmt::format("is not the order in which {} works, and nothing brings gradients back yet", schedule.name), "boxes");
  }
  for (const BatchGroup& group : plan.groups) {
    for (const int width : {rule.tile_kv, with_dq_tile(plan).rule.tile_q}) {
      const Cuts c = cuts(group.set, width);
      plan.cuts.upper = plan.cuts.upper || c.upper;
      plan.cuts.lower = plan.cuts.lower || c.lower;
    }
  }
  plan.cuts.other = !of_one_band(plan);
  plan.gathers = schedule.backward.gathers_queries;
  if (plan.gathers && (plan.ragged || score.alibi))
    illegal(plan.ragged ? "/shape/q_len" : "/score/alibi", plan.ragged ? "lengths that differ" : "alibi",
            fmt::format("are not lowered where {} gathers queries", schedule.name), "entries of one length, no alibi");
  const bool every = schedule.mask == MaskPolicy::all_tiles || schedule.mask == MaskPolicy::all_or_none;
  plan.mask_when = every ? ir::When::always : ir::When::partial_trip;
  return plan;
}

// The first rule that applies and fits; else the complaint about the last one that applies.
TileListPlan choose_tiles(const TileListPlan& plan, const Score& score, const Schedule& schedule, const Chip& chip) {
  std::optional<ConfigError> complaint;
  for (const TileRule& rule : schedule.tiles) {
    if (!applies(rule, plan)) continue;
    try {
      TileListPlan candidate = with_rule(plan, score, schedule, rule);
      check_backward_plan(candidate, score, schedule, chip);
      return candidate;
    } catch (const ConfigError& error) {
      complaint = error;
    }
  }
  if (complaint) throw *complaint;
  illegal("/schedule", schedule.name, fmt::format("has no tile rule for head_dim {} and this mask", plan.padded_qk));
}

ir::Kernel main_kernel(const TileListPlan& problem_plan, const Score& score, const Schedule& schedule, const BackwardTensors& tensors,
                       RowsOf items, const std::vector<QueryLists>& lists) {
  const bool by_query = items == RowsOf::queries;
  const TileListPlan plan = by_query ? query_plan(problem_plan, schedule) : problem_plan;
  const TileListPlan view = seen_from(plan, items, score);
  ir::Kernel kernel;
  kernel.name = by_query ? "dq" : sums_dq(schedule) ? "dq_dk_dv" : "dk_dv";
  kernel.program = by_query ? query_stationary_program(view, schedule, tensors) : key_stationary_program(view, schedule, tensors);
  if (by_query && plan.packed) address_groups(kernel.program, plan, tensors);
  if (!by_query && plan.gathers) kernel.program.orders = {order_of(lists, plan.rows)};
  kernel.random_trips = (by_query || plan.gathers) && visits_at_random(plan);
  kernel.families = main_items(plan, view, schedule, by_query, lists);
  kernel.grid = plan.grid;
  return kernel;
}

void add_reductions(ir::PipelineBuilder& builder, const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& t) {
  if (plan.kv_divisor == 1) return;
  if (sums_heads_by_atomics(plan, schedule)) {
    builder.add(convert_kernel(plan, schedule, "convert_dk", RowsOf::keys, t.grad_k_part, t.grad_k, plan.head_dim_qk, softmax_scale(plan)));
    builder.add(convert_kernel(plan, schedule, "convert_dv", RowsOf::keys, t.grad_v_part, t.grad_v, plan.head_dim_v, 1));
  } else {
    builder.add(sum_heads_kernel(plan, schedule, "sum_dk", t.grad_k_part, t.grad_k, plan.head_dim_qk));
    builder.add(sum_heads_kernel(plan, schedule, "sum_dv", t.grad_v_part, t.grad_v, plan.head_dim_v));
  }
}

}  // namespace

ir::Pipeline lower_tile_list_backward(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                      const std::vector<ExtraKernel>& extras) {
  if (!schedule.fused()) return lower_eager_backward(variant, problem, schedule, chip, extras);
  const TileListPlan problem_plan = plan_problem(variant, problem, schedule, chip);
  if (problem_plan.v_in_k) illegal("/pass", "backward", fmt::format("is not lowered for {}, whose V lies in K", variant.name));
  if (!problem.score.bias_radius.empty())
    illegal("/score/bias_radius", "bias", "has no gradient yet: the backward pass is not lowered with it", "softcap, alibi");
  TileListPlan plan = choose_tiles(problem_plan, problem.score, schedule, chip);
  const std::vector<QueryLists> lists = plan.gathers ? lists_of(plan) : std::vector<QueryLists>{};
  for (const QueryLists& list : lists) plan.places += static_cast<std::int64_t>(list.query.size());
  ir::PipelineBuilder builder(fmt::format("{} backward {}", variant.name, schedule.name));
  const bool adds = std::find(extras.begin(), extras.end(), ExtraKernel::add_gradients) != extras.end();
  BackwardTensors t = make_backward_tensors(builder, plan, schedule, adds);
  add_tables(builder, seen_from(plan, RowsOf::keys, problem.score), plan.kv_len, "key_", t.tables);
  if (!sums_dq(schedule))
    add_tables(builder, seen_from(query_plan(plan, schedule), RowsOf::queries, problem.score), plan.rows, "query_", t.query_tables);
  if (sums_dq(schedule) && !schedule.backward.clear_in_preprocess) {
    builder.add(clear_kernel(plan, schedule, "clear_dq", RowsOf::queries, t.grad_q_sum, plan.head_dim_qk));
  }
  if (sums_heads_by_atomics(plan, schedule)) {
    builder.add(clear_kernel(plan, schedule, "clear_dk", RowsOf::keys, t.grad_k_part, plan.head_dim_qk));
    builder.add(clear_kernel(plan, schedule, "clear_dv", RowsOf::keys, t.grad_v_part, plan.head_dim_v));
  }
  builder.add(preprocess_kernel(plan, schedule, t));
  if (schedule.backward.makes_lists) {
    builder.add(count_lists_kernel(builder, plan));
    if (schedule.backward.list_host_us > 0) builder.add(ir::HostGap{"list_host", Nanoseconds(1e3 * schedule.backward.list_host_us)});
  }
  const auto clear = [&](const char* name, RowsOf rows, ir::TensorId tensor, int columns) {
    if (schedule.backward.clears_gradients) builder.add(clear_kernel(plan, schedule, name, rows, tensor, columns));
  };
  const bool parts = plan.kv_divisor > 1;
  clear("clear_dk", RowsOf::key_parts, parts ? t.grad_k_part : t.grad_k, plan.head_dim_qk);
  clear("clear_dv", RowsOf::key_parts, parts ? t.grad_v_part : t.grad_v, plan.head_dim_v);
  builder.add(main_kernel(plan, problem.score, schedule, t, RowsOf::keys, lists));
  if (sums_dq(schedule)) {
    builder.add(
        convert_kernel(plan, schedule, "convert_dq", RowsOf::queries, t.grad_q_sum, t.grad_q, plan.head_dim_qk, softmax_scale(plan)));
  } else {
    // The sums over heads come first there.
    if (schedule.backward.clears_gradients) add_reductions(builder, plan, schedule, t);
    clear("clear_dq", RowsOf::queries, t.grad_q, plan.head_dim_qk);
    builder.add(main_kernel(plan, problem.score, schedule, t, RowsOf::queries, lists));
  }
  if (sums_dq(schedule) || !schedule.backward.clears_gradients) add_reductions(builder, plan, schedule, t);
  if (adds) {
    builder.add(add_gradient_kernel(plan, "add_dq", RowsOf::queries, t.grad_q, t.held_q, plan.head_dim_qk));
    builder.add(add_gradient_kernel(plan, "add_dk", RowsOf::keys, t.grad_k, t.held_k, plan.head_dim_qk));
    builder.add(add_gradient_kernel(plan, "add_dv", RowsOf::keys, t.grad_v, t.held_v, plan.head_dim_v));
  }
  return builder.build();
}

}  // namespace attnsim
