// SPDX-License-Identifier: Apache-2.0
// Executes one kernel's ops in the order in which the engine completed them.
#pragma once

#include <span>

#include "sim/value/value_run.h"

namespace attnsim::value {

void replay_events(const ir::Kernel& kernel, std::span<const CompletedOp> events, std::span<TensorData> tensors);

}  // namespace attnsim::value
