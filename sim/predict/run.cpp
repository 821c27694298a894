// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/run.h"

#include <fmt/format.h>

#include "sim/predict/fastest.h"
#include "sim/predict/memo.h"
#include "sim/predict/references.h"
#include "workloads/catalog.h"

namespace attnsim {

namespace {

// The same tensors without the mask.
Request mask_free(Request request, const Variant& variant) {
  request.workload += " (baseline)";
  request.variant = &variant;
  request.problem.params.clear();
  for (const ParamSpec& spec : variant.params) request.problem.params[std::string(spec.name)] = spec.default_value;
  return request;
}

struct Reference {
  Request request;
  std::string how;
};

Reference baseline_of(const RunConfig& config, const WorkloadConfig& workload, const Predictor& predictor) {
  const BaselineConfig& baseline = config.baseline;
  switch (baseline.mode) {
    case BaselineMode::workload: {
      const WorkloadConfig& named = config.workloads[baseline.workload];
      return {resolve_workload(config, named, predictor), "workload \"" + named.name + "\""};
    }
    case BaselineMode::variant: {
      Request request = mask_free(base_request(config, workload), *baseline.variant);
      const std::vector<Schedule> schedules =
          resolve_schedules(baseline.schedule, *request.variant, request.problem, request.chip, config.file, "/baseline");
      return {located(config.file, "/baseline", [&] { return fastest(std::move(request), schedules, predictor); }), "named in the config"};
    }
    case BaselineMode::automatic: break;
  }
  // An operator has no mask; its baseline is its own fastest schedule.
  const bool attention = workload.variant->shape == ShapeKind::attention;
  Request request = mask_free(base_request(config, workload), attention ? variant("dense") : *workload.variant);
  const std::vector<Schedule> schedules = legal_schedules(*request.variant, request.problem, request.chip);
  if (schedules.empty())
    return {resolve_workload(config, workload, predictor), fmt::format("itself, no {} schedule is legal", request.variant->name)};
  const std::string how = schedules.size() == 1 ? fmt::format("the only legal {} schedule", request.variant->name)
                                                : fmt::format("fastest of {} legal {} schedules", schedules.size(), request.variant->name);
  return {located(config.file, workload.pointer, [&] { return fastest(std::move(request), schedules, predictor); }), how};
}

}  // namespace

Request base_request(const RunConfig& config, const WorkloadConfig& workload) {
  Request request;
  request.workload = workload.name;
  request.variant = workload.variant;
  request.problem = workload.problem;
  request.chip = config.chip;
  const std::string phase = located(config.file, workload.pointer, [&] { return phase_of(*workload.variant, workload.problem); });
  request.conditions = config.harness.for_phase(phase);
  request.engine = config.engine;
  return request;
}

Request resolve_workload(const RunConfig& config, const WorkloadConfig& workload, const Predictor& predictor) {
  Request request = base_request(config, workload);
  const std::vector<Schedule> schedules =
      resolve_schedules(workload.schedule, *request.variant, request.problem, request.chip, config.file, workload.pointer);
  Request chosen = located(config.file, workload.pointer, [&] { return fastest(std::move(request), schedules, predictor); });
  chosen.measured_us = workload.measured_us;
  return chosen;
}

Outcome execute_workload(const RunConfig& config, std::size_t index, const Predictor& predictor) {
  const WorkloadConfig& workload = config.workloads.at(index);
  const Request request = resolve_workload(config, workload, predictor);
  const Reference reference = baseline_of(config, workload, predictor);
  Outcome outcome;
  outcome.result = located(config.file, workload.pointer, [&] { return predictor(request); });
  outcome.result.workload = workload.name;
  outcome.baseline = located(config.file, "/baseline", [&] { return predictor(reference.request); });
  outcome.baseline.workload = reference.request.workload;
  outcome.baseline_how = reference.how;
  outcome.problem = workload.problem;
  return outcome;
}

std::vector<Outcome> execute(const RunConfig& config) {
  Memo memo;
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < config.workloads.size(); ++i) outcomes.push_back(execute_workload(config, i, memo.predictor()));
  return outcomes;
}

}  // namespace attnsim
