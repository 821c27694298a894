// SPDX-License-Identifier: Apache-2.0
// The work of one kernel, counted from ops, shapes and index sets: totals over all items, and what one item certainly asks of
// the SM that runs it.
#pragma once

#include <array>
#include <vector>

#include "sim/core/small_vector.h"
#include "sim/result/result.h"
#include "sim/select/select.h"

namespace attnsim::bounds {

// What an SM serves one item at a time, in cycles of the whole SM at full rate. `vector`: chains of element-wise ops, whose
// time lies between the longest and the sum of their pipes (Chip::vector.chain_serialization).
enum class Server : std::uint8_t { tensor, fp32, alu, sfu, issue, smem, l2_port, vector };
inline constexpr std::size_t kServers = 8;
[[nodiscard]] std::string_view name_of(Server s);
using ServerCycles = std::array<double, kServers>;

// Lane work in SM cycles. `exp_sfu` is the part of `sfu` that is exp2, which some chips may also run on FP32 lanes.
struct LaneCycles {
  double fp32 = 0;
  double alu = 0;
  double sfu = 0;
  double exp_sfu = 0;
};

// Equal items: one row tile on every slab of its family. Without work that falls to whichever CTA arrives last.
struct ItemClass {
  const ir::ItemFamily* family = nullptr;
  const ir::RowTile* tile = nullptr;
  ServerCycles servers{};
  SmallVector<double, 4> agent_cycles;  // by agent: steps that hold it up one after the other
  double latency_cycles = 0;            // of a CTA's first item: longest chain through one agent, first load included
};

struct KernelWork {
  WorkCounts counts;
  ServerCycles padded{};  // sums over all items
  LaneCycles padded_lanes;
  LaneCycles useful_lanes;
  double useful_tensor_cycles = 0;  // at the tensor peak, efficiency not applied
  bool has_mma = false;
  std::int64_t items = 0;
  std::vector<ItemClass> classes;
};

[[nodiscard]] KernelWork count_work(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip);

// Longest of the lanes when exps may be placed on SFU or, where Chip::sm.exp_on_fma, as an FMA polynomial.
struct LaneTime {
  double cycles = 0;
  Resource limiter = Resource::fp32;
};
[[nodiscard]] LaneTime lane_time(const LaneCycles& lanes, const Chip& chip);

}  // namespace attnsim::bounds
