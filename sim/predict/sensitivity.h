// SPDX-License-Identifier: Apache-2.0
// What would help: how the simulated time answers to each figure of the chip and each parameter of the schedule, by prediction with small
// steps. For a continuous p the elasticity d ln T / d ln p, a central difference over +-10 %: -0.8 means that 10 % more of it takes 8 %
// off. Steps are that wide because agents that share a pipe lock into phases: a step of 1 % would measure the phase.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/predict/what_if.h"

namespace attnsim {

struct Sensitivity {
  std::string parameter;             // chip figure by dotted path, or schedule parameter
  std::string change;                // that gives time_us: "3350 -> 3685 GB/s", "128 -> 64"
  std::optional<double> elasticity;  // continuous parameters
  double time_us = 0;                // with the change, in the direction that helps, or, where none does, in the other
  double gain = 0;                   // part of the time that it takes off; negative where every change is a loss
  double leverage = 0;               // relative gain per relative change in the direction that helps; 0 where none does
};

struct Sensitivities {
  double base_us = 0;  // of the unchanged request with the same engine
  EngineKind engine = EngineKind::fast;
  std::vector<Sensitivity> chip;      // largest leverage first, then largest |elasticity|; what moves nothing is left out
  std::vector<Sensitivity> schedule;  // largest gain first, losses included
};
[[nodiscard]] Sensitivities what_would_help(const Request& request);

}  // namespace attnsim
