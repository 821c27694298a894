// SPDX-License-Identifier: Apache-2.0
// A run config carried out: every workload with its schedule, beside its baseline.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/predict/predict.h"
#include "sim/predict/run_config.h"

namespace attnsim {

struct Outcome {
  Result result;
  Result baseline;
  std::string baseline_how;  // "fastest of 4 dense schedules", "named in the config", ...
  Problem problem;
};

// Answers a request; the default is `predict`, a sweep remembers what it has seen.
using Predictor = std::function<Result(const Request&)>;

// One workload and its baseline. Throws what predict throws, located in the config. The predictor should remember (memo.h):
// searches and baselines ask for the same request more than once.
[[nodiscard]] Outcome execute_workload(const RunConfig& config, std::size_t index, const Predictor& predictor);
// All workloads, in their order.
[[nodiscard]] std::vector<Outcome> execute(const RunConfig& config);

// The request that stands for a workload, but for its schedule.
[[nodiscard]] Request base_request(const RunConfig& config, const WorkloadConfig& workload);
// The schedule of a workload: named, the chip's default, or the fastest one.
[[nodiscard]] Request resolve_workload(const RunConfig& config, const WorkloadConfig& workload, const Predictor& predictor);

}  // namespace attnsim
