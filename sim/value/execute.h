// SPDX-License-Identifier: Apache-2.0
// The value rule of every op, in double. Reads and writes the valid extent; the rest of a written tile becomes 0.
//   exp2(-inf) = 0, a maximum over no column = -inf, convert = identity, select keeps where the predicate is not 0.
#pragma once

#include <span>

#include "sim/ir/pipeline.h"
#include "sim/value/cta_memory.h"
#include "sim/value/instance.h"
#include "sim/value/tensor_data.h"

namespace attnsim::value {

// Throws SimError when the op has no value rule yet or reaches outside its tensor. signal and await do nothing.
void execute(const ir::Program& program, const Instance& instance, CtaMemory& memory, std::span<TensorData> tensors);

}  // namespace attnsim::value
