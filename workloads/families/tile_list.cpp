// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/tile_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "sim/core/error.h"
#include "workloads/families/copies.h"
#include "workloads/families/reorder.h"
#include "workloads/families/tile_list_backward.h"
#include "workloads/families/tile_list_eager.h"
#include "workloads/families/tile_list_fused.h"
#include "workloads/families/tile_list_unfused.h"

namespace attnsim {

namespace {

constexpr int kPlaceholderTables = 16;

// The programs depend on tensor ids only by number, so any ids do for a check; each its own, so that they can be replaced.
TileListTensors placeholder_tensors() {
  ir::TensorId next = 0;
  const auto tables = [&] {
    std::vector<ir::TensorId> ids(kPlaceholderTables);
    std::iota(ids.begin(), ids.end(), next);
    next += kPlaceholderTables;
    return ids;
  };
  TileListTensors t;
  for (ir::TensorId* id : {&t.q, &t.k, &t.v, &t.o, &t.lse, &t.metadata, &t.block_table, &t.o_partial, &t.lse_partial, &t.scores, &t.weights,
                           &t.o_accumulator, &t.alibi_slopes, &t.bias_table})
    *id = next++;
  t.query_values = tables();
  t.key_values = tables();
  t.pairs = tables();
  return t;
}

// In the order of placeholder_tensors().
std::vector<ir::TensorId> numbered(const TileListTensors& t) {
  std::vector<ir::TensorId> ids{t.q,         t.k,           t.v,      t.o,       t.lse,           t.metadata,     t.block_table,
                                t.o_partial, t.lse_partial, t.scores, t.weights, t.o_accumulator, t.alibi_slopes, t.bias_table};
  for (const auto* tables : {&t.query_values, &t.key_values, &t.pairs}) {
    ids.insert(ids.end(), tables->begin(), tables->end());
    ids.insert(ids.end(), kPlaceholderTables - tables->size(), ir::kNone);
  }
  return ids;
}

void replace_placeholders(ir::Program& program, const TileListTensors& tensors) {
  const std::vector<ir::TensorId> ids = numbered(tensors);
  for (ir::Agent& agent : program.agents) {
    for (auto& section : agent.sections) {
      for (ir::Op& op : section) {
        if (op.access.tensor != ir::kNone) op.access.tensor = ids[static_cast<std::size_t>(op.access.tensor)];
      }
    }
  }
}

void check_plan(TileListPlan& plan, const Schedule& schedule, const Chip& chip) {
  if (!schedule.fused()) {
    for (const ir::Kernel& kernel : unfused_kernels(plan, schedule, placeholder_tensors())) check_fits(kernel.program, plan, chip);
    if (schedule.pass == Pass::backward)
      check_fits(scores_by_rows(plan, schedule, {0, 1, 2, plan.padded_qk, plan.head_dim_qk, "dk"}), plan, chip);
  } else {
    plan.checked_program = std::make_shared<ir::Program>(fused_program(plan, schedule, placeholder_tensors()));
    check_fits(*plan.checked_program, plan, chip);
  }
}

struct TensorMaker {
  ir::PipelineBuilder& builder;
  const TileListPlan& plan;
  std::optional<ir::DType> given = std::nullopt;  // of Q, K, V and O where the kernels compute in another type

  [[nodiscard]] std::int64_t stored(bool queries) const {
    if (!plan.ragged) return 0;  // all of them
    std::int64_t rows = 0;
    for (const BatchGroup& g : plan.groups) rows += g.slab_count * (queries ? g.set.rows() : g.set.kv_len());
    return queries ? rows : rows / plan.kv_divisor;
  }
  // As kernels outside the attention see them: in the layout's order where boxes are made by kernels.
  [[nodiscard]] bool outside(ir::TensorRole role) const {
    return plan.boxes && (plan.boxes->reorders || plan.boxes->gathers) && role != ir::TensorRole::intermediate;
  }
  ir::TensorId queries(const char* name, int cols, ir::DType dtype, ir::TensorRole role) const {
    return builder.tensor({name, plan.slabs, outside(role) ? plan.boxes->q_rows : plan.rows, cols, dtype, role, stored(true)});
  }
  // `piece`: columns that are loaded at once.
  ir::TensorId keys(const char* name, int cols, ir::TensorRole role, int piece) const {
    ir::Tensor tensor{name, plan.kv_slabs, outside(role) ? plan.boxes->kv_rows : plan.kv_len, cols, given.value_or(plan.dtype_kv),
                      role, stored(false)};
    if (cols % piece == 0) tensor.column_parts = cols / piece;
    return builder.tensor(tensor);
  }
};

TileListTensors make_tensors(ir::PipelineBuilder& builder, const TileListPlan& plan, const Schedule& schedule, bool writes_cache,
                             ir::DType given) {
  const TensorMaker make{builder, plan, schedule.eager.computes.empty() ? std::nullopt : std::optional(given)};
  TileListTensors t;
  const ir::DType dtype = make.given.value_or(plan.dtype);
  t.q = make.queries("q", plan.head_dim_qk, dtype, ir::TensorRole::input);
  const ir::TensorRole cached = writes_cache ? ir::TensorRole::intermediate : ir::TensorRole::input;
  const int k_piece = plan.padded_qk / plan.rule.k_pieces;
  const int v_piece = plan.padded_v / plan.rule.v_pieces;
  t.k =
      plan.k_is_q ? t.q : make.keys("k", plan.head_dim_qk, cached, plan.v_in_k && !plan.v_is_view() ? std::gcd(k_piece, v_piece) : k_piece);
  t.v = plan.v_in_k ? t.k : make.keys("v", plan.head_dim_v, cached, v_piece);
  t.o = make.queries("o", plan.head_dim_v, dtype, ir::TensorRole::output);
  if (schedule.form != "eager") t.lse = make.queries("lse", 1, ir::DType::f32, ir::TensorRole::output);
  if (schedule.item_global_round_trips + schedule.consumer_global_round_trips > 0 || (plan.o_in_memory && schedule.o_pieces > 1))
    t.metadata = builder.tensor({"metadata", 1, 1, 1, ir::DType::i32, ir::TensorRole::input});
  if (schedule.trip_global_round_trips > 0) {
    const std::int64_t pages = (plan.kv_len + schedule.page_tokens - 1) / schedule.page_tokens;
    t.block_table = builder.tensor({"block_table", plan.batch, std::max<std::int64_t>(pages, plan.pages_per_tile(schedule.page_tokens)), 1,
                                    ir::DType::i32, ir::TensorRole::input});
  }
  if (plan.o_in_memory) t.o_accumulator = make.queries("o_accumulator", plan.head_dim_v, ir::DType::f32, ir::TensorRole::intermediate);
  if (plan.splits > 1) {
    const std::int64_t slabs = plan.slabs * plan.splits;
    t.o_partial = builder.tensor({"o_partial", slabs, plan.rows, plan.head_dim_v, ir::DType::f32, ir::TensorRole::intermediate});
    t.lse_partial = builder.tensor({"lse_partial", slabs, plan.rows, 1, ir::DType::f32, ir::TensorRole::intermediate});
  }
  const std::int64_t entries = plan.ragged ? plan.slabs / plan.slabs_per_entry : 1;
  const std::int64_t kv_tiles = (plan.kv_len + plan.rule.tile_kv - 1) / plan.rule.tile_kv;
  for (int i = 0; i < plan.code.query_tables; ++i) {
    t.query_values.push_back(
        builder.tensor({fmt::format("query_values{}", i), entries, plan.rows, 1, ir::DType::i32, ir::TensorRole::input}));
  }
  for (int i = 0; i < plan.code.key_tables; ++i) {
    t.key_values.push_back(
        builder.tensor({fmt::format("key_values{}", i), entries * kv_tiles, 1, plan.rule.tile_kv, ir::DType::i32, ir::TensorRole::input}));
  }
  for (int i = 0; i < plan.code.pair_tables; ++i) {
    t.pairs.push_back(builder.tensor(
        {fmt::format("pairs{}", i), plan.slabs * kv_tiles, plan.rows, plan.rule.tile_kv, ir::DType::pred, ir::TensorRole::input}));
  }
  if (plan.score.score.alibi)
    t.alibi_slopes =
        builder.tensor({"alibi_slopes", plan.slabs_per_entry, plan.packed ? plan.rows : 1, 1, ir::DType::f32, ir::TensorRole::input});
  if (!plan.score.score.bias_radius.empty())
    t.bias_table =
        builder.tensor({"bias_table", plan.slabs_per_entry, 1, plan.score.score.bias_elements(), ir::DType::f32, ir::TensorRole::input});
  if (!schedule.fused()) {
    const std::int64_t slabs = plan.slabs * kv_tiles;
    t.scores = builder.tensor({"scores", slabs, plan.rows, plan.rule.tile_kv, plan.dtype, ir::TensorRole::intermediate});
    t.weights = builder.tensor({"weights", slabs, plan.rows, plan.rule.tile_kv, plan.dtype, ir::TensorRole::intermediate});
  }
  return t;
}

// Q, K, V, O and LSE as the attention kernel holds them.
TileListTensors hold_in_boxes(ir::PipelineBuilder& builder, const TileListPlan& plan, TileListTensors t) {
  const TensorMaker make{builder, plan};
  t.q = make.queries("q_boxes", plan.head_dim_qk, plan.dtype, ir::TensorRole::intermediate);
  t.k = make.keys("k_boxes", plan.head_dim_qk, ir::TensorRole::intermediate, plan.head_dim_qk);
  t.v = make.keys("v_boxes", plan.head_dim_v, ir::TensorRole::intermediate, plan.head_dim_v);
  t.o = make.queries("o_boxes", plan.head_dim_v, plan.dtype, ir::TensorRole::intermediate);
  t.lse = make.queries("lse_boxes", 1, ir::DType::f32, ir::TensorRole::intermediate);
  return t;
}

// A page is a piece of K and one of V, of one head.
ir::Scatter scatter_of(const TileListPlan& plan, const Schedule& schedule) {
  const double bytes = ir::bits_of(plan.dtype_kv) / 8.0;
  const double columns = plan.v_in_k ? plan.head_dim_qk : plan.head_dim_qk + plan.head_dim_v;
  const double pieces = plan.v_in_k ? 1 : 2;
  std::int64_t keys = 0;
  for (const BatchGroup& group : plan.groups) keys += group.slab_count * group.set.kv_len();
  return {schedule.page_tokens * columns * bytes / pieces, static_cast<double>(keys / plan.kv_divisor) * columns * bytes};
}

// PyTorch's fill of a tensor that is made for O.
ir::Kernel clear_output_kernel(const TileListPlan& plan, ir::TensorId o) {
  constexpr int kRows = 64;
  constexpr int kWarps = 4;
  constexpr int kRegisters = 32;
  ProgramBuilder b;
  const int section = b.section("clear", ir::SectionKind::once);
  const int agent = b.agent("clear", kWarps, kRegisters);
  const ir::TileId zero = b.registers("zero", b.rows("rows", kRows), b.fixed("d", plan.head_dim_v, plan.head_dim_v), plan.dtype, agent);
  ops::append(b.ops(agent, section), ops::with_role({ops::zero(zero), ops::store(zero, rows_access(o, 0), ir::CopyKind::plain)}, "clear"));
  ir::Kernel kernel;
  kernel.name = "clear_o";
  kernel.program = b.take();
  ir::ItemFamily family;
  family.slab_count = plan.slabs;
  for (std::int64_t row = 0; row < plan.rows; row += kRows) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min<std::int64_t>(kRows, plan.rows - row);
    family.tiles.push_back(std::move(tile));
  }
  kernel.families.push_back(std::move(family));
  return kernel;
}

// Of a row, in one request; 0: whole lines. A box of TMA is no wider than the swizzle that its tile lies by in SMEM (CUDA driver API,
// cuTensorMapEncodeTiled), for which kernels take the widest of 128, 64 and 32 bytes that divides the rows.
int request_bytes(const TileListPlan& plan, const Schedule& schedule) {
  if (schedule.copy != ir::CopyKind::tma) return schedule.request_bytes;
  const auto divides = [&](int bytes) {
    return plan.padded_qk * ir::bits_of(plan.dtype_kv) % (8 * bytes) == 0 && plan.padded_v * ir::bits_of(plan.dtype_kv) % (8 * bytes) == 0;
  };
  if (divides(128)) return 0;
  return divides(64) ? 64 : 32;
}

// `last`: nothing after it asks for the plan's items, of which there may be very many.
ir::Kernel attention_kernel(const TileListPlan& plan, const Schedule& schedule, const TileListTensors& tensors, bool last) {
  ir::Kernel kernel;
  kernel.name = "attention";
  if (plan.checked_program && plan.column_begin == 0 && plan.checked_program.use_count() == 1) {
    kernel.program = std::move(*plan.checked_program);
    replace_placeholders(kernel.program, tensors);
  } else {
    kernel.program = fused_program(plan, schedule, tensors);
  }
  if (plan.boxes && plan.boxes->gathers) address_boxes(kernel.program, *plan.boxes, tensors);
  if (last && plan.families.use_count() == 1)
    kernel.families = std::move(*plan.families);
  else
    kernel.families = *plan.families;
  kernel.grid = plan.grid;
  kernel.grid.programmatic_launch = schedule.prepare_kernel;
  kernel.request_bytes = request_bytes(plan, schedule);
  kernel.random_trips = visits_at_random(plan);
  if (schedule.paged && schedule.scattered_pages) kernel.scatter = scatter_of(plan, schedule);
  return kernel;
}

// Register tiles of the main loop. Row vectors and predicates are small; a 16-bit tile takes over the registers of the tile
// that it was converted from, unless asynchronous MMAs still read it while the next trip computes. A tile that is widened stays as it
// is, and its numbers are wide one at a time.
std::int64_t loop_register_bits(const ir::Program& program, int agent, bool async_mma) {
  std::set<ir::TileId> used;
  std::set<ir::TileId> outlive;  // what modifies scores lives for one element at a time
  std::set<ir::TileId> narrow;
  std::set<ir::TileId> wide;
  const auto bits_of = [&](ir::TileId id) { return ir::bits_of(program.tiles[static_cast<std::size_t>(id)].dtype); };
  for (std::size_t s = 0; s < program.sections.size(); ++s) {
    if (program.sections[s].kind != ir::SectionKind::loop || program.sections[s].trips != ir::TripSource::runs) continue;
    for (const ir::Op& op : program.agents[static_cast<std::size_t>(agent)].sections[s]) {
      used.insert(op.in.begin(), op.in.end());
      used.insert(op.out.begin(), op.out.end());
      if (op.kind == ir::OpKind::convert && bits_of(op.in[0]) < bits_of(op.out[0])) {
        narrow.insert(op.in[0]);
        wide.insert(op.out[0]);
      }
      if (op.role == "modify") continue;
      outlive.insert(op.in.begin(), op.in.end());
      outlive.insert(op.out.begin(), op.out.end());
    }
  }
  std::int64_t bits = 0;
  for (const ir::TileId id : used) {
    const ir::Tile& tile = program.tiles[static_cast<std::size_t>(id)];
    // One element at a time.
    const bool scratch = tile.dtype == ir::DType::pred || tile.dtype == ir::DType::i32 || outlive.count(id) == 0 || wide.count(id) > 0;
    const bool counted = !scratch && (tile.dtype == ir::DType::f32 || async_mma || narrow.count(id) > 0);
    if (tile.space == ir::Space::registers && tile.cols != ir::kUnit && counted)
      bits += program.stored_elements(id) * ir::bits_of(tile.dtype);
  }
  return bits;
}

}  // namespace

bool applies(const TileRule& rule, const TileListPlan& plan) {
  return plan.padded_qk <= rule.head_dim_max && (rule.mask == MaskClass::any || rule.mask == plan.mask) &&
         (rule.rows_max == 0 || plan.rows <= rule.rows_max);
}

void check_fits(const ir::Program& program, const TileListPlan& plan, const Chip& chip, bool loop_registers) {
  constexpr double kReservedKib = 1;  // per CTA, by the system (ir::occupancy)
  const double smem_kib = static_cast<double>(program.smem_bytes()) / 1024;
  const double limit_kib = std::min(chip.sm.smem_per_cta_kib, chip.sm.smem_kib - kReservedKib);
  if (smem_kib > limit_kib) {
    illegal("/schedule", plan.schedule,
            fmt::format("needs {:.0f} KiB of SMEM per CTA for head_dim {} ({} x {} tile, {} stages)", smem_kib, plan.padded_qk,
                        plan.rule.tile_q, plan.rule.tile_kv, plan.rule.stages),
            fmt::format("up to {:.0f} KiB on {}", limit_kib, chip.name));
  }
  const double tmem_kib = static_cast<double>(program.tmem_bytes()) / 1024;
  if (tmem_kib > chip.sm.tmem_kib) {
    illegal("/schedule", plan.schedule,
            fmt::format("needs {:.0f} KiB of tensor memory per CTA for head_dim {} ({} x {} tile)", tmem_kib, plan.padded_qk,
                        plan.rule.tile_q, plan.rule.tile_kv),
            fmt::format("up to {:.0f} KiB on {}", chip.sm.tmem_kib, chip.name));
  }
  if (program.threads() > chip.sm.max_threads) {
    illegal("/schedule", plan.schedule, fmt::format("needs {} threads per CTA", program.threads()),
            fmt::format("up to {} on {}", chip.sm.max_threads, chip.name));
  }
  std::int64_t registers = 0;
  for (std::size_t a = 0; a < program.agents.size(); ++a) {
    const ir::Agent& agent = program.agents[a];
    registers += static_cast<std::int64_t>(agent.warps) * 32 * agent.registers_per_thread;
    const std::int64_t bits = loop_registers ? loop_register_bits(program, static_cast<int>(a), ir::is_async(plan.mma)) : 0;
    const std::int64_t per_thread = bits / 32 / (static_cast<std::int64_t>(agent.warps) * 32);
    if (per_thread > agent.registers_per_thread) {
      illegal("/schedule", plan.schedule,
              fmt::format("needs {} registers per thread of agent {} for head_dim {} ({} x {} tile)", per_thread, agent.name,
                          plan.padded_qk, plan.rule.tile_q, plan.rule.tile_kv),
              fmt::format("up to {}", agent.registers_per_thread));
    }
  }
  if (static_cast<double>(registers) * 4 / 1024 > chip.sm.registers_kib) {
    illegal("/schedule", plan.schedule, fmt::format("needs {} registers per CTA", registers),
            fmt::format("up to {:.0f} on {}", chip.sm.registers_kib * 1024 / 4, chip.name));
  }
}

TileListPlan choose_tiles(const TileListPlan& plan, const Problem& problem, const Schedule& schedule, const Chip& chip) {
  std::optional<ConfigError> complaint;
  for (const TileRule& rule : schedule.tiles) {
    if (!applies(rule, plan)) continue;
    try {
      TileListPlan candidate = plan_tiles(plan, problem, schedule, chip, rule);
      check_plan(candidate, schedule, chip);
      return candidate;
    } catch (const ConfigError& error) {
      complaint = error;
    }
  }
  if (complaint) throw *complaint;
  illegal("/schedule", schedule.name, fmt::format("has no tile rule for head_dim {} and this mask", plan.padded_qk));
}

void check_memory(const TileListPlan& plan, const Schedule& schedule, const Chip& chip) {
  if (schedule.fused() || chip.hbm.capacity_gib <= 0) return;
  // Alive at once: S and P; backward P, P dP and dS.
  const double matrices = schedule.pass == Pass::backward ? 3 : 2;
  const double bytes = matrices * static_cast<double>(plan.slabs) * static_cast<double>(plan.rows) * static_cast<double>(plan.kv_len) *
                       ir::bits_of(plan.dtype) / 8;
  const double gib = bytes / (1024.0 * 1024.0 * 1024.0);
  if (gib > chip.hbm.capacity_gib) {
    illegal("/shape", fmt::format("{} x {} scores", plan.rows, plan.kv_len),
            fmt::format("need {:.0f} GiB, {} has {:.0f} GiB", gib, chip.name, chip.hbm.capacity_gib), "a fused schedule");
  }
}

ir::Pipeline lower_tile_list(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                             const std::vector<ExtraKernel>& extras) {
  if (problem.pass == Pass::backward) return lower_tile_list_backward(variant, problem, schedule, chip, extras);
  const Problem inner = eager_problem(problem, schedule);
  TileListPlan plan = choose_tiles(plan_problem(variant, inner, schedule, chip), inner, schedule, chip);
  check_memory(plan, schedule, chip);
  ir::PipelineBuilder builder(fmt::format("{} {}", variant.name, schedule.name));
  const bool writes_cache = std::find(extras.begin(), extras.end(), ExtraKernel::kv_cache_write) != extras.end();
  const bool writes_all = writes_cache && !plan.ragged && problem.q_len == problem.kv_len;
  TileListTensors tensors = make_tensors(builder, plan, schedule, writes_all, problem.dtype);
  if (writes_cache) {
    const WrittenCache cache = writes_all ? WrittenCache{tensors.k, tensors.v} : WrittenCache{};
    builder.add(kv_cache_write_kernel(builder, problem, cache, schedule.cache_by_head));
  }
  if (schedule.form == "eager") {
    add_eager_forward(builder, plan, schedule, chip, tensors, problem.dtype);
    return builder.build();
  }
  if (schedule.form == "unfused") {
    for (ir::Kernel& kernel : unfused_kernels(plan, schedule, tensors)) builder.add(std::move(kernel));
    return builder.build();
  }
  const bool reorders = plan.boxes && plan.boxes->reorders;
  const TileListTensors outside = tensors;
  if (reorders) {
    tensors = hold_in_boxes(builder, plan, tensors);
    for (ir::Kernel& kernel : reordering_kernels(plan, outside, tensors)) builder.add(std::move(kernel));
  }
  const bool regroup = schedule.regroup_copies && plan.packed && problem.kv_heads > 1 && problem.batch > 1;
  const TensorMaker make{builder, plan};
  const ir::TensorId o = tensors.o;
  if (regroup) {
    const ir::TensorId q = tensors.q;
    tensors.q = make.queries("q_grouped", plan.head_dim_qk, plan.dtype, ir::TensorRole::intermediate);
    tensors.o = make.queries("o_grouped", plan.head_dim_v, plan.dtype, ir::TensorRole::intermediate);
    builder.add(regroup_kernel(plan, "regroup_q", q, tensors.q, plan.head_dim_qk));
  }
  if (schedule.prepare_kernel) {
    const ir::TensorId metadata = builder.tensor({"work_tiles", 1, problem.batch, 1, ir::DType::i32, ir::TensorRole::intermediate});
    builder.add(prepare_kernel(builder, problem, metadata));
  }
  if (schedule.clears_output) builder.add(clear_output_kernel(plan, tensors.o));
  // A grid that holds all parts of the columns; one kernel per part stands for it.
  const int columns = plan.rule.cta_columns > 0 ? plan.rule.cta_columns : plan.head_dim_v;
  for (int begin = 0; begin < plan.head_dim_v; begin += columns) {
    plan.column_begin = begin;
    builder.add(attention_kernel(plan, schedule, tensors, plan.splits == 1 && begin + columns >= plan.head_dim_v));
  }
  plan.column_begin = 0;
  if (plan.splits > 1 && !plan.last_cta && !plan.owner) builder.add(combine_kernel(plan, schedule, tensors));
  if (regroup) builder.add(regroup_kernel(plan, "regroup_o", tensors.o, o, plan.head_dim_v));
  if (reorders) {
    for (ir::Kernel& kernel : restoring_kernels(plan, tensors, outside)) builder.add(std::move(kernel));
  }
  return builder.build();
}

}  // namespace attnsim
