// SPDX-License-Identifier: Apache-2.0
// One execution of an op: which item and trip, and which storage slot it meets.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/ir/kernel.h"

namespace attnsim::value {

struct Instance {
  const ir::Op* op = nullptr;
  int agent = 0;
  int section = 0;
  int position = 0;
  std::int64_t item_position = 0;  // in the grid order
  ir::Item item;
  bool in_loop = false;
  bool in_runs = false;      // loop over RowTile::runs: trip axes have their extent
  std::int64_t trip = 0;     // 0 outside loops
  std::int64_t visited = 0;  // loop tile of the trip; the peer in a loop over peers
  std::int64_t slot = 0;     // modulo a tile's stages: trips (in loops) or items (outside) of the agent so far

  std::vector<std::int64_t> tickets;  // of op->completes, taken when it issued

  [[nodiscard]] std::int64_t first_row(const ir::Program& program, ir::AxisId axis) const;  // absolute coordinate of index 0
  [[nodiscard]] std::int64_t valid(const ir::Program& program, ir::AxisId axis) const;
};

struct Visit {
  std::int64_t tile = 0;
  bool partial = false;
};
[[nodiscard]] Visit visit(const ir::RowTile& tile, std::int64_t trip);
[[nodiscard]] std::int64_t trips_of(const ir::Section& section, const ir::RowTile& tile);

// Fills everything but `slot`. `trip` counts from 0.
[[nodiscard]] Instance make_instance(const ir::Kernel& kernel, int agent, int section, int position, std::int64_t item_position,
                                     const ir::Item& item, std::int64_t trip);
// The part of Op::when that item and trip decide; last_arriver is left to the driver.
[[nodiscard]] bool acts(const Instance& instance, std::int64_t trips);

}  // namespace attnsim::value
