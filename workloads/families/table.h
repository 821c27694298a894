// SPDX-License-Identifier: Apache-2.0
// The visible table of families: one lowering function per family of variants.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

struct Family {
  std::string_view name;
  std::string_view description;
  ir::Pipeline (*lower)(const Variant&, const Problem&, const Schedule&, const Chip&, const std::vector<ExtraKernel>&);
};
[[nodiscard]] std::span<const Family> families();

}  // namespace attnsim
