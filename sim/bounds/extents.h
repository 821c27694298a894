// SPDX-License-Identifier: Apache-2.0
// How often an op acts for one item and how much of its padded work is useful. Closed forms over runs of trips.
//   kept pairs of a row tile: 128 rows, run {0, 3} full + {3, 1} partial, tile_kv 64, kept = 128 * 192 + 2080
//   op_extent(qk) = {padded 4 * 128 * 64 * d, useful kept * d}
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/small_vector.h"
#include "sim/ir/pipeline.h"

namespace attnsim::bounds {

struct ItemView {
  const ir::ItemFamily* family = nullptr;
  const ir::RowTile* tile = nullptr;
};

// The trips of the section for which the condition holds; a `once` section has one trip. Trips of a peers loop visit 0, 1, ...
// Under When::last_arriver all trips are returned: which item arrives last is known at run time only.
[[nodiscard]] ir::TripRuns acting_runs(const ir::RowTile& tile, const ir::Section& section, ir::When when);
[[nodiscard]] double trip_count(const ir::TripRuns& runs);
// How many these are.
[[nodiscard]] double acting_trips(const ir::RowTile& tile, const ir::Section& section, ir::When when);

// Sum over the trips of the product of the valid columns of trip_cols axes with these padded sizes (an empty list: the trips).
[[nodiscard]] double sum_of_valid_columns(const ir::TripRuns& runs, std::int64_t loop_extent, std::span<const int> padded);
[[nodiscard]] std::int64_t valid_rows(const ir::Axis& axis, const ir::RowTile& tile);

// The axes over which an op iterates: m, n, k of an mma; of a reduction its operand's; else its first result's (or operand's).
[[nodiscard]] SmallVector<ir::AxisId, 3> iteration_axes(const ir::Program& program, const ir::Op& op);
[[nodiscard]] bool spans_loop(const ir::Program& program, const ir::Op& op);

// Elements (multiply-adds of an mma) over all acting trips of one item. Where the op spans both the item's rows and the loop
// columns, `useful` counts kept pairs, in proportion to the rows of the op's agent; partial trips hold what full trips do not.
struct OpExtent {
  double padded = 0;
  double useful = 0;
};
[[nodiscard]] OpExtent op_extent(const ir::Program& program, const ir::Section& section, const ir::Op& op, const ItemView& item);

// Valid bytes that a copy moves over all acting trips of one item.
[[nodiscard]] double copy_bytes(const ir::Program& program, const ir::Section& section, const ir::Op& op,
                                const std::vector<ir::Tensor>& tensors, const ItemView& item);
[[nodiscard]] ir::TileId copied_tile(const ir::Op& op);

}  // namespace attnsim::bounds
