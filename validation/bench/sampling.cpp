// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/sampling.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace attnsim::bench {

namespace {

// Linear between order statistics; `values` is sorted.
double at(const std::vector<double>& values, double quantile) {
  const double rank = quantile * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(rank);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (rank - static_cast<double>(low)) * (values[high] - values[low]);
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return at(values, 0.5);
}

double median_half_width(std::vector<double> values) {
  if (values.size() < 2) return 0;
  std::sort(values.begin(), values.end());
  const double deviation = (at(values, 0.75) - at(values, 0.25)) / 1.349;
  return 1.96 * 1.2533 * deviation / std::sqrt(static_cast<double>(values.size()));
}

double relative_noise(const std::vector<double>& values) {
  if (values.size() < 2) return 1;
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const double v : values) sum += v;
  const double mean = sum / count;
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / (count - 1) / count) / mean;
}

Timing collect(const TimingPolicy& policy, const std::function<Sample()>& take) {
  Timing timing;
  std::vector<double> disturbed;
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::duration<double> limit(policy.seconds);
  while (static_cast<int>(timing.sample_us.size()) < policy.max_samples) {
    const bool over = std::chrono::steady_clock::now() - start >= limit;
    if (over && timing.sample_us.size() + disturbed.size() >= static_cast<std::size_t>(kFewestClean)) break;
    const auto enough = static_cast<std::size_t>(policy.min_samples);
    if (timing.sample_us.size() >= enough && relative_noise(timing.sample_us) < policy.noise) break;
    const Sample sample = take();
    (sample.disturbed ? disturbed : timing.sample_us).push_back(sample.us);
  }
  timing.throttled = static_cast<int>(disturbed.size());
  if (timing.sample_us.size() < static_cast<std::size_t>(kFewestClean)) {
    disturbed.insert(disturbed.end(), timing.sample_us.begin(), timing.sample_us.end());
    std::sort(disturbed.begin(), disturbed.end());
    disturbed.resize((disturbed.size() + 1) / 2);
    timing.throttled -= static_cast<int>(disturbed.size() - timing.sample_us.size());
    timing.throttled = std::max(0, timing.throttled);
    timing.sample_us = disturbed;
  }
  return timing;
}

}  // namespace attnsim::bench
