// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/explanation.h"

#include "workloads/lower.h"

namespace attnsim {

Explanation explain_workload(const RunConfig& config, std::size_t index, const ExplainOptions& options, const Predictor& predictor,
                             Outcome& outcome) {
  const WorkloadConfig& workload = config.workloads.at(index);
  const Request request = resolve_workload(config, workload, predictor);
  Explanation out;
  const ir::Pipeline pipeline = lower(*request.variant, request.problem, request.schedule, request.chip, request.conditions.extra_kernels);
  CriticalRecorder recorder;
  Conditions settled = request.conditions;  // at the clock that the prediction found
  settled.clock = ClockPolicy::locked;
  settled.locked_mhz = outcome.result.clock_mhz;
  const Simulation watched = simulate(pipeline, request.chip, settled,
                                      {.kind = request.engine, .listener = &recorder, .attribute = true, .sample_long_runs = true});
  require(watched.kernels.size() == outcome.result.kernels.size(), "the watched run has the kernels of the prediction");
  for (std::size_t k = 0; k < watched.kernels.size(); ++k) outcome.result.kernels[k].resources = watched.kernels[k].resources;
  out.critical = recorder.sequences();
  for (const CriticalSequence& sequence : out.critical) out.sampled = out.sampled || sequence.sms < request.chip.sm.count;
  if (options.what_would_help) out.helps = what_would_help(request);
  if (request.measured_us) out.verdict = suspects_of(request, *request.measured_us);
  return out;
}

}  // namespace attnsim
