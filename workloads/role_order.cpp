// SPDX-License-Identifier: Apache-2.0
#include "workloads/role_order.h"

#include <fmt/format.h>

#include "sim/core/json_reader.h"

namespace attnsim {

int position(const AgentSpec& agent, const std::string& role) {
  for (std::size_t i = 0; i < agent.loop.size(); ++i) {
    if (agent.loop[i].role == role) return static_cast<int>(i);
  }
  return -1;
}

void check_orders(const AgentSpec& agent, std::span<const RoleOrder> orders, const std::string& key, FieldReader& reader) {
  for (const RoleOrder& order : orders) {
    const int a = position(agent, order.earlier);
    const int b = position(agent, order.later);
    if (a < 0 || b < 0) continue;
    const int step_a = agent.loop[static_cast<std::size_t>(a)].skew;
    const int step_b = agent.loop[static_cast<std::size_t>(b)].skew + order.distance;
    if (step_a > step_b || (step_a == step_b && a > b)) {
      reader.issue(key, fmt::format("places {} of agent {} before {}; it {}", order.later, agent.name, order.earlier, order.why));
    }
  }
}

}  // namespace attnsim
