// SPDX-License-Identifier: Apache-2.0
// Carries out a run config with threads and a progress line.
#pragma once

#include <vector>

#include "sim/cli/context.h"
#include "sim/predict/explanation.h"
#include "sim/predict/run.h"
#include "sim/store/store.h"

namespace attnsim::cli {

[[nodiscard]] std::vector<Outcome> execute_parallel(const RunConfig& config, const Context& context);
struct Explained {
  std::vector<Outcome> outcomes;
  std::vector<Explanation> explanations;
};
[[nodiscard]] Explained explain_parallel(const RunConfig& config, const ExplainOptions& options, const Context& context);
[[nodiscard]] Batch batch_of(const std::vector<Outcome>& outcomes);
[[nodiscard]] RunRecord record_of(const Context& context);

}  // namespace attnsim::cli
