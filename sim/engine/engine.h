// SPDX-License-Identifier: Apache-2.0
// The simulated rung. `detailed` plays every op of every CTA; `fast` plays classes of equal items and extrapolates loops.
#pragma once

#include <cstdint>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/result/conditions.h"
#include "sim/result/result.h"

namespace attnsim {

enum class EngineKind { detailed, fast, automatic };  // automatic: detailed below a fixed amount of work, else fast

// What happened, for the value interpreter, traces and tests. Times in SM cycles since the kernel's start.
struct OpEvent {
  int node = 0;          // pipeline node
  std::int64_t cta = 0;  // launch order
  int sm = 0;
  int agent = 0;
  int section = 0;
  int position = 0;       // op in the agent's section
  std::int64_t item = 0;  // position in the grid order
  std::int64_t trip = 0;  // trip that the op handled; 0 outside loops
  double issue_cycle = 0;
  double complete_cycle = 0;
};
class EngineListener {
 public:
  virtual ~EngineListener() = default;
  virtual void on_op(const OpEvent& event) = 0;  // in order of completion
};

struct EngineOptions {
  EngineKind kind = EngineKind::automatic;
  EngineListener* listener = nullptr;  // detailed only
};

struct Simulation {
  std::vector<KernelResult> kernels;  // by pipeline node
  double time_us = 0;                 // launches and gaps included, harness constant excluded
  double clock_mhz = 0;
  double energy_j = 0;
  EngineKind kind = EngineKind::detailed;
};
[[nodiscard]] Simulation simulate(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions,
                                  const EngineOptions& options = {});

}  // namespace attnsim
