// SPDX-License-Identifier: Apache-2.0
// Rows of a tensor at places of an order whose tiles come in groups that begin anywhere and overlap: as boxes of tokens, not one by one.
#pragma once

#include <vector>

#include "sim/bounds/touched.h"
#include "sim/ir/row_order.h"

namespace attnsim::bounds {

// Each row once, in intervals. `places`: ascending, of whole tiles, but for rows behind the layout.
[[nodiscard]] std::vector<Interval> group_rows(const ir::RowOrder& order, const std::vector<Interval>& places);

}  // namespace attnsim::bounds
