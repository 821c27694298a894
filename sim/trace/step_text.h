// SPDX-License-Identifier: Apache-2.0
// Names of steps for traces: the roles of their ops, or the token that a signal or await is about.
#pragma once

#include <string>

#include "sim/ir/kernel.h"
#include "sim/select/select.h"

namespace attnsim {

[[nodiscard]] std::string step_name(const Step& step, const ir::Program& program);

}  // namespace attnsim
