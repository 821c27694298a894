// SPDX-License-Identifier: Apache-2.0
// Repeats a timing until it is quiet enough. The statistics are medians, since disturbances only ever add time.
#pragma once

#include <functional>
#include <vector>

#include "validation/bench/backend.h"

namespace attnsim::bench {

struct Sample {
  double us = 0;
  bool disturbed = false;  // a core was taken away, or the clock fell
};

// Calls `take` until the policy is met (TimingPolicy); disturbed samples are dropped and counted. Where hardly any sample is
// undisturbed (fewer than kFewestClean), the faster half of all stands in for them.
[[nodiscard]] Timing collect(const TimingPolicy& policy, const std::function<Sample()>& take);
inline constexpr int kFewestClean = 3;

[[nodiscard]] double median(std::vector<double> values);
// Half width of the 95 % confidence interval of the median of noise that is normal but for outliers: 1.96 * 1.2533 * s / sqrt(n), with s
// from the interquartile range.
[[nodiscard]] double median_half_width(std::vector<double> values);
// Standard error of the mean over the mean.
[[nodiscard]] double relative_noise(const std::vector<double>& values);

}  // namespace attnsim::bench
