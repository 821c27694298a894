// SPDX-License-Identifier: Apache-2.0
// The rowwise family: softmax and layer norm of m rows, and the conversions to 8 bits ahead of a product. A CTA takes some rows and walks
// their columns in chunks, once per pass (statistics, then results), or keeps a short row in registers.
#pragma once

#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

// largest: max |x| of each row, no results. quantize: results by a scale that is known (1 here). quantize_rows: by the row's own scale.
enum class RowOp { softmax, layernorm, largest, quantize, quantize_rows };

// How rows of n columns are walked: in panels of `chunk` columns.
struct RowPlan {
  RowRule rule;
  std::int64_t columns = 1;
  int chunk = 1;
  std::int64_t trips = 1;
};
// By the first of the schedule's rules that admits n. Throws ConfigError when none does.
[[nodiscard]] RowPlan plan_rows(std::int64_t n, const Schedule& schedule, const Chip& chip);

// x and y [trips x m x chunk], statistic [1 x m x 1] f32 where the operator leaves one; kNone where it has none.
struct RowTensors {
  ir::TensorId x = ir::kNone;
  ir::TensorId y = ir::kNone;
  ir::TensorId statistic = ir::kNone;
};
struct RowTypes {
  ir::DType x = ir::DType::f16;
  ir::DType y = ir::DType::f16;
};
[[nodiscard]] ir::Kernel row_kernel(RowOp op, const RowPlan& plan, std::int64_t m, const RowTensors& tensors, const RowTypes& types);

[[nodiscard]] ir::Pipeline lower_rowwise(const Variant& variant, const Problem& problem, const Schedule& schedule, const Chip& chip,
                                         const std::vector<ExtraKernel>& extras);

}  // namespace attnsim
