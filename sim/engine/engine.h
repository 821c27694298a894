// SPDX-License-Identifier: Apache-2.0
// The simulated rung. `detailed` plays every op of every CTA; `fast` plays classes of equal items and extrapolates loops.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/engine/events.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "sim/result/result.h"

namespace attnsim {

struct SelectedKernel;

enum class EngineKind { detailed, fast, automatic };  // automatic: detailed below a fixed amount of work, else fast
[[nodiscard]] std::string_view name_of(EngineKind kind);
[[nodiscard]] EngineKind engine_named(std::string_view name);  // throws Invariant for any other name

struct EngineOptions {
  EngineKind kind = EngineKind::automatic;
  EngineListener* listener = nullptr;                     // told of the run that counts, by `detailed` only
  bool attribute = false;                                 // give every idle cycle its reason; costs time, changes no result
  const std::vector<SelectedKernel>* selected = nullptr;  // select_instructions(pipeline, chip), where made before
  bool sample_long_runs = false;  // of `fast`, and of runs too long to record, the listener is told what one SM does instead
};

struct Simulation {
  std::vector<KernelResult> kernels;  // by pipeline node
  double time_us = 0;                 // launches and gaps included, harness constant excluded
  double clock_mhz = 0;
  double energy_j = 0;
  EngineKind kind = EngineKind::detailed;
  int fallbacks = 0;  // kernels that `fast` played in detail
};
// Loop trips times agents: the work of a `detailed` run.
[[nodiscard]] double loop_trips(const ir::Pipeline& pipeline);
[[nodiscard]] Simulation simulate(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions,
                                  const EngineOptions& options = {});

}  // namespace attnsim
