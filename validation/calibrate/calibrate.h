// SPDX-License-Identifier: Apache-2.0
// `attnsim calibrate`: fits parameters of one chip, and of one harness, to measured rows.
//
//   Only the calibration half of the rows (split_of) takes part, thinned by a stratified sample; residuals are ln(predicted / measured)
//   with Huber's robust sum; parameters move as logarithms within their bounds. The other half judges: a fit after which those rows are
//   worse is refused.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "validation/calibrate/least_squares.h"
#include "validation/calibrate/row_model.h"
#include "validation/statistics.h"

namespace attnsim {

enum class StartFrom { overlay, base };  // the chip with its shipped overlay and that of the own rows, or without

struct CalibrateOptions {
  std::string chip;
  std::string harness;                     // "": rows of every harness, no member of one is fitted
  std::filesystem::path measurements;      // empty: default_measurements()
  std::vector<std::string> files;          // names in that folder, or paths
  std::filesystem::path own_rows;          // of attnsim-bench: a device folder, or a folder of such; empty: none
  std::vector<std::string> parameters;     // empty: what the shipped overlay and harness name as fitted; {"none"}: nothing
  std::map<std::string, double> measured;  // figures set to a microbenchmark's value before the fit
  StartFrom start = StartFrom::overlay;
  std::size_t most_rows = 120;
  std::size_t most_unseen = 0;  // rows that judge, thinned as those of the fit; 0: all
  std::uint64_t seed = 1;
  LeastSquaresOptions solver;
  EvaluateOptions evaluation;  // jobs, engine, predict_us (empty: the simulated rung), progress
};

// Bands of measured time for the table of sensitivities.
inline constexpr std::array<std::string_view, 4> kBands{"<= 20 us", "to 100 us", "to 1 ms", "> 1 ms"};

struct FittedParameter {
  const FitParameter* parameter = nullptr;
  double start = 0, value = 0;
  Bounds bounds;
  std::optional<double> standard_error;  // of ln(value); absent at a bound or where the rows do not determine it
  bool at_bound = false;
  std::array<std::optional<double>, kBands.size()> sensitivity;  // % of mean predicted time per %; absent: no row in the band
};

struct ErrorsBothWays {
  std::string file, kernel, phase;
  ErrorSummary before, after;
};

struct Calibration {
  std::string chip, harness;
  std::string folder;  // that file names count from
  std::vector<std::string> files;
  std::vector<std::string> devices;
  StartFrom start = StartFrom::overlay;
  Json own_overlay;  // of the microbenchmarks of the own rows' device, if the fit started from it; else null
  std::map<std::string, double> measured;
  std::size_t calibration_rows = 0, fit_rows = 0, unseen_rows = 0;
  std::map<std::string, std::size_t> unmapped;  // reason: rows
  std::uint64_t seed = 1;
  std::vector<FittedParameter> parameters;
  std::vector<std::string> not_seen;  // of the default list, left out since no row sees them
  std::vector<std::string> trades;    // pairs whose correlation exceeds 0.9
  int evaluations = 0;
  std::size_t predictions = 0;
  bool converged = false;
  ErrorSummary fit_before, fit_after;
  std::vector<ErrorsBothWays> unseen;  // per file, kernel and phase
  ErrorSummary unseen_before, unseen_after;
  bool accepted = false;
  std::string verdict;  // why
};

// Throws ConfigError: chip, harness, file or parameter unknown; no mapped calibration row; too many parameters; a named parameter that
// no row sees; no more rows of the fit than parameters.
[[nodiscard]] Calibration calibrate(const CalibrateOptions& options);

// The overlay that holds the result (hwmodels/overlay.h): what the shipped overlay fits and this fit left alone stays, if the fit
// started from it. Throws ConfigError where that makes more than kMostFittedFigures.
[[nodiscard]] Json overlay_of(const Calibration& calibration);
// The harness's file with the fitted members; null when none was fitted.
[[nodiscard]] Json harness_of(const Calibration& calibration);

}  // namespace attnsim
