// SPDX-License-Identifier: Apache-2.0
// What a schema can't say about a schedule.
#pragma once

#include <string>
#include <vector>

#include "sim/core/json_fwd.h"
#include "workloads/schedule.h"

namespace attnsim {

// Roles of the main loop.
[[nodiscard]] const std::vector<std::string>& schedule_roles();

[[nodiscard]] const std::vector<std::string>& backward_roles();

// Adds the roles that an agent should have and none names, next to what produces their operands.
void complete_roles(std::vector<AgentSpec>& agents);

// Agents, tiles and placement must make sense together: every value written before it is read, and read before the next trip
// overwrites it. Issues go to the reader.
void check_schedule(const Schedule& schedule, FieldReader& reader);
// The same of a backward schedule; every role is placed by name.
void check_backward(const Schedule& schedule, FieldReader& reader);
// Form "eager": softmax keeps its rows.
void check_row_rules(const Schedule& schedule, FieldReader& reader);
// Family gemm: agents that make a kernel, tiles that the instruction and the agents can share.
void check_gemm(const Schedule& schedule, FieldReader& reader);

}  // namespace attnsim
