// SPDX-License-Identifier: Apache-2.0
#include "validation/counter_values.h"

#include <algorithm>
#include <cmath>

namespace attnsim {

namespace {

std::optional<double> finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::optional<double> over_kernels(const Result& result, const CounterInfo& counter) {
  if (result.kernels.empty()) return std::nullopt;
  const bool is_sum = ends_with(counter.name, ".sum");
  const bool is_share = counter.unit == "%";
  double sum = 0, weighted = 0, time = 0;
  for (const KernelResult& k : result.kernels) {
    const double value = counter.get(k);
    if (std::isnan(value)) continue;
    sum += value;
    weighted += value * k.time_us;
    time += k.time_us;
  }
  if (is_sum) return finite(sum);
  if (is_share) return time > 0 ? finite(weighted / time) : std::nullopt;
  return finite(counter.get(*std::ranges::max_element(result.kernels, {}, &KernelResult::time_us)));
}

}  // namespace

std::optional<double> predicted_counter(const Result& result, std::string_view name) {
  const auto metric = std::ranges::find(metrics(), name, &MetricInfo::name);
  if (metric != metrics().end()) return finite(metric->get(result));
  const auto counter = std::ranges::find(counters(), name, &CounterInfo::name);
  return counter == counters().end() ? std::nullopt : over_kernels(result, *counter);
}

}  // namespace attnsim
