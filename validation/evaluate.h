// SPDX-License-Identifier: Apache-2.0
// Predicts rows on several threads. Equal requests are predicted once; results don't depend on the number of threads.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "validation/counter_values.h"
#include "validation/mapping.h"
#include "validation/roofline_fit.h"
#include "validation/row.h"

namespace attnsim {

// A row with its answer.
struct RowOutcome {
  MeasuredRow row;
  std::string chip;      // "" when no chip file describes the device
  std::string schedule;  // "" when unmapped
  std::string harness;
  std::optional<double> predicted_us;
  std::string unmapped;                   // why there is no prediction
  std::vector<CounterPair> counters;      // of the row, beside those of the prediction
  std::optional<RooflinePoint> roofline;  // where FLOPs, bytes and the chip are known
  std::optional<double> fitted_roofline_us;
};

using PredictMicroseconds = std::function<double(const Request&, const TimedKernels&)>;
// Called from one thread at a time with finished and total predictions.
using Progress = std::function<void(std::size_t done, std::size_t total)>;

struct EvaluateOptions {
  int jobs = 0;  // 0: all cores
  EngineKind engine = EngineKind::automatic;
  PredictMicroseconds predict_us;
  Progress progress;
};

// Keeps the order of the rows. A row whose prediction throws ConfigError, SimError or Invariant is unmapped with that
// reason: one faulty row must not hide the others.
[[nodiscard]] std::vector<RowOutcome> evaluate(std::vector<MeasuredRow> rows, const KernelMaps& maps, Catalog& catalog,
                                               const EvaluateOptions& options);

// Only chip and roofline of each row: what a fit needs. `predicted_us` stays empty.
[[nodiscard]] std::vector<RowOutcome> without_prediction(std::vector<MeasuredRow> rows, const KernelMaps& maps, Catalog& catalog);

// Fits one roofline per file, device and phase on `fit` and applies it to `outcomes`.
void apply_fitted_rooflines(std::vector<RowOutcome>& outcomes, const std::vector<RowOutcome>& fit);

}  // namespace attnsim
