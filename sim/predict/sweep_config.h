// SPDX-License-Identifier: Apache-2.0
// A sweep: a run config and a grid over any of its fields (schema: workloads/sweep.schema.json).
//
//   {"name": "hbm", "run": "main-job.json", "grid": {"chip.hbm.bandwidth_gb_per_s": [3350, 4800], "shape.kv_len": [4096, 8192]}}
//
// Paths: chip | chip.PATH, schedule | schedule.PATH, variant, dtype, engine, harness | harness.PATH, shape.NAME, params.NAME. Those of a
// workload apply to all workloads (params.NAME: to those whose variant has it); workloads.NAME.PATH applies to one. The first path of the
// sorted list varies slowest.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/core/json_reader.h"

namespace attnsim {

struct SweepAxis {
  std::string path;
  std::vector<Json> values;
};

struct SweepConfig {
  std::string file;
  std::string name;
  JsonDocument run;
  std::vector<SweepAxis> axes;  // sorted by path
  std::string database;         // outputs.db, "" when not given
  [[nodiscard]] std::size_t size() const;
};

struct SweepPosition {
  std::string coordinates;  // canonical JSON object: {"chip.sm.count":144}
  JsonDocument run;
};

// Throws ConfigError: paths that name nothing, empty or too large grids, and what parse_run_config finds in the run itself.
[[nodiscard]] SweepConfig parse_sweep_config(const JsonDocument& document);
// Reads, parses, and checks against workloads/sweep.schema.json.
[[nodiscard]] SweepConfig load_sweep_config(const std::string& file);
[[nodiscard]] SweepPosition position(const SweepConfig& sweep, std::size_t index);
// Canonical text of everything that decides the points: run, grid, the shipped data that they refer to, the sources.
[[nodiscard]] std::string resolved_sweep(const SweepConfig& sweep);

}  // namespace attnsim
