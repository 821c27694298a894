// SPDX-License-Identifier: Apache-2.0
// Items of a kernel on all SMs, trip by trip: their loads through L2 (LRU) and the queues of ports, L2 and HBM, their compute by the
// trip model. CTAs of one SM share it: a trip among k takes what the model measured among k. A trip is a handful of events where the
// machine plays every op of every agent.
#pragma once

#include "sim/engine/l2_cache.h"
#include "sim/engine/machine.h"
#include "sim/engine/trip_model.h"

namespace attnsim {

struct ChipReplay {
  double ticks = 0;
  double loaded_bytes = 0;
  double hit_bytes = 0;
  double written_back_bytes = 0;
  double resident_ticks = 0;  // summed over SMs
  double stall_ticks = 0;     // CTAs that waited for loads beyond what the trip model holds, summed
};
// `cache`: L2 as the kernel before left it; nullptr when nothing hits.
[[nodiscard]] ChipReplay replay_chip(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                                     const MachineConfig& whole, TripModel& model, L2Cache* cache);

}  // namespace attnsim
