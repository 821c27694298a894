// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/fastest.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "sim/bounds/bounds.h"
#include "workloads/lower.h"

namespace attnsim {

Request fastest(Request base, const std::vector<Schedule>& schedules, const Predictor& predictor) {
  if (schedules.size() == 1) {
    base.schedule = schedules.front();
    return base;
  }
  struct Candidate {
    const Schedule* schedule;
    double bound_us;
  };
  std::vector<Candidate> candidates;
  std::optional<ConfigError> refusal;
  for (const Schedule& schedule : schedules) {
    try {
      const ir::Pipeline pipeline = lower(*base.variant, base.problem, schedule, base.chip, base.conditions.extra_kernels);
      const Bounds bounds = compute_bounds(pipeline, base.chip, base.conditions);
      candidates.push_back({&schedule, bounds.ladder.at(Rung::schedule).value_or(0)});
    } catch (const ConfigError& error) {
      refusal = error;
    }
  }
  if (candidates.empty()) {
    if (refusal) throw *refusal;
    throw ConfigError({"", "/schedule", "", "no shipped schedule can run this problem on this chip", "", ""});
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.bound_us < b.bound_us; });
  double best_us = std::numeric_limits<double>::infinity();
  const Schedule* best = nullptr;
  for (const Candidate& candidate : candidates) {
    if (candidate.bound_us >= best_us) break;
    base.schedule = *candidate.schedule;
    const double time_us = predictor(base).ladder.at(Rung::simulated).value_or(best_us);
    if (best != nullptr && time_us >= best_us) continue;
    best_us = time_us;
    best = candidate.schedule;
  }
  base.schedule = *best;
  return base;
}

}  // namespace attnsim
