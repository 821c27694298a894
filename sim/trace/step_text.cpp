// SPDX-License-Identifier: Apache-2.0
#include "sim/trace/step_text.h"

#include <algorithm>
#include <vector>

namespace attnsim {

std::string step_name(const Step& step, const ir::Program& program) {
  const ir::Op& first = *step.ops.front();
  if (step.kind == StepKind::signal || step.kind == StepKind::await) {
    return (step.kind == StepKind::signal ? "signal " : "await ") + program.tokens[static_cast<std::size_t>(first.token)].name;
  }
  std::vector<std::string> roles;
  for (const ir::Op* op : step.ops) {
    if (std::find(roles.begin(), roles.end(), op->role) == roles.end()) roles.push_back(op->role);
  }
  std::string out;
  for (const std::string& role : roles) out += (out.empty() ? "" : "+") + role;
  return out;
}

}  // namespace attnsim
