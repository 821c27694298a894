// SPDX-License-Identifier: Apache-2.0
#include "sim/result/compare.h"

namespace attnsim {
namespace {

std::optional<double> quotient(const std::optional<double>& a, const std::optional<double>& b) {
  if (!a || !b || !(*b > 0)) return std::nullopt;
  return *a / *b;
}

}  // namespace

Comparison compare(const Ladder& variant, const Ladder& baseline) {
  Comparison result;
  result.baseline_measured = baseline.at(Rung::measured).has_value();
  const std::optional<double> best = baseline.at(result.baseline_measured ? Rung::measured : Rung::simulated);
  for (std::size_t i = 0; i < kRungCount; ++i) {
    result.promise[i] = quotient(baseline.time_us[i], variant.time_us[i]);
    result.bound[i] = quotient(best, variant.time_us[i]);
  }
  return result;
}

}  // namespace attnsim
