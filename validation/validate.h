// SPDX-License-Identifier: Apache-2.0
// `attnsim validate`: measured rows against predictions.
//
//   ValidateOptions options;
//   options.progress = ...;
//   Validation validation = validate(options);
//   std::cout << (json ? report_json(validation.groups, validation.outcomes, rows) : report_text(...));
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "validation/groups.h"

namespace attnsim {

struct ValidateOptions {
  std::filesystem::path measurements;  // empty: default_measurements()
  std::filesystem::path fit;           // rows for the fitted roofline; empty: the validated rows themselves
  std::vector<std::string> files;      // names in that folder, or paths; empty: all of the folder
  Split split = Split::all;            // which half of the rows
  int jobs = 0;                        // 0: all cores
  EngineKind engine = EngineKind::automatic;
  PredictMicroseconds predict_us;  // empty: the simulated rung of predict()
  Progress progress;
};

struct Validation {
  std::filesystem::path measurements;
  std::vector<std::string> files;
  std::vector<std::string> ignored;
  std::vector<RowOutcome> outcomes;
  std::vector<Group> groups;
};

// Throws ConfigError for what the user can mend: folder, files, fields.
[[nodiscard]] Validation validate(const ValidateOptions& options);

// The simulated rung of predict(), or of its kernels those that were timed, without launches. Throws SimError where there is none.
[[nodiscard]] double simulated_us(const Request& request, const TimedKernels& timed = {});
// ../shared/measurements beside the current folder or beside the source tree, else the shipped validation/published.
[[nodiscard]] std::filesystem::path default_measurements();
// "calibration", "test" or "all"; throws ConfigError with the nearest name.
[[nodiscard]] Split split_named(const std::string& name);

}  // namespace attnsim
