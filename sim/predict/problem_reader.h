// SPDX-License-Identifier: Apache-2.0
// Shape, dtype and params of a workload from its JSON object. Issues go to the reader.
#pragma once

#include "sim/core/json_fwd.h"
#include "workloads/variant.h"

namespace attnsim {

inline constexpr std::int64_t kMaxLength = std::int64_t{1} << 24;
inline constexpr std::int64_t kMaxHeadDim = 1024;                 // the widest published rows (FFPA)
inline constexpr std::int64_t kMaxCount = std::int64_t{1} << 20;  // batch, heads

// `variant` is nullptr when its name was wrong: then params are not looked at.
[[nodiscard]] Problem read_problem(FieldReader& workload, const Variant* variant);

}  // namespace attnsim
