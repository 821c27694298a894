// SPDX-License-Identifier: Apache-2.0
#include "workloads/schedule_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/core/json_reader.h"
#include "workloads/role_order.h"

namespace attnsim {

namespace {

constexpr std::array kOrders{
    RoleOrder{"load_q", "qk", 0, "reads Q"},
    RoleOrder{"load_k", "qk", 0, "reads K"},
    RoleOrder{"load_v", "await_v", 0, "waits for V"},
    RoleOrder{"load_v", "pv", 0, "reads V"},
    RoleOrder{"await_v", "pv", 0, "reads V"},
    RoleOrder{"qk", "mask", 0, "reads S"},
    RoleOrder{"mask", "softmax", 0, "reads S"},
    RoleOrder{"softmax", "convert_p", 0, "reads S"},
    RoleOrder{"softmax", "rescale", 0, "reads the row factors"},
    RoleOrder{"convert_p", "pv", 0, "reads P"},
    RoleOrder{"rescale", "pv", 0, "adds to O"},
    RoleOrder{"pv", "release_v", 0, "reads V"},
    RoleOrder{"pv", "rescale", 1, "scales O of the trip before"},
    RoleOrder{"pv", "convert_p", 1, "overwrites P"},
    RoleOrder{"convert_p", "qk", 1, "overwrites S"},
    RoleOrder{"rescale", "softmax", 1, "overwrites the row factors"},
};

const std::vector<std::string>& compute_roles() {
  static const std::vector<std::string> roles{"qk", "mask", "softmax", "convert_p", "rescale", "pv"};
  return roles;
}
const std::vector<std::string>& load_roles() {
  static const std::vector<std::string> roles{"load_q", "load_k", "load_v"};
  return roles;
}

bool loads(const AgentSpec& agent) {
  return agent.kind == AgentKind::producer || agent.kind == AgentKind::all;
}
bool computes(const AgentSpec& agent) {
  return agent.kind == AgentKind::consumer || agent.kind == AgentKind::all;
}

// Where accumulators lie in tensor memory the roles are split over agents, each in an order that tokens fix.
std::vector<RolePlacement> tmem_roles(AgentKind kind) {
  switch (kind) {
    case AgentKind::issuer: return {{"pv", 1}, {"qk", 0}};
    case AgentKind::consumer: return {{"mask", 0}, {"softmax", 0}, {"convert_p", 0}};
    case AgentKind::correction: return {{"rescale", 0}};
    default: return {};
  }
}

bool in_tmem(const std::vector<AgentSpec>& agents) {
  return std::any_of(agents.begin(), agents.end(), [](const AgentSpec& a) { return a.kind == AgentKind::issuer; });
}

void check_tmem_order(const AgentSpec& agent, FieldReader reader) {
  const std::vector<RolePlacement> wanted = tmem_roles(agent.kind);
  const bool same = std::equal(agent.loop.begin(), agent.loop.end(), wanted.begin(), wanted.end(),
                               [](const auto& a, const auto& b) { return a.role == b.role && a.skew == b.skew; });
  if (same) return;
  std::string text;
  for (const RolePlacement& p : wanted) text += fmt::format("{}{}{}", text.empty() ? "" : ", ", p.role, p.skew > 0 ? " (skew 1)" : "");
  reader.issue("loop", fmt::format("is no order that the tokens of agent {} allow", agent.name), text.empty() ? "no roles" : text);
}

void check_placement(const AgentSpec& agent, FieldReader reader) {
  const std::string key = "loop";
  for (std::size_t i = 0; i < agent.loop.size(); ++i) {
    const std::string& role = agent.loop[i].role;
    if (position(agent, role) != static_cast<int>(i)) reader.issue(key, fmt::format("places {} twice on agent {}", role, agent.name));
    const bool load = std::find(load_roles().begin(), load_roles().end(), role) != load_roles().end();
    // Q may also be loaded by the agents that read it (packed rows, which no TMA box covers).
    if (load ? !loads(agent) && role != "load_q" : !computes(agent)) {
      reader.issue(key, fmt::format("places {} on agent {}, which does not {}", role, agent.name, load ? "load" : "compute"));
    }
  }
  check_orders(agent, kOrders, key, reader);
}

void check_agents(const Schedule& s, FieldReader& reader) {
  const auto count = [&](AgentKind kind) {
    return std::count_if(s.agents.begin(), s.agents.end(), [&](const AgentSpec& a) { return a.kind == kind; });
  };
  const bool alone = count(AgentKind::all) == 1 && s.agents.size() == 1;
  const std::vector<FieldReader> readers = reader.children("agents");
  if (in_tmem(s.agents)) {
    const bool complete = count(AgentKind::producer) == 1 && count(AgentKind::issuer) == 1 && count(AgentKind::consumer) == 1 &&
                          count(AgentKind::correction) == 1 && count(AgentKind::epilogue) <= 1 && count(AgentKind::all) == 0;
    if (!complete || s.mma != ir::MmaKind::tcgen05 || !s.fused()) {
      reader.issue("agents", "do not make a kernel",
                   "with tcgen05 one producer, issuer, consumer and correction, and at most one epilogue");
    }
    for (std::size_t i = 0; i < s.agents.size(); ++i) {
      if (s.agents[i].kind != AgentKind::producer) check_tmem_order(s.agents[i], readers.at(i));
    }
    return;
  }
  if (s.mma == ir::MmaKind::tcgen05 && s.form != "eager")
    reader.issue("mma", "accumulates in tensor memory and needs an issuer", "agents of kind issuer and correction");
  const bool pair = count(AgentKind::producer) == 1 && count(AgentKind::consumer) == 1 && s.agents.size() == 2;
  if (!alone && !pair) reader.issue("agents", "do not make a kernel", "one agent of kind all, or one producer and one consumer");
  if (!s.fused() && !alone) reader.issue("agents", "do not fit the unfused form", "one agent of kind all");
  for (std::size_t i = 0; i < s.agents.size(); ++i) check_placement(s.agents[i], readers.at(i));
}

// An agent that loads and computes must have read a slot before it loads into it again.
void check_reuse(const Schedule& s, const TileRule& rule, FieldReader& reader) {
  if (s.agents.size() != 1 || !s.fused()) return;
  const AgentSpec& agent = s.agents.front();
  const char* last_use_of_k = s.v_in_k ? "pv" : "qk";
  for (const auto& [load, use] : {std::pair("load_k", last_use_of_k), std::pair("load_v", "pv")}) {
    const int a = position(agent, use);
    const int b = position(agent, load);
    const int step_a = agent.loop[static_cast<std::size_t>(a)].skew;
    const int step_b = agent.loop[static_cast<std::size_t>(b)].skew + rule.stages;
    if (step_a > step_b || (step_a == step_b && a > b)) {
      reader.issue("stages", fmt::format("is too few: {} overwrites a slot before {} has read it", load, use), "more stages");
    }
  }
}

void check_rules(const Schedule& s, FieldReader& reader) {
  if (s.tiles.empty()) reader.issue("tiles", "is missing", "at least one rule");
  const bool warpgroup = s.mma == ir::MmaKind::wgmma_ss;
  // The product takes any number of rows.
  const bool cores = s.isas == std::vector<std::string>{"simd"} || s.mma == ir::MmaKind::lanes;
  const int rows = s.mma == ir::MmaKind::tcgen05 ? (s.pair ? 64 : 32) : warpgroup ? 64 : cores ? 1 : 16;
  constexpr int kColumns = 8;
  const bool alone = s.agents.size() == 1;
  std::vector<FieldReader> readers = reader.children("tiles");
  for (std::size_t i = 0; i < s.tiles.size(); ++i) {
    const TileRule& rule = s.tiles[i];
    FieldReader& at = readers.at(i);
    const int unit = rule.split_columns ? rows : rows * rule.consumers;
    if (rule.tile_q % unit != 0) {
      at.issue("tile_q", fmt::format("can't be shared by {} computing agents in units of {} rows", rule.consumers, rows),
               fmt::format("multiples of {}", unit));
    }
    if (rule.tile_kv % kColumns != 0) at.issue("tile_kv", "is no multiple of a matrix instruction's columns", "multiples of 8");
    if (rule.step_kv % rule.tile_kv != 0) at.issue("step_kv", "is no multiple of tile_kv", fmt::format("multiples of {}", rule.tile_kv));
    if (alone && rule.consumers != 1 && !rule.each_scores) at.issue("consumers", "needs agents of kind consumer", "1");
    // Who scores all keys has all of P, and of agents that load themselves the first one loads for all.
    const bool pass_on = rule.split_columns && !rule.each_scores;
    if (pass_on && (alone || !rule.p_in_smem || !s.v_in_k))
      at.issue("split_columns", "without each_scores needs a producer, v_in_k and P in SMEM", "each_scores");
    if (rule.split_columns && (s.mma == ir::MmaKind::tcgen05 || s.q_in_registers))
      at.issue("split_columns", "needs accumulators in registers and Q in SMEM", "false");
    const bool stores_apart =
        std::any_of(s.agents.begin(), s.agents.end(), [](const AgentSpec& a) { return a.kind == AgentKind::epilogue; });
    if (rule.k_pieces > 1 && (s.mma != ir::MmaKind::tcgen05 || rule.kv_ring > 0))
      at.issue("k_pieces", "needs tcgen05, and K in slots of its own", "1");
    if (rule.v_pieces > 1 && (s.mma != ir::MmaKind::tcgen05 || rule.kv_ring > 0 || rule.cta_columns > 0 || stores_apart))
      at.issue("v_pieces", "needs tcgen05 without an agent of kind epilogue, and V in slots of its own", "1");
    if (rule.cta_columns > 0 &&
        (s.mma != ir::MmaKind::tcgen05 || s.split != SplitPolicy::none || stores_apart || rule.cta_columns % 16 != 0))
      at.issue("cta_columns", "needs tcgen05 without splits and without an agent of kind epilogue", "0, or a multiple of 16");
    if (rule.each_scores && (!rule.split_columns || s.combine == Combine::last_cta || s.combine == Combine::owner))
      at.issue("each_scores", "needs split_columns, and partial results that a kernel of their own combines", "false");
    if (rule.p_in_smem && !warpgroup && s.mma != ir::MmaKind::mma_sync)
      at.issue("p_in_smem", "is for instructions that read operands from SMEM", "false");
    if (rule.warp_columns > 1 && (s.mma != ir::MmaKind::mma_sync || !alone || !s.fused() || !rule.p_in_smem))
      at.issue("warp_columns", "is for one agent of mma_sync whose P goes through SMEM", "1");
    if (rule.trip_instructions > 0 && s.mma == ir::MmaKind::tcgen05)
      at.issue("trip_instructions", "is for agents that compute in registers", "0");
    if (rule.slice_cols > 0 && (!alone || !s.fused() || s.q_in_registers || s.mma != ir::MmaKind::mma_sync))
      at.issue("slice_cols", "is for one agent that loads Q for every KV tile and computes with mma_sync", "0");
    check_reuse(s, rule, at);
  }
}

}  // namespace

const std::vector<std::string>& schedule_roles() {
  static const std::vector<std::string> roles{"load_q",    "load_k",  "load_v",  "qk", "mask",     "softmax",
                                              "convert_p", "rescale", "await_v", "pv", "release_v"};
  return roles;
}

namespace {

void complete_agent(AgentSpec& agent, bool q_loaded_by_readers) {
  if (loads(agent)) {
    for (auto it = load_roles().rbegin(); it != load_roles().rend(); ++it) {
      if (*it == "load_q" && q_loaded_by_readers) continue;
      if (position(agent, *it) < 0) agent.loop.insert(agent.loop.begin(), {*it, 0});
    }
  }
  if (!computes(agent)) return;
  std::string before = agent.kind == AgentKind::all ? load_roles().back() : "";
  for (const std::string& role : compute_roles()) {
    if (position(agent, role) < 0) {
      const int at = before.empty() ? -1 : position(agent, before);
      const int skew = at < 0 ? 0 : agent.loop[static_cast<std::size_t>(at)].skew;
      agent.loop.insert(agent.loop.begin() + at + 1, {role, skew});
    }
    before = role;
  }
}

}  // namespace

void complete_roles(std::vector<AgentSpec>& agents) {
  const bool q_loaded_by_readers = std::any_of(
      agents.begin(), agents.end(), [](const AgentSpec& a) { return a.kind == AgentKind::consumer && position(a, "load_q") >= 0; });
  const bool tmem = in_tmem(agents);
  for (AgentSpec& agent : agents) {
    if (tmem && agent.kind != AgentKind::producer) {
      if (agent.loop.empty()) agent.loop = tmem_roles(agent.kind);
    } else {
      complete_agent(agent, q_loaded_by_readers);
    }
  }
}

void check_row_rules(const Schedule& s, FieldReader& reader) {
  if (s.form != "eager") return;
  if (s.rows.empty()) reader.issue("rules", "is missing", "the rows that softmax takes at once");
  for (const RowRule& rule : s.rows)
    if (!rule.keep) reader.issue("rules", "read rows again in every pass", "rows that are kept");
  if (!s.eager.copies_heads && s.eager.computes.empty())
    reader.issue("eager", "neither copies nor converts, but its outputs are made by one of the two", "copies_heads or computes");
}

void check_schedule(const Schedule& s, FieldReader& reader) {
  if (s.head_dims.empty()) reader.issue("head_dims", "is missing", "ascending sizes");
  if (!std::is_sorted(s.head_dims.begin(), s.head_dims.end())) reader.issue("head_dims", "are not in order", "ascending sizes");
  check_agents(s, reader);
  check_rules(s, reader);
  const bool splits = s.split != SplitPolicy::none;
  if (splits && s.combine == Combine::none) reader.issue("combine", "must merge what split cuts", "kernel, last_cta");
  if (!splits && s.combine != Combine::none) reader.issue("combine", "has nothing to merge without split", "none");
  const bool several = std::any_of(s.tiles.begin(), s.tiles.end(), [](const TileRule& r) { return r.consumers > 1; });
  if (s.combine == Combine::last_cta && (several || s.mma == ir::MmaKind::tcgen05))
    reader.issue("combine", "by the last CTA needs one computing agent with O in registers", "kernel");
  if ((s.combine == Combine::owner) != (s.split == SplitPolicy::stream_k))
    reader.issue("combine", "by the owner of the first KV tile goes with stream_k, and only with it", "owner with stream_k");
  if (s.combine == Combine::owner && (s.stage_o_in_v || s.mma == ir::MmaKind::tcgen05 || s.cluster > 1 || several))
    reader.issue("combine", "by the owner needs one computing agent with O in registers", "kernel");
  const bool joint = std::any_of(s.tiles.begin(), s.tiles.end(), [](const TileRule& r) { return r.kv_ring > 0 || r.stages_v > 0; });
  const bool view = s.mma != ir::MmaKind::tcgen05;
  if (s.v_in_k && ((joint && view) || s.stage_o_in_v || !s.fused()))
    reader.issue("v_in_k", "is for fused kernels that store O from registers, and without slots of V's own unless tcgen05", "false");
  if (s.pair && (s.cluster != 2 || s.mma != ir::MmaKind::tcgen05)) reader.issue("pair", "is for tcgen05 in clusters of two CTAs", "false");
  check_row_rules(s, reader);
  if (!s.fused() && splits) reader.issue("split", "is not for the unfused form", "none");
  if (s.pack_gqa && s.pack_gqa_decode_only) reader.issue("pack_gqa_decode_only", "contradicts pack_gqa", "one of the two");
  if (!s.fused() && (s.pack_gqa || s.pack_gqa_decode_only)) reader.issue("pack_gqa", "is not for the unfused form", "false");
  if (s.ping_pong && s.agents.size() == 1) reader.issue("ping_pong", "needs consumers that take turns", "false");
  if (s.exp2_in_turn && (s.agents.size() == 1 || s.mma == ir::MmaKind::tcgen05))
    reader.issue("exp2_in_turn", "needs consumers that take turns, with accumulators in registers", "false");
  if (s.precise_softmax && (s.mma == ir::MmaKind::tcgen05 || !s.fused() || s.exp2_polynomial > 0))
    reader.issue("precise_softmax",
                 "is for fused kernels with accumulators in registers whose exponentials run on the special-function unit", "false");
  const bool pieces = std::any_of(s.tiles.begin(), s.tiles.end(), [](const TileRule& r) { return r.split_columns; });
  if (s.accumulates_f16() && (s.mma != ir::MmaKind::mma_sync || !s.fused() || pieces))
    reader.issue(s.f16_scores ? "f16_scores" : "f16_output", "is for mma_sync in fused kernels whose agents own rows", "false");
  if (s.f16_output && (splits || s.o_in_memory)) reader.issue("f16_output", "is for kernels that keep O whole in registers", "false");
  const bool tmem = s.mma == ir::MmaKind::tcgen05;
  if (s.p_parts > 1 &&
      (!tmem || std::any_of(s.tiles.begin(), s.tiles.end(), [&](const TileRule& r) { return r.tile_kv % (16 * s.p_parts) != 0; })))
    reader.issue("p_parts", "are for tcgen05 and KV tiles that they divide by steps of 16 keys", "1");
  if (s.softmax_interleaved && !tmem) reader.issue("softmax_interleaved", "is for accumulators in tensor memory", "false");
  if (s.stage_o_in_v && std::any_of(s.agents.begin(), s.agents.end(), [](const AgentSpec& a) { return a.kind == AgentKind::epilogue; }))
    reader.issue("stage_o_in_v", "is for kernels that have no epilogue agent, which stages O elsewhere", "false");
  if (s.stage_o_in_v && s.agents.size() == 1) reader.issue("stage_o_in_v", "needs a producer that waits for the store", "false");
}

void check_gemm(const Schedule& s, FieldReader& reader) {
  const bool alone = s.agents.size() == 1 && s.agents.front().kind == AgentKind::all;
  const bool pair = s.agents.size() == 2 && s.agents[0].kind == AgentKind::producer && s.agents[1].kind == AgentKind::consumer;
  if (!alone && !pair) reader.issue("agents", "do not make a kernel", "one agent of kind all, or a producer and a consumer");
  if (s.gemm.tiles.empty()) reader.issue("tiles", "is missing", "at least one tile");
  for (const RowRule& rule : s.rows)
    if (rule.keep) reader.issue("rules", "keep rows", "rows that each pass reads");
  if (alone && ir::is_async(s.mma)) reader.issue("agents", "do not fit an asynchronous matrix instruction", "a producer and a consumer");
  const int rows = s.mma == ir::MmaKind::mma_sync ? 16 : s.mma == ir::MmaKind::tcgen05 ? 128 : 64;
  std::vector<FieldReader> readers = reader.children("tiles");
  for (std::size_t i = 0; i < s.gemm.tiles.size(); ++i) {
    const GemmTile& tile = s.gemm.tiles[i];
    FieldReader& at = readers.at(i);
    const int unit = (tile.pair ? rows / 2 : rows) * tile.consumers;  // a pair fills the lanes together
    if (tile.tile_m % unit != 0)
      at.issue("tile_m", fmt::format("can't be shared by {} computing agents in units of {} rows", tile.consumers, unit / tile.consumers),
               fmt::format("multiples of {}", unit));
    const auto range = [&](const char* most, int from, int to) {
      if (to > 0 && to < from) at.issue(most, fmt::format("{} is below the least", to), fmt::format("0 or from {}", from));
    };
    range("rows_max", tile.rows_min, tile.rows_max);
    range("columns_max", tile.columns_min, tile.columns_max);
    if (alone && tile.consumers != 1) at.issue("consumers", "needs agents of kind consumer", "1");
    if (tile.pair && (tile.cluster_m != 2 || s.mma != ir::MmaKind::tcgen05))
      at.issue("pair", "is for tcgen05 in clusters of two CTAs along m", "cluster_m 2");
    const bool engine = s.copy == ir::CopyKind::tma || s.copy == ir::CopyKind::tma_multicast;
    if ((tile.cluster_m > 1 || tile.cluster_n > 1) && !engine) at.issue("cluster_m", "needs copies that multicast", "copy tma");
  }
}

}  // namespace attnsim
