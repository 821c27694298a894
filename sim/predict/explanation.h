// SPDX-License-Identifier: Apache-2.0
// Why a workload takes its time: reasons of idle cycles and the critical sequence from its run, what would help, and what would explain a
// measured time that is not the predicted one.
#pragma once

#include <optional>
#include <vector>

#include "sim/engine/critical.h"
#include "sim/predict/run.h"
#include "sim/predict/sensitivity.h"
#include "sim/predict/suspects.h"

namespace attnsim {

struct Explanation {
  std::vector<CriticalSequence> critical;  // by kernel in the order of the run
  bool sampled = false;                    // one SM stands for a run that is extrapolated or too long to record
  std::optional<Sensitivities> helps;
  std::optional<Verdict> verdict;  // where a measured time is known
};

struct ExplainOptions {
  bool what_would_help = true;
};

// Replaces the kernels' resource use in `outcome` by the attributed one.
[[nodiscard]] Explanation explain_workload(const RunConfig& config, std::size_t index, const ExplainOptions& options,
                                           const Predictor& predictor, Outcome& outcome);

}  // namespace attnsim
