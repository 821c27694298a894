// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/runner.h"

#include "sim/cli/progress.h"
#include "sim/core/parallel.h"
#include "sim/predict/identity.h"
#include "sim/predict/memo.h"
#include "sim/result/compare.h"

namespace attnsim::cli {

std::vector<Outcome> execute_parallel(const RunConfig& config, const Context& context) {
  Memo memo;
  std::vector<Outcome> outcomes(config.workloads.size());
  Progress progress(context.err, context.quiet, "workloads", outcomes.size());
  parallel_for(outcomes.size(), context.threads(), [&](std::size_t i) {
    outcomes[i] = execute_workload(config, i, memo.predictor());
    progress.step();
  });
  return outcomes;
}

Explained explain_parallel(const RunConfig& config, const ExplainOptions& options, const Context& context) {
  Memo memo;
  Explained out;
  out.outcomes.resize(config.workloads.size());
  out.explanations.resize(config.workloads.size());
  Progress progress(context.err, context.quiet, "workloads", out.outcomes.size());
  parallel_for(out.outcomes.size(), context.threads(), [&](std::size_t i) {
    out.outcomes[i] = execute_workload(config, i, memo.predictor());
    out.explanations[i] = explain_workload(config, i, options, memo.predictor(), out.outcomes[i]);
    progress.step();
  });
  return out;
}

Batch batch_of(const std::vector<Outcome>& outcomes) {
  Batch batch;
  for (const Outcome& outcome : outcomes) {
    batch.results.push_back(outcome.result);
    batch.baselines.push_back(outcome.baseline);
    batch.comparisons.push_back(
        {identity(outcome.result), identity(outcome.baseline), compare(outcome.result.ladder, outcome.baseline.ladder)});
  }
  return batch;
}

RunRecord record_of(const Context& context) {
  const std::string git = git_version();
  const std::string_view dirty = "-dirty";
  const bool is_dirty = git.size() > dirty.size() && git.compare(git.size() - dirty.size(), dirty.size(), dirty) == 0;
  return run_record(context.command_line, is_dirty ? git.substr(0, git.size() - dirty.size()) : git, is_dirty, version_text());
}

}  // namespace attnsim::cli
