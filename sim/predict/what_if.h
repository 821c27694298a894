// SPDX-License-Identifier: Apache-2.0
// Variations of one request and the time of each: the parts that "what would help" and "what would explain a measured time" share.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/predict/predict.h"

namespace attnsim {

// A request with one thing changed.
struct Variation {
  std::string name;    // "tile_kv", "hbm.bandwidth_gb_per_s"
  std::string change;  // "128 -> 64"
  std::string explanation;
  Request request;
};

// Simulated time with the harness's constant, without bounds. Nothing where the variation is not legal (tile does not fit, deadlock).
[[nodiscard]] std::optional<double> what_if_us(const Request& request);

// The request with the engine that many variations can afford: `detailed` for small work, else `fast`.
[[nodiscard]] Request affordable(Request request);

// Neighbours in every discrete parameter of the schedule: tiles, stages, splits, packing, masks, order, grid. Legality is not checked.
[[nodiscard]] std::vector<Variation> schedule_neighbours(const Request& base);
// The other shipped schedules that can run the problem.
[[nodiscard]] std::vector<Variation> other_schedules(const Request& base);

}  // namespace attnsim
