// SPDX-License-Identifier: Apache-2.0
// variant x schedule x chip -> pipeline. One function per family, looked up in a visible table (families/table.cpp).
#pragma once

#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

// Throws ConfigError when the schedule is not legal for this problem and chip (head_dim not compiled, tile does not fit SMEM
// or registers, unit missing on the chip, role not placed). Knows no engine. `extras` are kernels that a harness
// times beside the attention call, in declaration order before it.
[[nodiscard]] ir::Pipeline lower(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                 const std::vector<ExtraKernel>& extras = {});

}  // namespace attnsim
