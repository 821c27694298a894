// SPDX-License-Identifier: Apache-2.0
// Rows that attnsim-bench measured, beside predictions: time, cycles, and the speedup over the dense problem of the same kernel.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/predict/predict.h"
#include "validation/bench/row.h"
#include "validation/counter_values.h"
#include "validation/row.h"

namespace attnsim {

struct OwnRow {
  bench::Row row;
  double measured_us = 0;
  double half_width_us = 0;
  std::optional<double> predicted_us;           // with the clock that the harness lets the model choose
  std::optional<double> predicted_at_clock_us;  // with the clock that was measured: what is left is the error in cycles
  std::string unmapped;                         // why there is no prediction
  bool stale = false;                           // the kernel's source has changed since
  Split split = Split::test;                    // by a hash of device, kernel and shape
  std::optional<double> speedup;                // dense time / time, measured and predicted; absent for dense rows
  std::optional<double> predicted_speedup;
  std::vector<CounterPair> counters;  // of the row, beside those of the prediction
};

// Row without prediction.
[[nodiscard]] OwnRow own_row(bench::Row row);
// Predicts by the row's own schedule on the chip; fills predicted_us, predicted_at_clock_us and counters, or unmapped.
void predict_row(OwnRow& row, const Chip& chip);
// Fills the speedups. Stale rows take no part.
void add_speedups(std::span<OwnRow> rows);

// Pairs of rows of one problem (same kernel and shape but for the mask) whose measured times differ by more than `clear` with noise
// taken off, and whose predicted times stand the other way round.
struct Disorder {
  std::size_t slow = 0;  // measured
  std::size_t fast = 0;
  double measured_ratio = 0;
  double predicted_ratio = 0;
};
inline constexpr double kClearRatio = 1.3;
[[nodiscard]] std::vector<Disorder> disorders(std::span<const OwnRow> rows, double clear = kClearRatio);
[[nodiscard]] std::size_t clear_pairs(std::span<const OwnRow> rows, double clear = kClearRatio);

// Table of rows, errors by band of measured time, speedups, rank correlation, counters by kernel.
[[nodiscard]] std::string own_rows_text(std::span<const OwnRow> rows);

}  // namespace attnsim
