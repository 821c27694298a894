// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/predict.h"

#include <algorithm>

#include "sim/bounds/bounds.h"
#include "sim/predict/identity.h"
#include "sim/predict/peaks.h"
#include "sim/predict/run_config.h"
#include "sim/predict/standing.h"
#include "sim/select/select.h"
#include "workloads/lower.h"
#include "workloads/tile_shapes.h"

namespace attnsim {

namespace {

constexpr auto kSimulated = static_cast<std::size_t>(Rung::simulated);

// A kernel's closed-form rungs beside what the engine played; instruction counts are the same on both sides, bytes are what moved.
void merge(KernelResult& kernel, const Ladder& ladder, const WorkCounts& counts) {
  const double l2_bytes = kernel.counts.l2_bytes;
  const double hbm_bytes = kernel.counts.hbm_bytes;
  kernel.ladder = ladder;
  kernel.ladder.time_us[kSimulated] = kernel.time_us;
  kernel.ladder.limiter[kSimulated] = kernel.limiter;
  kernel.counts = counts;
  kernel.counts.l2_bytes = l2_bytes;
  kernel.counts.hbm_bytes = hbm_bytes;
}

// The limiter of the kernel that takes longest, or "launch" where the gaps take longer than any kernel.
std::string bottleneck_of(const std::vector<KernelResult>& kernels) {
  double gaps = 0;
  const KernelResult* longest = nullptr;
  for (const KernelResult& kernel : kernels) {
    gaps += kernel.launch_us;
    if (longest == nullptr || kernel.time_us > longest->time_us) longest = &kernel;
  }
  if (longest == nullptr) return "";
  return gaps > longest->time_us ? "launch" : longest->limiter;
}

std::map<std::string, double> harness_parts(const Conditions& conditions, const std::vector<KernelResult>& kernels, double gpu_us) {
  std::map<std::string, double> parts;
  if (conditions.constant_us > 0) parts["constant"] = conditions.constant_us;
  if (conditions.host_us > gpu_us) parts["host"] = conditions.host_us - gpu_us;
  const auto& extras = conditions.extra_kernels;
  for (const KernelResult& kernel : kernels) {
    const bool writes = kernel.name == name_of(ExtraKernel::kv_cache_write);
    const bool adds =
        kernel.name.starts_with("add_d") && std::find(extras.begin(), extras.end(), ExtraKernel::add_gradients) != extras.end();
    if (writes || adds) parts[writes ? kernel.name : std::string(name_of(ExtraKernel::add_gradients))] += kernel.time_us + kernel.launch_us;
  }
  return parts;
}

// A kernel's rows are those of full and causal calls, mostly, which don't vouch for prefill with windows or other masks. Those of kernels
// that work on boxes of tokens are of neighbourhoods, those of kernels with a token a tile of blocks that tokens select.
std::string validated_phase(const Variant& variant, const Problem& problem, const Schedule& schedule) {
  const std::string phase = phase_of(variant, problem);
  if (schedule.token_tiles || works_on_boxes(schedule)) return phase;
  if (phase == "bwd" || variant.masks == nullptr || variant.shape != ShapeKind::attention) return phase;
  const std::optional<Band> band = common_band(variant, problem);
  if (!band) return "masked " + phase;
  return phase != "decode" && band->lower > -kUnbounded ? "windowed " + phase : phase;
}

}  // namespace

Result predict(const Request& request) {
  require(request.variant != nullptr, "a request names its variant");
  const ir::Pipeline pipeline = lower(*request.variant, request.problem, request.schedule, request.chip, request.conditions.extra_kernels);
  const std::vector<SelectedKernel> selected = select_instructions(pipeline, request.chip);
  const Bounds bounds = compute_bounds(pipeline, selected, request.chip, request.conditions);
  Simulation simulation = simulate(pipeline, request.chip, request.conditions, {.kind = request.engine, .selected = &selected});

  Result result;
  result.workload = request.workload;
  result.variant = request.variant->name;
  result.schedule = request.schedule.name;
  result.chip = request.chip.name;
  result.ladder = bounds.ladder;
  result.counts = bounds.counts;
  result.counts.l2_bytes = 0;
  result.counts.hbm_bytes = 0;
  require(simulation.kernels.size() == bounds.kernel_ladder.size(), "bounds and engine see the same nodes");
  for (std::size_t i = 0; i < simulation.kernels.size(); ++i) {
    merge(simulation.kernels[i], bounds.kernel_ladder[i], bounds.kernel_counts[i]);
    result.counts.l2_bytes += simulation.kernels[i].counts.l2_bytes;
    result.counts.hbm_bytes += simulation.kernels[i].counts.hbm_bytes;
  }
  result.bottleneck = bottleneck_of(simulation.kernels);
  const double gpu_us = simulation.time_us + request.conditions.constant_us;
  result.harness_us = harness_parts(request.conditions, simulation.kernels, gpu_us);
  if (request.conditions.host_us > gpu_us) result.bottleneck = "host";
  result.kernels = std::move(simulation.kernels);
  result.ladder.time_us[kSimulated] = std::max(gpu_us, request.conditions.host_us);
  result.ladder.limiter[kSimulated] = result.bottleneck;
  if (request.measured_us) {
    const auto measured = static_cast<std::size_t>(Rung::measured);
    result.ladder.time_us[measured] = request.measured_us;
    result.ladder.limiter[measured] = "hardware";
  }
  result.clock_mhz = simulation.clock_mhz;
  result.energy_j = simulation.energy_j;
  if (simulation.time_us > 0) result.average_power_w = simulation.energy_j * 1e6 / simulation.time_us;
  // Ceilings at the highest clock of the policy, as the rungs have them, so that results of one chip share a chart.
  const bool locked = request.conditions.clock == ClockPolicy::locked;
  const ir::DType accumulator = request.schedule.accumulates_f16() ? ir::DType::f16 : ir::DType::f32;
  result.peaks = peaks_of(request.chip, request.problem.dtype, accumulator,
                          Megahertz(locked ? request.conditions.locked_mhz : request.chip.clock.boost_mhz));
  result.engine = name_of(simulation.kind);
  result.standing = request.problem.score.plain() ? standing(accuracy_table(), request.chip.name, request.schedule.name,
                                                             validated_phase(*request.variant, request.problem, request.schedule))
                                                  : "unvalidated: no row with modified scores";
  result.resolved_config = resolved_config(request);
  result.model_hash = model_hash(request, result.resolved_config);
  return result;
}

}  // namespace attnsim
