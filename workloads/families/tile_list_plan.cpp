// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "sim/core/error.h"
#include "workloads/families/splits.h"
#include "workloads/families/stream_k.h"
#include "workloads/families/tile_list.h"
#include "workloads/masks/integer.h"

namespace attnsim {

namespace {

// The chip's name for the instruction class that a matrix op needs.
std::string instruction_of(ir::MmaKind kind) {
  switch (kind) {
    case ir::MmaKind::mma_sync: return "mma_sync";
    case ir::MmaKind::wgmma_ss:
    case ir::MmaKind::wgmma_rs: return "wgmma";
    case ir::MmaKind::tcgen05: return "tcgen05";
    case ir::MmaKind::systolic: return "systolic";
    case ir::MmaKind::lanes: return "lanes";
  }
  throw Invariant("unknown matrix op");
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

// A schedule for any chip takes the chip's own instruction, synchronous ones first: they leave operands free at once.
ir::MmaKind mma_of(const Schedule& schedule, const Chip& chip) {
  const auto& available = chip.tensor.instructions;
  if (schedule.mma == ir::MmaKind::lanes || has(available, instruction_of(schedule.mma))) return schedule.mma;
  if (schedule.isas.empty()) {
    for (const auto kind : {ir::MmaKind::mma_sync, ir::MmaKind::systolic, ir::MmaKind::wgmma_ss, ir::MmaKind::tcgen05}) {
      if (has(available, instruction_of(kind))) return kind;
    }
  }
  illegal("/schedule", schedule.name, fmt::format("needs {} instructions, which {} does not have", instruction_of(schedule.mma), chip.name),
          "schedules with " + joined(available));
}

// Where configs write one number for both.
const char* head_dim_pointer(const Problem& problem) {
  return problem.head_dim_qk == problem.head_dim_v ? "/shape/head_dim" : "/shape/head_dim_qk";
}

int padded_head_dim(const Schedule& schedule, std::int64_t head_dim, const char* pointer) {
  for (const int compiled : schedule.head_dims) {
    if (head_dim <= compiled) return compiled;
  }
  illegal(pointer, std::to_string(head_dim), fmt::format("is more than {} is compiled for", schedule.name),
          fmt::format("1 to {}", schedule.head_dims.back()));
}

// Counts as a window even where it cuts nothing: libraries decide by the argument.
bool has_window(const Band& band) {
  return band.lower > -kUnbounded || (band.upper < kUnbounded && band.upper != 0);
}

// Only query heads of one mask can be rows of one tile, and a table of biases serves one head.
bool packs(const Problem& problem, const Schedule& schedule, const std::vector<HeadMask>& masks) {
  if (problem.group() == 1 || !problem.score.bias_radius.empty()) return false;
  const auto whole_groups = [&](const HeadMask& m) { return m.first_head % problem.group() == 0 && m.heads % problem.group() == 0; };
  if (!std::all_of(masks.begin(), masks.end(), whole_groups)) return false;
  if (schedule.pack_gqa) return true;
  const bool single = std::all_of(problem.q_len.begin(), problem.q_len.end(), [](std::int64_t n) { return n == 1; });
  const auto windowed = [](const HeadMask& m) { return !m.mask->band() || has_window(*m.mask->band()); };
  return schedule.pack_gqa_decode_only && single && !std::any_of(masks.begin(), masks.end(), windowed);
}

std::vector<BatchGroup> batch_groups(const Variant& variant, const Problem& problem, std::vector<HeadMask> masks, std::int64_t row_group) {
  std::vector<BatchGroup> groups;
  const std::int64_t heads = problem.q_heads / row_group;
  const bool equal = problem.q_len.size() == 1 && problem.kv_len.size() == 1;
  if (equal && masks.size() == 1) return {{IndexSet{masks.front().mask, row_group}, 0, problem.batch * heads, 1}};
  for (std::int64_t b = 0; b < problem.batch; ++b) {
    const std::int64_t q = problem.q_len_of(b);
    const std::int64_t kv = problem.kv_len_of(b);
    const bool as_before = b > 0 && problem.q_len_of(b - 1) == q && problem.kv_len_of(b - 1) == kv;
    if (as_before && masks.size() == 1) {
      groups.back().slab_count += heads;
      continue;
    }
    if (b > 0 && !as_before) masks = variant.masks(problem, b);
    for (const HeadMask& m : masks) {
      groups.push_back({IndexSet{m.mask, row_group}, b * heads + m.first_head / row_group, m.heads / row_group, 1});
    }
  }
  return groups;
}

MaskClass mask_class(const std::vector<BatchGroup>& groups) {
  MaskClass mask = MaskClass::full;
  for (const BatchGroup& group : groups) {
    const Cuts c = cuts(group.set, group.set.kv_len());
    if (c.lower || c.other) return MaskClass::local;
    if (c.upper) mask = MaskClass::causal;
  }
  return mask;
}

std::int64_t section_slabs(const TileListPlan& plan, const Schedule& schedule) {
  const std::int64_t bytes = plan.kv_len * (plan.head_dim_qk + plan.head_dim_v) * ir::bits_of(plan.dtype_kv) / 8;
  std::int64_t heads = 1;
  while (static_cast<double>(2 * heads * bytes) <= schedule.l2_section_mib * 1024 * 1024) heads *= 2;
  return heads * plan.kv_divisor;
}

ir::Grid grid_of(const TileListPlan& plan, const Problem& problem, const Schedule& schedule) {
  ir::Grid grid;
  const bool full = plan.mask == MaskClass::full;
  grid.policy = full ? schedule.grid : schedule.grid_causal;
  grid.cluster = schedule.cluster;
  if (!full || schedule.l2_section_mib <= 0) {
    grid.tile_order = schedule.tile_order;
    grid.fastest = schedule.fastest;
  }
  if (grid.fastest == ir::Fastest::slabs && schedule.l2_section_mib > 0) grid.section_slabs = section_slabs(plan, schedule);
  if (schedule.batch_fastest && plan.groups.size() == 1) grid.interleave = problem.batch;
  return grid;
}

}  // namespace

void illegal(const std::string& pointer, const std::string& value, const std::string& problem, const std::string& allowed) {
  throw ConfigError(ConfigIssue{"", pointer, value, problem, allowed, ""});
}

TileListPlan plan_problem(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip) {
  if (!schedule.isas.empty() && !has(schedule.isas, chip.isa)) {
    illegal("/schedule", schedule.name, fmt::format("does not run on {} ({})", chip.name, chip.isa), joined(schedule.isas));
  }
  if (!schedule.dtypes.empty() && !has(schedule.dtypes, std::string(ir::name_of(problem.dtype)))) {
    illegal("/dtype", std::string(ir::name_of(problem.dtype)), fmt::format("is no element type of schedule {}", schedule.name),
            joined(schedule.dtypes));
  }
  if (chip.tensor_flop_per_clk(std::string(ir::name_of(problem.dtype))) <= 0) {
    illegal("/dtype", std::string(ir::name_of(problem.dtype)), fmt::format("has no matrix unit on {}", chip.name));
  }
  if (schedule.accumulates_f16() && problem.dtype != ir::DType::f16) {
    illegal("/dtype", std::string(ir::name_of(problem.dtype)),
            fmt::format("can't be accumulated in FP16, as schedule {} does", schedule.name), "f16");
  }
  TileListPlan plan;
  plan.schedule = schedule.name;
  const auto& polynomial_isas = schedule.exp2_polynomial_isas;
  if (polynomial_isas.empty() || has(polynomial_isas, chip.isa)) plan.exp2_polynomial = schedule.exp2_polynomial;
  plan.mma = mma_of(schedule, chip);
  plan.head_dim_qk = static_cast<int>(problem.head_dim_qk);
  plan.head_dim_v = static_cast<int>(problem.head_dim_v);
  plan.padded_qk = padded_head_dim(schedule, problem.head_dim_qk, head_dim_pointer(problem));
  plan.padded_v = padded_head_dim(schedule, problem.head_dim_v, "/shape/head_dim_v");
  plan.dtype = problem.dtype;
  plan.dtype_kv = problem.kv_dtype();
  if (plan.dtype_kv != plan.dtype && (plan.mma != ir::MmaKind::mma_sync || !schedule.fused())) {
    illegal("/dtype_kv", std::string(ir::name_of(plan.dtype_kv)),
            fmt::format("is not what {} multiplies: its matrix instruction reads K and V from SMEM", schedule.name),
            fmt::format("{}, or a schedule with mma_sync", ir::name_of(plan.dtype)));
  }
  plan.k_is_q = variant.k_is_q;
  if (plan.k_is_q && (problem.kv_heads != problem.q_heads || problem.q_len != problem.kv_len || problem.dtype_kv ||
                      problem.pass == Pass::backward || !schedule.tiles.front().q_boxes.empty()))
    illegal("/variant", std::string(variant.name), "holds queries and keys in one tensor: forward, of equal heads, lengths and types alone",
            "kv_heads and kv_len as for queries");
  plan.v_in_k = variant.v_in_k;
  if (plan.v_in_k != schedule.v_in_k) {
    illegal("/schedule", schedule.name,
            plan.v_in_k ? fmt::format("loads V apart from K; {} keeps both in one tensor", variant.name)
                        : fmt::format("takes V from K; {} has a V of its own", variant.name),
            plan.v_in_k ? "schedules with v_in_k" : "schedules without v_in_k");
  }
  std::vector<HeadMask> masks = variant.masks(problem, 0);
  plan.packed = packs(problem, schedule, masks);
  plan.row_group = plan.packed ? problem.group() : 1;
  plan.kv_divisor = plan.packed ? 1 : static_cast<int>(problem.group());
  const std::int64_t heads = plan.packed ? problem.kv_heads : problem.q_heads;
  plan.batch = problem.batch;
  plan.slabs = problem.batch * heads;
  plan.slabs_per_entry = static_cast<int>(heads);
  plan.kv_slabs = problem.batch * problem.kv_heads;
  plan.groups = batch_groups(variant, problem, std::move(masks), plan.row_group);
  plan.mask = mask_class(plan.groups);
  if ((schedule.token_tiles || schedule.backward.gathers_queries) && !visits_at_random(plan))
    illegal("/schedule", schedule.name, fmt::format("takes tokens one by one, which share what they visit in {}", variant.name),
            "selected-blocks, or another schedule");
  for (const BatchGroup& group : plan.groups) {
    plan.rows = std::max(plan.rows, group.set.rows());
    plan.kv_len = std::max(plan.kv_len, group.set.kv_len());
    const IndexSet& first = plan.groups.front().set;
    plan.ragged = plan.ragged || group.set.q_len() != first.q_len() || group.set.kv_len() != first.kv_len();
  }
  plan.grid = grid_of(plan, problem, schedule);
  return plan;
}

namespace {

// One item per row tile and split; families in the order of the groups.
std::vector<ir::ItemFamily> whole_items(const TileListPlan& plan, const Schedule& schedule) {
  std::vector<ir::ItemFamily> families;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const BatchGroup& group = plan.groups[i];
    Tiling tiling;
    tiling.tile_q = plan.tile_rows(schedule);
    tiling.tile_kv = plan.rule.tile_kv;
    tiling.step = std::max(1, plan.rule.step_kv / plan.rule.tile_kv);
    tiling.descending = schedule.kv_descending;
    tiling.mask_first_trip = schedule.mask_first_trip;
    tiling.visit_absent = !schedule.fused();
    tiling.splits = group.splits;
    tiling.visit_in_empty = schedule.empty_splits_visit;
    ir::ItemFamily family;
    family.slab_begin = group.slab_begin;
    family.slab_count = group.slab_count;
    family.loop_extent = group.set.kv_len();
    family.shift = group.set.mask->band().value_or(Band{}).shift;
    if (i < plan.code.parameters.size()) family.parameters = plan.code.parameters[i];
    // Heads that are no neighbours may share a mask.
    std::size_t same = 0;
    while (same < i && (plan.groups[same].set.mask != group.set.mask || plan.groups[same].splits != group.splits)) ++same;
    family.tiles = same < i ? families[same].tiles : row_tiles(group.set, tiling);
    if (same == i && plan.grid.cluster > 1) {
      std::stable_sort(family.tiles.begin(), family.tiles.end(),
                       [](const ir::RowTile& a, const ir::RowTile& b) { return a.split < b.split; });
    }
    families.push_back(std::move(family));
  }
  return families;
}

bool visits_nothing(const std::vector<ir::ItemFamily>& families) {
  for (const ir::ItemFamily& family : families) {
    for (const ir::RowTile& tile : family.tiles) {
      if (tile.runs.empty()) return true;
    }
  }
  return false;
}

// Whether some trip's tile lies behind the last key.
bool visits_beyond(const TileListPlan& plan) {
  for (const ir::ItemFamily& family : *plan.families) {
    for (const ir::RowTile& tile : family.tiles) {
      for (const ir::TripRun& run : tile.runs) {
        const std::int64_t last = run.step < 0 ? run.first : run.first + (run.count - 1) * run.step;
        if (last * plan.rule.tile_kv >= family.loop_extent) return true;
      }
    }
  }
  return false;
}

// Most keys that TensorRT-LLM's rule counts: the window, and what the first step of 256 keys may hold before it.
std::int64_t attended_keys(const Mask& mask) {
  constexpr std::int64_t kStep = 256;
  const std::optional<Band> band = mask.band();
  if (!band || band->lower <= -kUnbounded || band->upper >= kUnbounded) return kUnbounded;
  return band->upper - band->lower + kStep;
}

void plan_shares(TileListPlan& plan, const Schedule& schedule, const Chip& chip) {
  const std::vector<ir::ItemFamily> whole = whole_items(plan, schedule);
  StreamKInput input;
  input.total_tiles = std::max<std::int64_t>(1, total_trips(whole));
  input.row_tiles = 0;
  for (const ir::ItemFamily& family : whole) {
    input.row_tiles += family.item_count();
    for (const ir::RowTile& tile : family.tiles) input.blocks = std::max(input.blocks, tile.trips());
  }
  input.sms = chip.sm.count;
  input.per_sm = schedule.ctas_per_sm;
  input.most_splits = schedule.max_splits;
  plan.ctas = stream_k_ctas(input);
  plan.grid = ir::Grid{};
  plan.grid.policy = ir::GridPolicy::lists;
  const StreamK shares = cut_into_shares(whole, plan.rule.tile_kv, plan.ctas);
  plan.grid.lists = shares.lists;
  plan.owner = shares.most_peers > 0;
  plan.splits = 1 + shares.most_peers;
}

// The CTAs of a cluster share a KV head: query tiles of one entry, as many as a multiple of the cluster.
bool full_clusters(const TileListPlan& plan) {
  return std::all_of(plan.groups.begin(), plan.groups.end(),
                     [&](const BatchGroup& g) { return ceil_div(g.set.rows(), plan.rule.tile_q) % plan.grid.cluster == 0; });
}

std::int64_t planned_chunk(const TileListPlan& plan, const Problem& problem, const Schedule& schedule, const Chip& chip) {
  PlanInput input;
  input.kv_heads = plan.slabs / problem.batch;
  for (const BatchGroup& group : plan.groups)
    input.entries.push_back({group.slab_count / input.kv_heads, group.set.rows(), group.set.kv_len()});
  input.tile_q = plan.rule.tile_q;
  input.page_tokens = schedule.page_tokens;
  input.sms = chip.sm.count;
  input.ctas_per_sm = schedule.ctas_per_sm;
  return schedule.split == SplitPolicy::flashinfer ? flashinfer_chunk(input) : flashinfer_mla_chunk(input);
}

void plan_splits(TileListPlan& plan, const Problem& problem, const Schedule& schedule, const Chip& chip) {
  // FA2 splits only what it packed into the rows of one tile.
  if (schedule.split == SplitPolicy::none || (schedule.pack_gqa_decode_only && !plan.packed)) return;
  if (schedule.split == SplitPolicy::stream_k) return plan_shares(plan, schedule, chip);
  SplitInput input;
  input.batch = problem.batch;
  input.sms = chip.sm.count;
  input.row_tiles = 0;
  input.total_blocks = 0;
  for (const BatchGroup& group : plan.groups) {
    const std::int64_t tiles = group.slab_count * ceil_div(group.set.rows(), plan.rule.tile_q);
    input.row_tiles += tiles;
    input.total_blocks += tiles * ceil_div(group.set.kv_len(), plan.rule.tile_kv);
  }
  const bool planned = schedule.split == SplitPolicy::flashinfer || schedule.split == SplitPolicy::flashinfer_mla;
  if (planned) input.chunk = planned_chunk(plan, problem, schedule, chip);
  for (BatchGroup& group : plan.groups) {
    // FA3 and FlashInfer split every batch entry by its own length, the others by the longest.
    input.kv_len = planned || schedule.split == SplitPolicy::fa3 ? group.set.kv_len() : plan.kv_len;
    if (schedule.split == SplitPolicy::trtllm) input.kv_len = std::min(input.kv_len, attended_keys(*group.set.mask));
    input.blocks = ceil_div(input.kv_len, plan.rule.tile_kv);
    group.splits = split_count(schedule, input);
    plan.splits = std::max(plan.splits, group.splits);
  }
  plan.last_cta = plan.splits > 1 && schedule.combine == Combine::last_cta;
}

// Persistent CTAs search once over all batch entries in their life, others each from the first entry on: half of them on average.
// Each step reads two lengths in turn.
int search_round_trips(const TileListPlan& plan, const Problem& problem, const Schedule& schedule, const Chip& chip) {
  if (schedule.scheduler_batch_entries == 0) return 0;
  constexpr std::int64_t kReadsPerStep = 2;
  std::int64_t items = 0;
  for (const BatchGroup& group : plan.groups) items += group.slab_count * ceil_div(group.set.rows(), plan.rule.tile_q) * group.splits;
  const std::int64_t ctas = std::min<std::int64_t>(items, chip.sm.count);
  const std::int64_t steps = (problem.batch - 1) / schedule.scheduler_batch_entries;  // beyond the first, which every item makes
  if (plan.grid.policy == ir::GridPolicy::one_item_per_cta) return static_cast<int>(kReadsPerStep * steps / 2);
  return static_cast<int>(kReadsPerStep * steps * ctas / items);
}

}  // namespace

namespace {

// Bands that differ in their shift alone are tested by one relation with the family's shift.
bool same_bounds(const std::vector<BatchGroup>& groups) {
  const std::optional<Band> first = groups.front().set.mask->band();
  return std::all_of(groups.begin(), groups.end(), [&](const BatchGroup& group) {
    const std::optional<Band> band = group.set.mask->band();
    return band && first && band->lower == first->lower && band->upper == first->upper;
  });
}

bool keeps_whole_tiles(const TileListPlan& plan) {
  for (const ir::ItemFamily& family : *plan.families) {
    for (const ir::RowTile& tile : family.tiles) {
      std::int64_t columns = 0;
      for (const ir::TripRun& run : tile.runs) {
        const std::int64_t last = run.step < 0 ? run.first : run.first + (run.count - 1) * run.step;
        const std::int64_t beyond = std::max<std::int64_t>(0, (last + 1) * plan.rule.tile_kv - family.loop_extent);
        columns += std::max<std::int64_t>(0, run.count * plan.rule.tile_kv - beyond);
      }
      if (tile.kept < tile.rows * columns) return false;
    }
  }
  return true;
}

MaskInstruction compare_pairs(const ir::Relation& relation) {
  MaskInstruction compare;
  compare.relation = relation;
  compare.by_row = compare.by_column = compare.predicate = true;
  return compare;
}

MaskCode band_code(const TileListPlan& plan) {
  const Band band = plan.cuts.mask() ? plan.groups.front().set.mask->band().value() : Band{};
  bool uniform = true;  // relations have constant offsets
  for (const BatchGroup& group : plan.groups) {
    const bool same_shift = !plan.cuts.mask() || group.set.mask->band()->shift == band.shift;
    uniform = uniform && same_shift && group.set.kv_len() == plan.groups.front().set.kv_len();
  }
  const int group = static_cast<int>(plan.row_group);
  const std::int64_t shift = uniform ? band.shift : 0;
  const int by_family = uniform ? 0 : 1;
  MaskCode code;
  const auto keep = [&](const ir::Relation& relation) {
    code.keeps.push_back(static_cast<int>(code.instructions.size()));
    code.instructions.push_back(compare_pairs(relation));
  };
  if (plan.cuts.upper) keep({1, group, -1, shift + band.upper, 0, by_family});
  if (plan.cuts.lower) keep({-1, group, 1, -shift - band.lower, 0, -by_family});
  if (plan.cuts.extent) keep({0, 1, -1, uniform ? plan.kv_len - 1 : -1, by_family, 0});
  return code;
}

MaskCode code_of(const TileListPlan& plan, const Schedule& schedule) {
  if (!plan.cuts.other) return band_code(plan);
  const std::int64_t tile_rows = plan.tile_rows(schedule);
  const std::int64_t queries = tile_rows % plan.row_group == 0 ? tile_rows / plan.row_group : 0;
  std::vector<MaskTest> tests;
  for (const BatchGroup& group : plan.groups) tests.push_back(group.set.mask->test_in_tiles(queries, plan.rule.tile_kv));
  MaskCode code = mask_code(tests, plan.row_group, plan.rule.tile_kv, tile_rows);
  if (plan.cuts.extent) {
    code.keeps.push_back(static_cast<int>(code.instructions.size()));
    code.instructions.push_back(compare_pairs({0, 1, -1, plan.ragged ? -1 : plan.kv_len - 1, plan.ragged ? 1 : 0, 0}));
  }
  return code;
}

}  // namespace

void take_boxes(TileListPlan& plan, const Schedule& schedule, const TileRule& rule) {
  const std::size_t rank = plan.groups.front().set.mask->rank();
  if (rank == 0)
    illegal("/variant", "a plain sequence", fmt::format("has no boxes, which {} works on", schedule.name), "a variant with a layout");
  for (BatchGroup& group : plan.groups) {
    const bool gathers = schedule.gathers_boxes;
    const bool reorders = !gathers && !group.set.mask->held_in_boxes();
    const KvTiling tiling = gathers ? KvTiling::from_first_key : KvTiling::on_grid;
    const std::int64_t q_rows = group.set.q_len();
    const std::int64_t kv_rows = group.set.kv_len();
    const auto holds = [](const std::vector<std::int64_t>& box, int tokens) {
      return std::accumulate(box.begin(), box.end(), std::int64_t{1}, std::multiplies<>()) == tokens;
    };
    require(holds(rule.q_boxes.at(rank - 1), rule.tile_q) && holds(rule.kv_boxes.at(rank - 1), rule.tile_kv),
            "a tile is no box of the layout");
    BoxedMask boxed = group.set.mask->boxed(rule.q_boxes.at(rank - 1), rule.kv_boxes.at(rank - 1), tiling);
    group.set.mask = std::move(boxed.mask);
    plan.boxes = BoxPlan{std::move(boxed.q), std::move(boxed.kv), q_rows, kv_rows, reorders, gathers};
  }
  plan.rows = plan.groups.front().set.rows();
  plan.kv_len = plan.groups.front().set.kv_len();
}

TileListPlan plan_tiles(TileListPlan plan, const Problem& problem, const Schedule& schedule, const Chip& chip, const TileRule& rule) {
  plan.rule = rule;
  if (schedule.token_tiles && plan.row_group > rule.tile_q)
    illegal("/shape/kv_heads", fmt::format("{} query heads each", plan.row_group),
            fmt::format("are more rows than a tile of {} has", schedule.name), fmt::format("groups of up to {}", rule.tile_q));
  if (!rule.q_boxes.empty()) {
    if (problem.score.alibi || !problem.score.bias_radius.empty())
      illegal("/score", "alibi and bias", fmt::format("are by places in a sequence; {} works on boxes", schedule.name),
              "softcap, or a schedule without boxes");
    take_boxes(plan, schedule, rule);
  }
  if (plan.padded_qk % rule.k_pieces != 0 || plan.padded_v % rule.v_pieces != 0)
    illegal(head_dim_pointer(problem), std::to_string(plan.head_dim_qk),
            fmt::format("is padded to columns that {} does not load in equal pieces", schedule.name));
  plan.o_in_memory = schedule.o_in_memory && plan.head_dim_v > rule.tile_kv;
  plan.mma_pv = plan.mma;
  if (plan.mma == ir::MmaKind::wgmma_ss && !rule.p_in_smem) plan.mma_pv = ir::MmaKind::wgmma_rs;
  for (const BatchGroup& group : plan.groups) {
    const Cuts c = cuts(group.set, rule.tile_kv);
    plan.cuts.upper = plan.cuts.upper || c.upper;
    plan.cuts.lower = plan.cuts.lower || c.lower;
    plan.cuts.other = plan.cuts.other || c.other;
    plan.cuts.extent = plan.cuts.extent || c.extent;
  }
  plan.cuts.other = plan.cuts.other || !same_bounds(plan.groups);
  plan_splits(plan, problem, schedule, chip);
  if (plan.grid.cluster > 1 && (!full_clusters(plan) || plan.owner)) plan.grid.cluster = 1;
  if (schedule.pair && plan.grid.cluster == 1)
    illegal("/shape", fmt::format("{} rows", plan.rows), fmt::format("do not fill the pairs of CTAs that {} multiplies in", schedule.name),
            fmt::format("multiples of {}", 2 * rule.tile_q));
  auto families = std::make_shared<std::vector<ir::ItemFamily>>(whole_items(plan, schedule));
  plan.families = families;
  if (plan.cuts.other && keeps_whole_tiles(plan)) plan.cuts = {false, false, false, plan.cuts.extent};
  // A kernel that always masks its first trip, or all trips, tests the end of the keys when nothing else can cut.
  const bool always = schedule.mask_first_trip || schedule.mask == MaskPolicy::all_tiles;
  if (always && !plan.cuts.any()) plan.cuts.extent = true;
  if (schedule.mask == MaskPolicy::no_tiles && plan.cuts.any()) {
    illegal("/schedule", schedule.name, "applies no masks, but some KV tile is kept in part", "a mask along tile borders");
  }
  plan.loop_tiles = ceil_div(plan.kv_len, rule.tile_kv);
  plan.code = code_of(plan, schedule);
  plan.score = plan_score(problem.score, plan.groups, plan.head_dim_qk, rule.tile_kv, schedule.fused(), plan.code.parameters);
  for (std::size_t i = 0; i < plan.code.parameters.size(); ++i) (*families)[i].parameters = plan.code.parameters[i];
  if (plan.ctas > 0) *families = cut_into_shares(*families, plan.rule.tile_kv, plan.ctas).families;
  plan.mask_when =
      schedule.mask == MaskPolicy::all_tiles || schedule.mask == MaskPolicy::all_or_none ? ir::When::always : ir::When::partial_trip;
  plan.search_round_trips = search_round_trips(plan, problem, schedule, chip);
  plan.empty_items = visits_nothing(*plan.families);
  plan.trips_beyond = visits_beyond(plan);
  return plan;
}

bool visits_at_random(const TileListPlan& plan) {
  return std::any_of(plan.groups.begin(), plan.groups.end(), [](const BatchGroup& group) { return group.set.mask->visits_at_random(); });
}

std::vector<ir::ItemFamily> item_families(const TileListPlan& plan, const Schedule& schedule) {
  std::vector<ir::ItemFamily> whole = whole_items(plan, schedule);
  if (plan.ctas == 0) return whole;
  return cut_into_shares(whole, plan.rule.tile_kv, plan.ctas).families;
}

}  // namespace attnsim
