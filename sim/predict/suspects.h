// SPDX-License-Identifier: Apache-2.0
// What would explain a measured time: mechanisms that a real kernel may have or lack, each with the time that it predicts. Ranked by how
// near that time is to the measured one; those that lead away from it are left out.
#pragma once

#include <string>
#include <vector>

#include "sim/predict/what_if.h"

namespace attnsim {

struct Suspect {
  std::string name;         // "L2 cold", "without hbm_latency", "tile_kv 128 -> 64"
  std::string explanation;  // what would be the case
  double time_us = 0;       // predicted with it
  double closes = 0;        // of the gap between prediction and measurement: 1 all of it, above 1 more than that
};

struct Verdict {
  double base_us = 0;  // prediction by the engine that tried the suspects
  double measured_us = 0;
  EngineKind engine = EngineKind::fast;
  std::vector<Suspect> suspects;
};
[[nodiscard]] Verdict suspects_of(const Request& request, double measured_us);

}  // namespace attnsim
