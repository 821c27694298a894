// SPDX-License-Identifier: Apache-2.0
// The run config: one JSON document (schema: workloads/run.schema.json) that says what to predict, on what, against what.
//
//   {"name": "toy", "chip": "h100-sxm",
//    "workloads": [{"name": "prefill", "variant": "causal", "schedule": "auto",
//                   "shape": {"batch": 1, "q_heads": 32, "kv_heads": 8, "q_len": 8192, "kv_len": 8192, "head_dim": 128}}]}
//
// Everything is checked before anything runs; all problems of a document are reported at once.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/core/json_reader.h"
#include "sim/engine/engine.h"
#include "workloads/harness.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

namespace attnsim {

using Overrides = std::vector<std::pair<std::string, Json>>;  // dotted path, value

enum class ScheduleMode { automatic, best, named };
struct ScheduleChoice {
  ScheduleMode mode = ScheduleMode::automatic;
  std::string name;     // named
  Overrides overrides;  // automatic and named
};

struct WorkloadConfig {
  std::string name;
  const Variant* variant = nullptr;
  Problem problem;
  ScheduleChoice schedule;
  std::optional<double> measured_us = std::nullopt;
  std::string pointer;  // "/workloads/0"
};

enum class BaselineMode { automatic, variant, workload };
struct BaselineConfig {
  BaselineMode mode = BaselineMode::automatic;
  const Variant* variant = nullptr;  // BaselineMode::variant, on the problem of each workload without its mask
  ScheduleChoice schedule;
  std::size_t workload = 0;  // BaselineMode::workload
};

struct RunConfig {
  std::string file;
  std::string name;
  Chip chip;
  std::vector<WorkloadConfig> workloads;
  BaselineConfig baseline;
  Harness harness;
  EngineKind engine = EngineKind::automatic;
  std::string database;  // outputs.db, "" when not given
  bool charts = false;   // outputs.charts
};

// Throws ConfigError with every issue of the document.
[[nodiscard]] RunConfig parse_run_config(const JsonDocument& document);
// Reads, parses, and checks against workloads/run.schema.json.
[[nodiscard]] RunConfig load_run_config(const std::string& file);

// "decode" (every q_len <= 8), "prefill" (masked on the upper side) or "encoder", "bwd": the names of measurements. Operators: their
// own, with "8-bit " ahead where they compute in 8 bits.
[[nodiscard]] std::string phase_of(const Variant& variant, const Problem& problem);

// Runs `body`; a ConfigError leaves with `file`, and `pointer` put before its own pointers.
template <class Body>
auto located(const std::string& file, const std::string& pointer, Body body) {
  try {
    return body();
  } catch (const ConfigError& error) {
    std::vector<ConfigIssue> issues = error.issues();
    for (ConfigIssue& issue : issues) {
      issue.file = file;
      issue.pointer = pointer + (issue.pointer == "/" ? "" : issue.pointer);
    }
    throw ConfigError(std::move(issues));
  }
}

}  // namespace attnsim
