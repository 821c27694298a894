// SPDX-License-Identifier: Apache-2.0
#include "workloads/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "sim/core/json_reader.h"
#include "workloads/catalog.h"
#include "workloads/families/table.h"
#include "workloads/schedule_check.h"

namespace attnsim {

namespace {

template <class E>
struct Named {
  std::string_view name;
  E value;
};

constexpr std::array kMaskClasses{Named<MaskClass>{"any", MaskClass::any}, Named<MaskClass>{"full", MaskClass::full},
                                  Named<MaskClass>{"causal", MaskClass::causal}, Named<MaskClass>{"local", MaskClass::local}};
constexpr std::array kAgentKinds{Named<AgentKind>{"producer", AgentKind::producer},
                                 Named<AgentKind>{"consumer", AgentKind::consumer},
                                 Named<AgentKind>{"all", AgentKind::all},
                                 Named<AgentKind>{"issuer", AgentKind::issuer},
                                 Named<AgentKind>{"correction", AgentKind::correction},
                                 Named<AgentKind>{"epilogue", AgentKind::epilogue},
                                 Named<AgentKind>{"reducer", AgentKind::reducer}};
constexpr std::array kPasses{Named<Pass>{"forward", Pass::forward}, Named<Pass>{"backward", Pass::backward}};
constexpr std::array kGradQueries{Named<GradQuery>{"atomic", GradQuery::atomic}, Named<GradQuery>{"ordered", GradQuery::ordered},
                                  Named<GradQuery>{"kernel", GradQuery::kernel}};
constexpr std::array kGradKeyValues{Named<GradKeyValue>{"sum_kernel", GradKeyValue::sum_kernel},
                                    Named<GradKeyValue>{"atomic", GradKeyValue::atomic}};
constexpr std::array kMmaKinds{Named<ir::MmaKind>{"mma_sync", ir::MmaKind::mma_sync}, Named<ir::MmaKind>{"wgmma", ir::MmaKind::wgmma_ss},
                               Named<ir::MmaKind>{"tcgen05", ir::MmaKind::tcgen05}, Named<ir::MmaKind>{"systolic", ir::MmaKind::systolic},
                               Named<ir::MmaKind>{"lanes", ir::MmaKind::lanes}};
constexpr std::array kCopyKinds{Named<ir::CopyKind>{"plain", ir::CopyKind::plain}, Named<ir::CopyKind>{"cp_async", ir::CopyKind::cp_async},
                                Named<ir::CopyKind>{"tma", ir::CopyKind::tma},
                                Named<ir::CopyKind>{"tma_multicast", ir::CopyKind::tma_multicast}};
constexpr std::array kMaskPolicies{
    Named<MaskPolicy>{"partial_tiles", MaskPolicy::partial_tiles}, Named<MaskPolicy>{"all_tiles", MaskPolicy::all_tiles},
    Named<MaskPolicy>{"all_or_none", MaskPolicy::all_or_none}, Named<MaskPolicy>{"no_tiles", MaskPolicy::no_tiles}};
constexpr std::array kSplitPolicies{Named<SplitPolicy>{"none", SplitPolicy::none},
                                    Named<SplitPolicy>{"fixed", SplitPolicy::fixed},
                                    Named<SplitPolicy>{"fa2", SplitPolicy::fa2},
                                    Named<SplitPolicy>{"fa3", SplitPolicy::fa3},
                                    Named<SplitPolicy>{"trtllm", SplitPolicy::trtllm},
                                    Named<SplitPolicy>{"flashinfer", SplitPolicy::flashinfer},
                                    Named<SplitPolicy>{"flashinfer_mla", SplitPolicy::flashinfer_mla},
                                    Named<SplitPolicy>{"cutlass_mla", SplitPolicy::cutlass_mla},
                                    Named<SplitPolicy>{"stream_k", SplitPolicy::stream_k}};
constexpr std::array kCombines{Named<Combine>{"none", Combine::none}, Named<Combine>{"kernel", Combine::kernel},
                               Named<Combine>{"last_cta", Combine::last_cta}, Named<Combine>{"owner", Combine::owner}};
constexpr std::array kGridPolicies{Named<ir::GridPolicy>{"one_item_per_cta", ir::GridPolicy::one_item_per_cta},
                                   Named<ir::GridPolicy>{"persistent_static", ir::GridPolicy::persistent_static},
                                   Named<ir::GridPolicy>{"persistent_dynamic", ir::GridPolicy::persistent_dynamic}};
constexpr std::array kTileOrders{Named<ir::TileOrder>{"ascending", ir::TileOrder::ascending},
                                 Named<ir::TileOrder>{"descending", ir::TileOrder::descending}};
constexpr std::array kFastest{Named<ir::Fastest>{"tiles", ir::Fastest::tiles}, Named<ir::Fastest>{"slabs", ir::Fastest::slabs}};

template <class E, std::size_t N>
E choice(FieldReader& reader, const std::string& key, const std::array<Named<E>, N>& table, std::optional<E> fallback = std::nullopt) {
  std::vector<std::string> names;
  std::optional<std::string> fallback_name;
  for (const Named<E>& row : table) {
    names.emplace_back(row.name);
    if (fallback && row.value == *fallback) fallback_name = std::string(row.name);
  }
  const std::string text = reader.text(key, names, fallback_name);
  for (const Named<E>& row : table) {
    if (row.name == text) return row.value;
  }
  return table[0].value;
}

constexpr std::int64_t kMostTile = 4096;
int small(FieldReader& reader, const std::string& key, std::int64_t min, std::int64_t max,
          std::optional<std::int64_t> fallback = std::nullopt) {
  return static_cast<int>(reader.integer(key, {.min = min, .max = max}, fallback));
}

AgentSpec read_agent(FieldReader& reader, Pass pass = Pass::forward) {
  AgentSpec agent;
  agent.name = reader.text("name", {});
  agent.kind = choice(reader, "kind", kAgentKinds);
  agent.warps = small(reader, "warps", 1, 32);
  agent.registers_per_thread = small(reader, "registers_per_thread", 16, 512);
  for (FieldReader& placement : reader.children("loop")) {
    agent.loop.push_back(
        {placement.text("role", pass == Pass::backward ? backward_roles() : schedule_roles()), small(placement, "skew", 0, 8, 0)});
  }
  return agent;
}

// [[128], [16, 8], [4, 4, 8]]: extents by rank, each of the given volume.
std::vector<std::vector<std::int64_t>> read_boxes(FieldReader& reader, const std::string& key, int volume) {
  std::vector<std::vector<std::int64_t>> boxes;
  const Json* list = reader.raw(key);
  if (list == nullptr) return boxes;
  const std::string allowed = fmt::format("three lists of one, two and three tile extents, each of product {}", volume);
  bool ok = list->is_array() && list->size() == 3;
  for (std::size_t rank = 0; ok && rank < 3; ++rank) {
    const Json& extents = (*list)[rank];
    ok = extents.is_array() && extents.size() == rank + 1;
    std::int64_t product = 1;
    std::vector<std::int64_t>& box = boxes.emplace_back();
    for (std::size_t a = 0; ok && a < extents.size(); ++a) {
      ok = extents[a].is_number_integer() && extents[a].get<std::int64_t>() > 0 && extents[a].get<std::int64_t>() <= volume;
      if (ok) box.push_back(extents[a].get<std::int64_t>());
      if (ok) product *= box.back();
    }
    ok = ok && product == volume;
  }
  if (!ok) reader.issue(key, "is no list of boxes", allowed);
  return boxes;
}

TileRule read_rule(FieldReader& reader) {
  TileRule rule;
  rule.head_dim_max = small(reader, "head_dim_max", 1, 1024);
  rule.mask = choice(reader, "mask", kMaskClasses, std::optional(MaskClass::any));
  rule.rows_max = small(reader, "rows_max", 1, kMostTile, 0);
  rule.tile_q = small(reader, "tile_q", 1, kMostTile);
  rule.tile_kv = small(reader, "tile_kv", 1, kMostTile);
  rule.consumers = small(reader, "consumers", 1, 8, 1);
  rule.stages = small(reader, "stages", 1, 16, 1);
  rule.stages_v = small(reader, "stages_v", 0, 16, 0);
  rule.kv_ring = small(reader, "kv_ring", 0, 32, 0);
  rule.p_in_smem = reader.boolean("p_in_smem", false);
  rule.step_kv = small(reader, "step_kv", 0, kMostTile, 0);
  rule.split_columns = reader.boolean("split_columns", false);
  rule.k_pieces = small(reader, "k_pieces", 1, 16, 1);
  rule.v_pieces = small(reader, "v_pieces", 1, 16, 1);
  rule.cta_columns = small(reader, "cta_columns", 0, kMostTile, 0);
  rule.each_scores = reader.boolean("each_scores", false);
  rule.slice_cols = small(reader, "slice_cols", 8, 1024, 0);
  rule.warps = small(reader, "warps", 1, 32, 0);
  rule.registers_per_thread = small(reader, "registers_per_thread", 16, 512, 0);
  rule.warp_columns = small(reader, "warp_columns", 1, 16, 1);
  rule.trip_instructions = small(reader, "trip_instructions", 0, kMostTile, 0);
  rule.q_boxes = read_boxes(reader, "q_boxes", rule.tile_q);
  rule.kv_boxes = read_boxes(reader, "kv_boxes", rule.tile_kv);
  if (rule.q_boxes.empty() != rule.kv_boxes.empty())
    reader.issue(rule.q_boxes.empty() ? "q_boxes" : "kv_boxes", "is missing beside the other", "both or none");
  return rule;
}

TileRule read_backward_rule(FieldReader& reader) {
  TileRule rule = read_rule(reader);
  rule.warp_columns_dkv = small(reader, "warp_columns_dkv", 1, 16, 1);
  rule.warp_columns_dq = small(reader, "warp_columns_dq", 1, 16, 1);
  rule.dq_rows = small(reader, "dq_rows", 0, kMostTile, 0);
  rule.dq_columns = small(reader, "dq_columns", 0, kMostTile, 0);
  rule.dq_warps = small(reader, "dq_warps", 0, 32, 0);
  rule.dq_registers_per_thread = small(reader, "dq_registers_per_thread", 16, 512, 0);
  rule.dq_warp_columns = small(reader, "dq_warp_columns", 0, 16, 0);
  rule.dq_trip_instructions = small(reader, "dq_trip_instructions", 0, kMostTile, 0);
  return rule;
}

BackwardRules read_backward_rules(FieldReader reader) {
  BackwardRules rules;
  rules.grad_query = choice(reader, "grad_query", kGradQueries, std::optional(GradQuery::atomic));
  rules.grad_kv = choice(reader, "grad_kv", kGradKeyValues, std::optional(GradKeyValue::sum_kernel));
  rules.clear_in_preprocess = reader.boolean("clear_in_preprocess", true);
  rules.ds_in_registers = reader.boolean("ds_in_registers", false);
  rules.ds_in_smem = reader.boolean("ds_in_smem", false);
  rules.pair = reader.boolean("pair", false);
  rules.turns_fenced = reader.boolean("turns_fenced", true);
  rules.trip_local_reads = small(reader, "trip_local_reads", 0, 64, 0);
  rules.scale_in_trip = reader.boolean("scale_in_trip", false);
  rules.gathers_queries = reader.boolean("gathers_queries", false);
  rules.makes_lists = reader.boolean("makes_lists", false);
  rules.list_host_us = reader.number("list_host_us", {.min = 0, .max = 1e6}, 0);
  if (reader.has("dq_mma")) rules.dq_mma = choice(reader, "dq_mma", kMmaKinds);
  rules.item_global_round_trips = small(reader, "item_global_round_trips", 0, 64, 0);
  rules.clears_gradients = reader.boolean("clears_gradients", false);
  rules.dq_packs_group = reader.boolean("dq_packs_group", false);
  rules.waits_for_products = reader.boolean("waits_for_products", false);
  rules.row_kernel_rows = small(reader, "row_kernel_rows", 1, 1024, 64);
  rules.row_kernel_warps = small(reader, "row_kernel_warps", 1, 32, 8);
  return rules;
}

std::vector<std::string> read_texts(FieldReader& reader, const std::string& key) {
  std::vector<std::string> texts;
  const Json* list = reader.raw(key);
  if (list == nullptr) return texts;
  if (!list->is_array()) {
    reader.issue(key, "is not a list of names", "an array of strings");
    return texts;
  }
  for (const Json& element : *list) {
    if (element.is_string()) {
      texts.push_back(element.get<std::string>());
    } else {
      reader.issue(key, "holds something that is no name", "an array of strings");
    }
  }
  return texts;
}

void read_grid(FieldReader& reader, Schedule& s) {
  s.grid = choice(reader, "grid", kGridPolicies, std::optional(ir::GridPolicy::one_item_per_cta));
  s.grid_causal = choice(reader, "grid_causal", kGridPolicies, std::optional(s.grid));
  s.tile_order = choice(reader, "tile_order", kTileOrders, std::optional(ir::TileOrder::ascending));
  s.fastest = choice(reader, "fastest", kFastest, std::optional(ir::Fastest::tiles));
  s.batch_fastest = reader.boolean("batch_fastest", false);
  s.l2_section_mib = reader.number("l2_section_mib", {.min = 0, .max = 1e6}, 0);
  s.cluster = small(reader, "cluster", 1, 16, 1);
  s.pair = reader.boolean("pair", false);
  s.split = choice(reader, "split", kSplitPolicies, std::optional(SplitPolicy::none));
  s.fixed_splits = small(reader, "fixed_splits", 1, 4096, 1);
  s.max_splits = small(reader, "max_splits", 1, 4096, 128);
  s.ctas_per_sm = small(reader, "ctas_per_sm", 1, 32, 2);
  s.combine = choice(reader, "combine", kCombines, std::optional(Combine::none));
  s.combine_stages = small(reader, "combine_stages", 1, 32, 1);
  s.empty_splits_visit = reader.boolean("empty_splits_visit", false);
  s.combine_grid_of_batch = reader.boolean("combine_grid_of_batch", false);
  s.combine_warps = small(reader, "combine_warps", 1, 32, 4);
  s.combine_elements = small(reader, "combine_elements", 0, kMostTile, 0);
  s.programmatic_launch = reader.boolean("programmatic_launch", false);
}

void read_kernel(FieldReader& reader, Schedule& s) {
  s.mma = choice(reader, "mma", kMmaKinds);
  s.copy = choice(reader, "copy", kCopyKinds);
  s.pack_gqa = reader.boolean("pack_gqa", false);
  s.pack_gqa_decode_only = reader.boolean("pack_gqa_decode_only", false);
  s.clears_output = reader.boolean("clears_output", false);
  s.token_tiles = reader.boolean("token_tiles", false);
  s.o_in_memory = reader.boolean("o_in_memory", false);
  s.o_pieces = small(reader, "o_pieces", 1, 16, 1);
  s.precise_softmax = reader.boolean("precise_softmax", false);
  s.f16_scores = reader.boolean("f16_scores", false);
  s.f16_output = reader.boolean("f16_output", false);
  s.q_in_registers = reader.boolean("q_in_registers", false);
  s.ping_pong = reader.boolean("ping_pong", false);
  s.exp2_in_turn = reader.boolean("exp2_in_turn", false);
  s.holds_factors = reader.boolean("holds_factors", false);
  s.p_parts = small(reader, "p_parts", 1, 4, 1);
  s.softmax_interleaved = reader.boolean("softmax_interleaved", false);
  s.mma_by_steps = reader.boolean("mma_by_steps", false);
  s.ping_pong_head_dim_max = small(reader, "ping_pong_head_dim_max", 1, 1024, 256);
  s.stage_o_in_v = reader.boolean("stage_o_in_v", false);
  s.mask = choice(reader, "mask", kMaskPolicies, std::optional(MaskPolicy::partial_tiles));
  s.exp2_polynomial = reader.number("exp2_polynomial", {.min = 0, .max = 1}, 0);
  s.exp2_polynomial_isas = read_texts(reader, "exp2_polynomial_isas");
  s.rescale_share = reader.number("rescale_share", {.min = 0.001, .max = 1}, 1);
  s.rescale_rows = small(reader, "rescale_rows", 0, kMostTile, 0);
  s.rescale_columns = small(reader, "rescale_columns", 0, kMostTile, 0);
  s.mask_first_trip = reader.boolean("mask_first_trip", false);
  s.kv_descending = reader.boolean("kv_descending", true);
  s.v_in_k = reader.boolean("v_in_k", false);
  s.paged = reader.boolean("paged", false);
  s.scattered_pages = reader.boolean("scattered_pages", false);
  s.whole_tile_loads = reader.boolean("whole_tile_loads", false);
  s.request_bytes = small(reader, "request_bytes", 0, 1024, 0);
  s.page_tokens = small(reader, "page_tokens", 1, 1 << 20, 64);
  s.cache_by_head = reader.boolean("cache_by_head", false);
  s.consumer_global_round_trips = small(reader, "consumer_global_round_trips", 0, 64, 0);
  s.scheduler_batch_entries = small(reader, "scheduler_batch_entries", 0, 1024, 0);
  s.item_global_round_trips = small(reader, "item_global_round_trips", 0, 64, 0);
  s.trip_global_round_trips = small(reader, "trip_global_round_trips", 0, 8, 0);
  s.prepare_kernel = reader.boolean("prepare_kernel", false);
  s.gathers_boxes = reader.boolean("gathers_boxes", false);
  s.regroup_copies = reader.boolean("regroup_copies", false);
}

GemmTile read_gemm_tile(FieldReader& reader) {
  constexpr int kMostRows = 1 << 20;
  GemmTile tile;
  tile.rows_min = small(reader, "rows_min", 0, kMostRows, 0);
  tile.rows_max = small(reader, "rows_max", 0, kMostRows, 0);
  tile.columns_min = small(reader, "columns_min", 0, kMostRows, 0);
  tile.columns_max = small(reader, "columns_max", 0, kMostRows, 0);
  tile.transposed = reader.boolean("transposed", false);
  tile.tile_m = small(reader, "tile_m", 8, kMostTile);
  tile.tile_n = small(reader, "tile_n", 8, kMostTile);
  tile.tile_k = small(reader, "tile_k", 8, kMostTile);
  tile.stages = small(reader, "stages", 1, 16);
  tile.consumers = small(reader, "consumers", 1, 8, 1);
  tile.warp_columns = small(reader, "warp_columns", 1, 16, 1);
  tile.cluster_m = small(reader, "cluster_m", 1, 16, 1);
  tile.cluster_n = small(reader, "cluster_n", 1, 16, 1);
  tile.pair = reader.boolean("pair", false);
  tile.warps = small(reader, "warps", 1, 32, 0);
  tile.registers_per_thread = small(reader, "registers_per_thread", 16, 512, 0);
  return tile;
}

void read_row_rules(FieldReader& reader, Schedule& s) {
  for (FieldReader& at : reader.children("rules")) {
    RowRule rule;
    rule.columns_max = small(at, "columns_max", 1, 1 << 24);
    rule.rows = small(at, "rows", 1, 128, 1);
    rule.warps = small(at, "warps", 1, 32);
    rule.columns_per_thread = small(at, "columns_per_thread", 1, 64, 8);
    rule.keep = at.boolean("keep", false);
    rule.registers_per_thread = small(at, "registers_per_thread", 16, 256, 64);
    s.rows.push_back(rule);
  }
}

void read_gemm(FieldReader& reader, Schedule& s) {
  s.mma = choice(reader, "mma", kMmaKinds);
  s.copy = choice(reader, "copy", kCopyKinds);
  for (FieldReader& agent : reader.children("agents")) s.agents.push_back(read_agent(agent));
  for (FieldReader& tile : reader.children("tiles")) s.gemm.tiles.push_back(read_gemm_tile(tile));
  if (reader.has("splits")) {
    s.gemm.splits.clear();
    for (const std::int64_t n : reader.integers("splits", {.min = 1, .max = 256})) s.gemm.splits.push_back(static_cast<int>(n));
  }
  s.gemm.transposes = reader.boolean("transposes", false);
  if (reader.has("rules")) read_row_rules(reader, s);
  s.gemm.raster_panels = small(reader, "raster_panels", 1, 1024, 8);
  s.grid = choice(reader, "grid", kGridPolicies, std::optional(ir::GridPolicy::one_item_per_cta));
}

void read_rows(FieldReader& reader, Schedule& s) {
  read_row_rules(reader, s);
  s.grid = choice(reader, "grid", kGridPolicies, std::optional(ir::GridPolicy::one_item_per_cta));
}

void read_eager(FieldReader& reader, Schedule& s) {
  read_row_rules(reader, s);
  if (!reader.has("eager")) return;
  FieldReader at = reader.child("eager");
  s.eager.copies_heads = at.boolean("copies_heads", true);
  s.eager.computes = at.text("computes", {"f32"}, "");
  s.eager.scales_operands = at.boolean("scales_operands", false);
  s.eager.expands_groups = at.boolean("expands_groups", false);
  s.eager.checks_rows = at.boolean("checks_rows", false);
  s.eager.returns_weights = at.boolean("returns_weights", false);
}

void read_tile_list_backward(FieldReader& reader, Schedule& s) {
  s.form = reader.text("form", {"fused", "eager"}, "fused");
  if (s.form == "eager") read_eager(reader, s);
  for (const std::int64_t d : reader.integers("head_dims", {.min = 1, .max = 1024})) s.head_dims.push_back(static_cast<int>(d));
  for (FieldReader& agent : reader.children("agents")) s.agents.push_back(read_agent(agent, Pass::backward));
  for (FieldReader& rule : reader.children("tiles")) s.tiles.push_back(read_backward_rule(rule));
  s.mma = choice(reader, "mma", kMmaKinds);
  s.copy = choice(reader, "copy", kCopyKinds);
  s.mask = choice(reader, "mask", kMaskPolicies, std::optional(MaskPolicy::partial_tiles));
  s.exp2_polynomial = reader.number("exp2_polynomial", {.min = 0, .max = 1}, 0);
  s.exp2_polynomial_isas = read_texts(reader, "exp2_polynomial_isas");
  s.precise_softmax = reader.boolean("precise_softmax", false);
  s.kv_descending = reader.boolean("q_descending", false);  // the visited tiles are query tiles here
  s.tile_order = choice(reader, "tile_order", kTileOrders, std::optional(ir::TileOrder::ascending));
  s.fastest = choice(reader, "fastest", kFastest, std::optional(ir::Fastest::tiles));
  s.batch_fastest = reader.boolean("batch_fastest", false);
  s.l2_section_mib = reader.number("l2_section_mib", {.min = 0, .max = 1e6}, 0);
  s.cluster = small(reader, "cluster", 1, 16, 1);
  s.backward = read_backward_rules(reader.child("backward"));
}

void read_tile_list(FieldReader& reader, Schedule& s) {
  s.form = reader.text("form", {"fused", "unfused", "eager"}, "fused");
  if (s.form == "eager") read_eager(reader, s);
  for (const std::int64_t d : reader.integers("head_dims", {.min = 1, .max = 1024})) s.head_dims.push_back(static_cast<int>(d));
  for (FieldReader& agent : reader.children("agents")) s.agents.push_back(read_agent(agent));
  complete_roles(s.agents);
  for (FieldReader& rule : reader.children("tiles")) s.tiles.push_back(read_rule(rule));
  read_kernel(reader, s);
  read_grid(reader, s);
}

}  // namespace

Schedule parse_schedule(const JsonDocument& document) {
  FieldReader reader(document);
  Schedule s;
  s.name = reader.text("name", {});
  s.description = reader.text("description", {});
  s.source = reader.text("source", {});
  std::vector<std::string> family_names;
  for (const Family& family : families()) family_names.emplace_back(family.name);
  s.family = reader.text("family", family_names, "tile-list");
  s.pass = choice(reader, "pass", kPasses, std::optional(Pass::forward));
  s.isas = read_texts(reader, "isas");
  s.dtypes = read_texts(reader, "dtypes");
  if (s.family == "gemm") {
    read_gemm(reader, s);
    if (reader.ok()) check_gemm(s, reader);
  } else if (s.family == "rowwise") {
    read_rows(reader, s);
    if (reader.ok() && s.rows.empty()) reader.issue("rules", "is missing", "at least one rule");
  } else if (s.pass == Pass::backward) {
    read_tile_list_backward(reader, s);
    if (reader.ok()) check_backward(s, reader);
  } else {
    read_tile_list(reader, s);
    if (reader.ok()) check_schedule(s, reader);
  }
  reader.finish();
  s.resolved_json = canonical(document.root);
  return s;
}

}  // namespace attnsim
