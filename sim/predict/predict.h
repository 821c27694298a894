// SPDX-License-Identifier: Apache-2.0
// One prediction, from resolved inputs to a Result: lower, bounds, simulate.
#pragma once

#include <optional>
#include <string>

#include "hwmodels/chip.h"
#include "sim/engine/engine.h"
#include "sim/result/conditions.h"
#include "sim/result/result.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

struct Request {
  std::string workload;  // label
  const Variant* variant = nullptr;
  Problem problem;
  Schedule schedule;
  Chip chip;
  Conditions conditions;
  EngineKind engine = EngineKind::automatic;
  std::optional<double> measured_us = std::nullopt;  // a real kernel's time for this workload, where one is known
};

// Pure: same request, same result, on any thread. Throws ConfigError (illegal schedule) or SimError (deadlock).
[[nodiscard]] Result predict(const Request& request);

// Canonical JSON of a request; its hash with the code's version is Result::model_hash.
[[nodiscard]] std::string resolved_config(const Request& request);

}  // namespace attnsim
