// SPDX-License-Identifier: Apache-2.0
// Error statistics. Percentages are 100 x fractions; what is not defined is absent.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace attnsim {

struct Timing {
  double measured_us = 0;
  std::optional<double> predicted_us;  // absent: unmapped
};

struct ErrorSummary {
  std::int64_t rows = 0;
  std::int64_t unmapped = 0;
  std::optional<double> mape;        // every row; an unmapped one counts 100 %
  std::optional<double> median_ape;  // this and the following: mapped rows only
  std::optional<double> p90_ape;
  std::optional<double> max_ape;
  std::optional<double> bias;  // mean signed error
  std::optional<double> kendall_tau;
};
[[nodiscard]] ErrorSummary summarise(std::span<const Timing> timings);

// 100 |predicted - measured| / measured.
[[nodiscard]] double absolute_percentage_error(double predicted, double measured);
// Linear between order statistics: the value at rank q (n - 1).
[[nodiscard]] std::optional<double> quantile(std::vector<double> values, double q);
[[nodiscard]] std::optional<double> mean(std::span<const double> values);

// Kendall's tau-b in O(n log n). Absent for fewer than two values or where one side is all ties.
[[nodiscard]] std::optional<double> kendall_tau_b(std::span<const double> x, std::span<const double> y);

}  // namespace attnsim
