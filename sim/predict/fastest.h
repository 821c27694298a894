// SPDX-License-Identifier: Apache-2.0
// The fastest of several schedules of one problem. A schedule whose bound is above the best simulated time is never played.
#pragma once

#include <vector>

#include "sim/predict/run.h"

namespace attnsim {

// Throws the last ConfigError if none is legal.
[[nodiscard]] Request fastest(Request base, const std::vector<Schedule>& schedules, const Predictor& predictor);

}  // namespace attnsim
