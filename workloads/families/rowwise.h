// SPDX-License-Identifier: Apache-2.0
// The rowwise family: softmax and layer norm of m rows. A CTA takes some rows and walks their columns in chunks, once per pass
// (statistics, then results), or keeps a short row in registers.
#pragma once

#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

[[nodiscard]] ir::Pipeline lower_rowwise(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                         const std::vector<ExtraKernel>& extras);

}  // namespace attnsim
