// SPDX-License-Identifier: Apache-2.0
#include "validation/counter_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

#include "validation/statistics.h"

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

struct CounterLine {
  std::vector<double> errors;
  std::size_t rows = 0;
  double worst = 0;  // signed
};

}  // namespace

std::optional<double> predicted_counter(const Result& result, std::string_view name) {
  const auto metric = std::ranges::find(metrics(), name, &MetricInfo::name);
  if (metric != metrics().end()) return finite(metric->get(result));
  const auto counter = std::ranges::find(counters(), name, &CounterInfo::name);
  return counter == counters().end() ? std::nullopt : over_kernels(result, *counter);
}

bool is_counter(std::string_view name) {
  return std::ranges::find(metrics(), name, &MetricInfo::name) != metrics().end() ||
         std::ranges::find(counters(), name, &CounterInfo::name) != counters().end();
}

std::string counters_text(const std::vector<std::pair<std::string, CounterPair>>& by_kernel) {
  std::map<std::pair<std::string, std::string>, CounterLine> lines;
  for (const auto& [kernel, counter] : by_kernel) {
    CounterLine& line = lines[{kernel, counter.name}];
    ++line.rows;
    if (!counter.predicted || counter.measured <= 0) continue;
    const double error = 100 * (*counter.predicted / counter.measured - 1);
    line.errors.push_back(std::abs(error));
    if (std::abs(error) >= std::abs(line.worst)) line.worst = error;
  }
  if (lines.empty()) return "";
  std::string text =
      fmt::format("\n  {:<20} {:<64} {:>5} {:>10} {:>9} {:>9}\n", "kernel", "counter", "rows", "predicted", "error", "worst");
  for (const auto& [key, line] : lines)
    text += fmt::format("  {:<20} {:<64} {:>5} {:>10} {:>9} {:>9}\n", key.first, key.second, line.rows, line.errors.size(),
                        line.errors.empty() ? "-" : fmt::format("{:.1f} %", *mean(line.errors)),
                        line.errors.empty() ? "-" : fmt::format("{:+.1f} %", line.worst));
  return text + "  counted in the kernel or by a profiler; predicted: rows whose prediction has such a number\n";
}

std::string counters_cell(const std::map<std::string, double>& counters) {
  std::string text;
  for (const auto& [name, value] : counters) text += fmt::format("{}{}={:.9g}", text.empty() ? "" : ";", name, value);
  return text;
}

std::map<std::string, double> read_counters_cell(const std::string& text) {
  std::map<std::string, double> counters;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(';', at), text.size());
    const std::string pair = text.substr(at, end - at);
    const std::size_t equals = pair.find('=');
    double value = 0;
    const char* const last = pair.data() + pair.size();
    const bool named = equals != std::string::npos && equals > 0;
    if (!named || std::from_chars(pair.data() + equals + 1, last, value).ptr != last || !std::isfinite(value))
      throw std::invalid_argument(pair);
    counters[pair.substr(0, equals)] = value;
    at = end + 1;
  }
  return counters;
}

}  // namespace attnsim
