// SPDX-License-Identifier: Apache-2.0
// Why a resource is idle: each tick of each server is busy or has exactly one reason.
//
// The rule. At an instant when a unit of an SM is idle, of the SM's agents that use the unit
//   1. those that wait to issue to it as their next work give the reason: what they wait for, first of
//      dependency latency, copy, token;
//   2. else those at work on another unit: that unit is busy, or, while nothing there is, the latency of its result;
//   3. else those that wait before work for another unit: what they wait for;
//   4. else agents in their start latency.
// A token is named with the agents that signal it. A copy that is waited for is told by what it does: its bytes come from HBM, from L2, its
// latency runs, or it was not issued yet. When no agent is left that uses the unit: stores drain, or the CTA has no more work for it.
// Without a CTA: the next one is being dispatched, or none is left (tail).
//
// Bandwidth shared by the chip (L2, HBM) that nobody draws is split evenly among the SMs; each SM's part has the reason for which
// that SM does not draw more.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/result/result.h"

namespace attnsim {

// What serves work on an SM, and the bandwidths. `copy` is the SM's port to L2.
enum class Server : std::uint8_t { tensor, vector, issue, smem, copy, l2, hbm };
inline constexpr std::size_t kServerCount = 7;
inline constexpr std::size_t kSmServers = 4;  // the first ones: their schedule is known ahead

// Reasons that every kernel has; those of its tokens follow them.
enum class Reason : std::uint8_t {
  dependency,
  tensor_busy,
  vector_busy,
  issue_busy,
  smem_busy,
  start,
  store_drain,
  cta_done,
  dispatch,
  tail,
  l2_shared,
  hbm_shared,
  port_rate,
  port_hits,
  turnaround,
  other_lanes,
  smem_gaps,
  no_work
};
inline constexpr std::size_t kReasonCount = 18;
[[nodiscard]] std::string_view name_of(Reason r);

struct Attribution {
  std::vector<std::string> reasons;                          // names, [Reason..., then those of tokens and blocking loads]
  std::array<double, kServerCount> busy_ticks{};             // summed over SMs; l2, hbm: of the chip
  std::array<std::vector<double>, kServerCount> idle_ticks;  // by reason
  [[nodiscard]] bool empty() const { return reasons.empty(); }
};

// Use of every resource. `total_ticks`: of the kernel; `demand_cycles`: FP32, ALU and SFU work of all SMs. Throws Invariant when the
// ticks of a server do not sum to the total.
struct LaneDemand {
  double fp32_cycles = 0;
  double alu_cycles = 0;
  double sfu_cycles = 0;
};
[[nodiscard]] std::vector<ResourceUse> attributed_use(const Attribution& attribution, double total_ticks, int sms, double smem_busy_ticks,
                                                      const LaneDemand& demand);

}  // namespace attnsim
