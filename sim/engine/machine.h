// SPDX-License-Identifier: Apache-2.0
// Plays one kernel op by op on a set of SMs with their memory. `detailed` plays the whole chip; `fast` plays an equal part of it, or
// one SM on classes of items.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/engine/attribution.h"
#include "sim/engine/engine.h"
#include "sim/engine/l2_cache.h"
#include "sim/engine/memory.h"
#include "sim/select/select.h"

namespace attnsim {

struct KernelPlan;

// Agents that share a pipe lock into phases, which a few cycles of start offset can change by some per cent. SMs therefore
// start their agents with one of these offsets (times kStartOffsetCycles and the agent's index), and a run is their mean.
inline constexpr int kStartOffsets = 4;
inline constexpr double kStartOffsetCycles = 37;  // no divisor of a pipe's group lengths

// State at the end of an item: when the last of its CTA's agents leaves it.
struct Checkpoint {
  std::int64_t ticks = 0;
  std::array<double, kWaitCount> wait_cycles{};  // of all agents since the start
};

struct MachineConfig {
  int sms = 1;
  int ctas_per_sm = 1;
  int gpcs = 1;  // over which the SMs are spread in pairs; clusters stay inside one
  double clock_mhz = 0;
  MemoryRates rates;
  L2Cache* cache = nullptr;  // nullptr: `hit_fraction` of the loaded bytes hit
  double hit_fraction = 0;
  const std::vector<double>* tensor_hits = nullptr;  // beside `hit_fraction`, in its place: by tensor
  double hbm_write_cost = 1;
  double dirty_share = 0;    // without `cache`: of what the kernel displaces in L2
  int start_offset = 0;      // of a single SM; on several, SM i uses offset i % kStartOffsets
  bool load_latency = true;  // effects that can be switched off
  bool dependent_latency = true;
  bool smem_bandwidth = true;
  bool chain_overlap = true;
  bool mask_cost = true;
  bool cta_start = true;
  bool multicast = true;
  bool count_work = true;                          // pipe demands and work counts of the result
  std::vector<Checkpoint>* checkpoints = nullptr;  // one per item, in order of their ends
  bool start_offsets = true;
  bool leave_out = false;  // items of a grid that goes on as before need not be played (steady_grid.h)
  bool attribute = false;  // book the reasons of idle ticks
  EngineListener* listener = nullptr;
  int node = 0;         // for the listener
  double start_us = 0;  // for the listener: of the kernel in the pipeline
};

struct MachineResult {
  std::int64_t ticks = 0;
  std::int64_t ctas = 0;
  std::int64_t items = 0;
  std::array<double, kPipeCount> busy_cycles{};  // summed over SMs
  double l2_bytes = 0;                           // SM <-> L2
  double l2_read_to_add_bytes = 0;               // by atomics beside those that they bring; of count_work only
  double hbm_bytes = 0;
  double hbm_written_bytes = 0;  // part of hbm_bytes
  double loaded_bytes = 0;
  double hit_bytes = 0;
  std::array<double, kWaitCount> wait_cycles{};  // summed over agents
  double spread = 0;                             // relative half-range of the time per trip over start offsets
  double resident_cycles = 0;                    // SM cycles with at least one CTA
  std::vector<std::int64_t> drain_ticks;         // `detailed`: from each SM's last CTA to the end, longest first
  double cta_cycles = 0;                         // from launch to retirement, summed over CTAs; 0: not played
  WorkCounts counts;
  Attribution attribution;  // empty unless asked for
};

// Plays the kernel's items. Throws SimError with every waiting agent's state when nothing can go on (deadlock).
[[nodiscard]] MachineResult play(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                                 const MachineConfig& config);
// The same with a plan made before: plan_kernel(selected, chip, config), for many plays of one program.
[[nodiscard]] MachineResult play(const SelectedKernel& selected, const KernelPlan& plan, const std::vector<ir::Tensor>& tensors,
                                 const MachineConfig& config);

}  // namespace attnsim
