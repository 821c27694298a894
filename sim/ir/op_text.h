// SPDX-License-Identifier: Apache-2.0
// One op as a line of text:  op_text(program, op, tensors) == "s = mma wgmma_ss q k^T -> k_empty"
#pragma once

#include <string>
#include <vector>

#include "sim/ir/pipeline.h"

namespace attnsim::ir {

[[nodiscard]] std::string op_text(const Program& program, const Op& op, const std::vector<Tensor>& tensors);

}  // namespace attnsim::ir
