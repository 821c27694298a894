// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/core/json_reader.h"
#include "workloads/role_order.h"
#include "workloads/schedule_check.h"

namespace attnsim {

namespace {

constexpr std::array kBackwardOrders{
    RoleOrder{"load_q", "qk", 0, "reads Q"},
    RoleOrder{"load_do", "dov", 0, "reads dO"},
    RoleOrder{"qk", "mask", 0, "reads S"},
    RoleOrder{"mask", "exp", 0, "reads S"},
    RoleOrder{"exp", "convert_p", 0, "reads P"},
    RoleOrder{"exp", "ds", 0, "reads P"},
    RoleOrder{"dov", "ds", 0, "reads dP"},
    RoleOrder{"convert_p", "dv", 0, "reads P"},
    RoleOrder{"ds", "dk", 0, "reads dS"},
    RoleOrder{"ds", "dq", 0, "reads dS"},
    RoleOrder{"dq", "add_dq", 0, "reads dQ"},
    RoleOrder{"ds", "qk", 1, "overwrites P"},
    RoleOrder{"convert_p", "qk", 1, "overwrites P"},
    RoleOrder{"ds", "dov", 1, "overwrites dP"},
    RoleOrder{"dv", "convert_p", 1, "overwrites P"},
    RoleOrder{"dk", "ds", 1, "overwrites dS"},
    RoleOrder{"dq", "ds", 1, "overwrites dS"},
    RoleOrder{"add_dq", "dq", 1, "overwrites dQ"},
};

const std::vector<std::string>& backward_load_roles() {
  static const std::vector<std::string> roles{"load_q", "load_do"};
  return roles;
}

bool is_load(const std::string& role) {
  return std::find(backward_load_roles().begin(), backward_load_roles().end(), role) != backward_load_roles().end();
}

void check_backward_placement(const AgentSpec& agent, FieldReader reader) {
  const bool loads = agent.kind == AgentKind::producer || agent.kind == AgentKind::all;
  const bool computes = agent.kind == AgentKind::consumer || agent.kind == AgentKind::all;
  for (const std::string& role : backward_roles()) {
    const int at = position(agent, role);
    const bool wanted = is_load(role) ? loads : computes;
    if (wanted && at < 0) reader.issue("loop", fmt::format("does not place {} on agent {}", role, agent.name), "every role");
    if (!wanted && at >= 0) {
      reader.issue("loop", fmt::format("places {} on agent {}, which does not {}", role, agent.name, is_load(role) ? "load" : "compute"));
    }
  }
  for (std::size_t i = 0; i < agent.loop.size(); ++i) {
    if (position(agent, agent.loop[i].role) != static_cast<int>(i))
      reader.issue("loop", fmt::format("places {} twice on agent {}", agent.loop[i].role, agent.name));
  }
  check_orders(agent, kBackwardOrders, "loop", reader);
}

void check_backward_agents(const Schedule& s, FieldReader& reader) {
  const auto count = [&](AgentKind kind) {
    return std::count_if(s.agents.begin(), s.agents.end(), [&](const AgentSpec& a) { return a.kind == kind; });
  };
  const bool alone = count(AgentKind::all) == 1 && s.agents.size() == 1;
  const auto reducers = static_cast<std::size_t>(count(AgentKind::reducer));
  const bool pair = count(AgentKind::producer) == 1 && count(AgentKind::consumer) == 1 && reducers <= 1 && s.agents.size() == 2 + reducers;
  const std::size_t wanted = s.backward.adds_grad_query() ? 1 : 0;
  const bool tmem = count(AgentKind::producer) == 1 && count(AgentKind::issuer) == 1 && count(AgentKind::consumer) == 1 &&
                    reducers == wanted && s.agents.size() == 3 + wanted;
  if (s.mma == ir::MmaKind::tcgen05) {
    if (!tmem)
      reader.issue("agents", "do not make a kernel",
                   "with tcgen05 one producer, issuer and consumer, and where dQ comes by atomics a reducer");
    return;  // tokens fix the order
  }
  if (!alone && !pair)
    reader.issue("agents", "do not make a kernel", "one agent of kind all, or one producer, one consumer, maybe a reducer");
  const std::vector<FieldReader> readers = reader.children("agents");
  for (std::size_t i = 0; i < s.agents.size(); ++i) {
    if (s.agents[i].kind != AgentKind::reducer) check_backward_placement(s.agents[i], readers.at(i));
  }
}

}  // namespace

const std::vector<std::string>& backward_roles() {
  static const std::vector<std::string> roles{"load_q",    "load_do", "qk", "dov", "mask", "exp",
                                              "convert_p", "ds",      "dv", "dq",  "dk",   "add_dq"};
  return roles;
}

void check_backward(const Schedule& s, FieldReader& reader) {
  if (s.head_dims.empty()) reader.issue("head_dims", "is missing", "ascending sizes");
  if (!std::is_sorted(s.head_dims.begin(), s.head_dims.end())) reader.issue("head_dims", "are not in order", "ascending sizes");
  check_row_rules(s, reader);
  if (s.fused())
    check_backward_agents(s, reader);
  else if (s.agents.size() != 1 || s.agents.front().kind != AgentKind::all)
    reader.issue("agents", "do not fit the eager form", "one agent of kind all");
  if (s.tiles.empty()) reader.issue("tiles", "is missing", "at least one rule");
  if (s.backward.pair && (s.cluster != 2 || s.mma != ir::MmaKind::tcgen05))
    reader.issue("backward", "has pairs of CTAs, which are for tcgen05 in clusters of two", "cluster 2");
  if (s.backward.pair && s.backward.grad_query == GradQuery::kernel)
    reader.issue("backward", "has pairs of CTAs, which add up dQ together", "grad_query atomic");
  const auto reduces = [](const AgentSpec& a) { return a.kind == AgentKind::reducer; };
  if (s.backward.grad_query == GradQuery::ordered && std::none_of(s.agents.begin(), s.agents.end(), reduces))
    reader.child("backward").issue("grad_query", "orders the sums of dQ, which takes an agent that adds them", "an agent of kind reducer");
  if (!s.backward.turns_fenced && s.backward.grad_query != GradQuery::ordered)
    reader.child("backward").issue("turns_fenced", "is for dQ that is added in order", "grad_query ordered");
  if (s.backward.ds_in_smem && (s.mma != ir::MmaKind::tcgen05 || !s.fused()))
    reader.child("backward").issue("ds_in_smem", "is for accumulators in tensor memory", "false");
  if (s.precise_softmax &&
      (s.mma == ir::MmaKind::tcgen05 || !s.fused() || s.exp2_polynomial > 0 || s.backward.grad_query == GradQuery::kernel))
    reader.issue("precise_softmax", "is for fused kernels with accumulators in registers that add up dQ themselves", "false");
  const bool lists = s.backward.gathers_queries || s.backward.dq_packs_group;
  if (lists && (s.backward.grad_query != GradQuery::kernel || !s.fused() || s.mma == ir::MmaKind::tcgen05))
    reader.issue("backward", "takes queries by lists or tokens, for kernels with accumulators in registers and one of dQ's own",
                 "grad_query kernel");
  const int rows = s.mma == ir::MmaKind::tcgen05 ? (s.fused() ? 128 : 64) : s.mma == ir::MmaKind::wgmma_ss ? 64 : 16;
  std::vector<FieldReader> readers = reader.children("tiles");
  for (std::size_t i = 0; i < s.tiles.size(); ++i) {
    if (s.tiles[i].tile_kv % rows != 0)
      readers[i].issue("tile_kv", "is no multiple of a matrix instruction's rows", fmt::format("multiples of {}", rows));
    if (s.tiles[i].tile_q % 8 != 0) readers[i].issue("tile_q", "is no multiple of a matrix instruction's columns", "multiples of 8");
    if (!s.fused() && s.tiles[i].tile_q % rows != 0)
      readers[i].issue("tile_q", "is no multiple of a matrix instruction's rows", fmt::format("multiples of {}", rows));
    if (s.fused() && s.mma == ir::MmaKind::tcgen05 && s.tiles[i].stages < 2)
      readers[i].issue("stages", "is too few: S of a trip comes before dK of the trip before", "at least 2");
    if (s.tiles[i].consumers != 1) readers[i].issue("consumers", "is for the forward pass", "1");
  }
}

}  // namespace attnsim
