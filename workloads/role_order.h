// SPDX-License-Identifier: Apache-2.0
// The order in which the roles of an agent's main loop must stand. Checks of forward and backward schedules share it.
#pragma once

#include <span>
#include <string>

#include "sim/core/json_fwd.h"
#include "workloads/schedule.h"

namespace attnsim {

// `later` of the trip `distance` after must come after `earlier`.
struct RoleOrder {
  const char* earlier;
  const char* later;
  int distance;
  const char* why;
};

// Place of the role in the agent's loop; -1 where it has none.
[[nodiscard]] int position(const AgentSpec& agent, const std::string& role);

// Reports, at `key`, each pair of placed roles that stands the wrong way round.
void check_orders(const AgentSpec& agent, std::span<const RoleOrder> orders, const std::string& key, FieldReader& reader);

}  // namespace attnsim
