// SPDX-License-Identifier: Apache-2.0
#include "validation/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attnsim {

namespace {

double pairs_of(double n) {
  return n * (n - 1) / 2;
}

// Pairs of equal neighbours in a sorted sequence.
template <class Equal>
double tied_pairs(std::size_t n, Equal equal) {
  double pairs = 0;
  for (std::size_t begin = 0; begin < n;) {
    std::size_t end = begin + 1;
    while (end < n && equal(begin, end)) ++end;
    pairs += pairs_of(static_cast<double>(end - begin));
    begin = end;
  }
  return pairs;
}

// Merge sort; returns the exchanges that adjacent swaps would need.
double sort_counting_exchanges(std::vector<double>& values) {
  double exchanges = 0;
  std::vector<double> merged(values.size());
  for (std::size_t width = 1; width < values.size(); width *= 2) {
    for (std::size_t begin = 0; begin < values.size(); begin += 2 * width) {
      const std::size_t middle = std::min(begin + width, values.size());
      const std::size_t end = std::min(begin + 2 * width, values.size());
      std::size_t left = begin, right = middle;
      for (std::size_t out = begin; out < end; ++out) {
        const bool take_right = left == middle || (right < end && values[right] < values[left]);
        if (take_right) exchanges += static_cast<double>(middle - left);
        merged[out] = take_right ? values[right++] : values[left++];
      }
    }
    values.swap(merged);
  }
  return exchanges;
}

}  // namespace

double absolute_percentage_error(double predicted, double measured) {
  return 100.0 * std::abs(predicted - measured) / measured;
}

std::optional<double> mean(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (rank - static_cast<double>(below)) * (values[above] - values[below]);
}

std::optional<double> kendall_tau_b(std::span<const double> x, std::span<const double> y) {
  const std::size_t n = x.size();
  if (n < 2 || y.size() != n) return std::nullopt;
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] != x[b] ? x[a] < x[b] : y[a] < y[b]; });
  const double x_ties = tied_pairs(n, [&](std::size_t a, std::size_t b) { return x[order[a]] == x[order[b]]; });
  const double both_ties =
      tied_pairs(n, [&](std::size_t a, std::size_t b) { return x[order[a]] == x[order[b]] && y[order[a]] == y[order[b]]; });
  std::vector<double> sorted_y(n);
  std::transform(order.begin(), order.end(), sorted_y.begin(), [&](std::size_t i) { return y[i]; });
  const double exchanges = sort_counting_exchanges(sorted_y);
  const double y_ties = tied_pairs(n, [&](std::size_t a, std::size_t b) { return sorted_y[a] == sorted_y[b]; });
  const double all = pairs_of(static_cast<double>(n));
  if (x_ties == all || y_ties == all) return std::nullopt;
  // Concordant minus discordant: ties within x were sorted by y, so an exchange is a discordant pair.
  return (all - x_ties - y_ties + both_ties - 2 * exchanges) / std::sqrt((all - x_ties) * (all - y_ties));
}

ErrorSummary summarise(std::span<const Timing> timings) {
  ErrorSummary summary;
  std::vector<double> all_errors, errors, signed_errors, measured, predicted;
  for (const Timing& timing : timings) {
    ++summary.rows;
    if (!timing.predicted_us) {
      ++summary.unmapped;
      all_errors.push_back(100.0);
      continue;
    }
    errors.push_back(absolute_percentage_error(*timing.predicted_us, timing.measured_us));
    all_errors.push_back(errors.back());
    signed_errors.push_back(100.0 * (*timing.predicted_us - timing.measured_us) / timing.measured_us);
    measured.push_back(timing.measured_us);
    predicted.push_back(*timing.predicted_us);
  }
  summary.mape = mean(all_errors);
  summary.median_ape = quantile(errors, 0.5);
  summary.p90_ape = quantile(errors, 0.9);
  summary.max_ape = quantile(errors, 1.0);
  summary.bias = mean(signed_errors);
  summary.kendall_tau = kendall_tau_b(predicted, measured);
  return summary;
}

}  // namespace attnsim
