// SPDX-License-Identifier: Apache-2.0
// A selected kernel compiled to what the machine reads: service times in ticks, resolved tokens, addresses.
#pragma once

#include <cstdint>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/select/select.h"

namespace attnsim {

struct MachineConfig;
struct MachineResult;

struct PlannedStep {
  StepKind kind = StepKind::chain;
  ir::When when = ir::When::always;
  bool async = false;
  bool by_steps = false;     // Op::by_steps
  bool interleaved = false;  // Agent::interleaved
  bool is_mask = false;
  bool from_registers = false;  // a store whose tile lies in registers
  bool kernel_scope = false;
  bool turn = false;         // of a token of that scope
  bool awaits_copy = false;  // the token is completed by copies
  bool whole_tile = false;
  bool atomic = false;
  bool until_seen = false;  // Op::until_seen
  int skew = 0;
  int groups = 1;
  int distance = 0;
  int arrivals = 1;
  int sharers = 1;      // CTAs of a cluster that fetch a tile together, each its part
  bool arrives = true;  // the parts of the others arrive too (multicast); else they stay in the others' SMEM (pairs)
  int position = 0;     // of the first op in the agent's section
  std::size_t id = 0;   // among all steps of the plan
  ir::TokenId token = ir::kNone;
  std::int64_t padded_rows = 1;      // of the copied tile
  ir::AxisId rows_axis = ir::kUnit;  // of the copied tile, or of an mma's result
  ir::TileId copied = ir::kNone;
  std::int64_t group_ticks = 0;       // occupies the pipe
  std::int64_t group_own_ticks = 0;   // until the agent's own part is through (an agent of few warps reaches a part of the SM)
  std::int64_t group_sync_ticks = 0;  // of the turn that mma.sync and chains share
  std::int64_t group_smem_ticks = 0;
  std::int64_t group_tmem_ticks = 0;
  std::int64_t group_issue_ticks = 0;
  std::int64_t group_alone_ticks = 0;  // of all these, where the group finds every unit free
  std::int64_t latency = 0;
  std::int64_t warm_saving = 0;  // of a load's latency where another CTA ran on the slot before
  std::int64_t issue_ticks = 0;
  double smem_ticks_per_byte = 0;      // arriving data written to SMEM
  ir::Access access;                   // of a copy
  std::vector<ir::TileId> waits;       // tiles that some asynchronous mma keeps pending
  std::vector<ir::TileId> busy_tiles;  // pending until an asynchronous mma completes
  const ir::Op* op = nullptr;
  const Step* step = nullptr;
};

struct PlannedAgent {
  std::vector<std::vector<PlannedStep>> sections;
  std::vector<int> max_skew;  // by section
};

struct PlannedToken {
  int arrivals = 1;
  int share = 1;  // signals of one agent per phase
  bool kernel_scope = false;
};

struct KernelPlan {
  ir::GridPolicy policy = ir::GridPolicy::one_item_per_cta;
  std::vector<PlannedAgent> agents;
  std::vector<char> is_loop;  // by section
  std::vector<char> is_peers;
  std::size_t step_count = 0;
  int cluster = 1;  // CTAs launched together on SMs of one GPC
  std::vector<PlannedToken> tokens;
  std::int64_t launch_interval = 0;  // ticks between CTA launches, chip-wide
  std::int64_t start_latency = 0;
  std::int64_t barrier_latency = 0;
  std::int64_t l2_latency = 0;
  std::int64_t least_load_latency = 0;
  std::int64_t hbm_latency = 0;  // on top of a hit's
  std::int64_t store_latency = 0;

  [[nodiscard]] int max_skew(std::size_t agent, std::size_t section) const { return agents[agent].max_skew[section]; }
  [[nodiscard]] std::int64_t trips(std::size_t section, const ir::RowTile& tile) const {
    if (is_loop[section] == 0) return 1;
    return is_peers[section] != 0 ? tile.peers : tile.trips();
  }
};
// `selected` must outlive the plan.
[[nodiscard]] KernelPlan plan_kernel(const SelectedKernel& selected, const Chip& chip, const MachineConfig& config);

// For items that are played without the other CTAs of their kernel: the flags that those set count as up.
[[nodiscard]] SelectedKernel without_flags(SelectedKernel selected);

struct VisitedTile {
  std::int64_t index = 0;
  bool partial = false;
};
// Rows of an mma's result, and those of them that hold valid data; the rest is zero padding, which costs time but hardly energy.
[[nodiscard]] std::int64_t padded_rows(const PlannedStep& step, const ir::Program& program);
[[nodiscard]] std::int64_t valid_rows(const PlannedStep& step, const ir::Program& program, std::int64_t item_rows);
// Adds what `times` executions of a step do; of its products `useful_times` are over valid rows.
void add_work(MachineResult& sum, const Step& step, double times, double useful_times);

[[nodiscard]] VisitedTile visited_tile(const ir::RowTile& tile, bool peers, std::int64_t trip);

struct TileAddress {
  std::int64_t slab = 0;
  std::int64_t row = 0;
  std::int64_t rows = 0;  // valid
};
[[nodiscard]] TileAddress address_of(const ir::Access& access, ir::AxisId rows_axis, const ir::Program& program, const ir::Item& item,
                                     const VisitedTile& visited);

// Bytes that a copy moves per row of `tile`, of which agents that share a row's columns have a part each.
[[nodiscard]] std::int64_t row_bytes(const ir::Program& program, ir::TileId tile, const ir::Tensor& tensor);

}  // namespace attnsim
