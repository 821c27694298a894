// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "validation/ratios.h"
#include "validation/report.h"

namespace attnsim {

namespace {

using Line = std::vector<std::string>;

std::string percent(const std::optional<double>& value, const char* format = "{:.1f}") {
  return value ? fmt::format(fmt::runtime(format), *value) : "-";
}

// The first `left` columns are flush left, the rest flush right.
std::string aligned(const std::vector<Line>& lines, std::size_t left) {
  std::vector<std::size_t> widths;
  for (const Line& line : lines) {
    widths.resize(std::max(widths.size(), line.size()), 0);
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const Line& line : lines) {
    std::string row = " ";
    for (std::size_t i = 0; i < line.size(); ++i)
      row += i < left ? fmt::format(" {:<{}}", line[i], widths[i]) : fmt::format(" {:>{}}", line[i], widths[i]);
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

Line group_line(const Group& group) {
  const ErrorSummary& e = group.errors;
  return {group.device,
          group.kernel,
          group.phase,
          std::string(name_of(group.band)),
          std::to_string(e.rows),
          std::to_string(e.unmapped),
          percent(e.mape),
          percent(e.median_ape),
          percent(e.p90_ape),
          percent(e.max_ape),
          percent(e.bias, "{:+.1f}"),
          percent(e.kendall_tau, "{:.3f}"),
          percent(group.speedup_mape),
          percent(group.roofline_mape),
          percent(group.fitted_roofline_mape)};
}

std::string unmapped_reasons(std::span<const RowOutcome> outcomes) {
  std::map<std::pair<std::string, std::string>, std::int64_t> counts;
  for (const RowOutcome& outcome : outcomes)
    if (!outcome.predicted_us) ++counts[{outcome.row.file, outcome.unmapped}];
  if (counts.empty()) return "";
  std::vector<Line> lines;
  for (const auto& [key, count] : counts) lines.push_back({fmt::format("{:>5}", count), key.first, key.second});
  return "\nUnmapped rows, by reason\n" + aligned(lines, 3);
}

std::string row_table(std::span<const RowOutcome> outcomes) {
  std::vector<Line> lines{{"file", "row", "device", "kernel", "phase", "shape", "measured_us", "predicted_us", "error_%", "unmapped"}};
  for (const RowOutcome& outcome : outcomes) {
    const MeasuredRow& row = outcome.row;
    const double error = outcome.predicted_us ? 100.0 * (*outcome.predicted_us / row.measured_us - 1.0) : 0;
    lines.push_back({row.file, row.id, row.device, row.kernel, row.phase, row.shape, fmt::format("{:.2f}", row.measured_us),
                     percent(outcome.predicted_us, "{:.2f}"), outcome.predicted_us ? fmt::format("{:+.1f}", error) : "-",
                     outcome.unmapped});
  }
  return "\nRows\n" + aligned(lines, 6);
}

}  // namespace

std::string report_text(std::span<const Group> groups, std::span<const RowOutcome> outcomes, bool with_rows) {
  const Line head{"device", "kernel", "phase", "band", "rows",    "unmapped", "mape",  "median",
                  "p90",    "max",    "bias",  "tau",  "speedup", "roofline", "fitted"};
  std::string text;
  for (std::size_t begin = 0; begin < groups.size();) {
    std::size_t end = begin;
    std::vector<Line> lines{head};
    for (; end < groups.size() && groups[end].file == groups[begin].file; ++end)
      if (groups[end].errors.rows > 0) lines.push_back(group_line(groups[end]));
    text += (text.empty() ? "" : "\n") + groups[begin].file + "\n" + aligned(lines, 4);
    begin = end;
  }
  text +=
      "\nErrors in per cent; an unmapped row counts 100 in mape. roofline, fitted: mape of max(F/peak, B/BW) and of its 3-parameter fit.\n";
  text += ratios_text(outcomes);
  std::vector<std::pair<std::string, CounterPair>> counters;
  for (const RowOutcome& outcome : outcomes)
    for (const CounterPair& counter : outcome.counters) counters.emplace_back(outcome.row.kernel, counter);
  text += counters_text(counters);
  text += unmapped_reasons(outcomes);
  if (with_rows) text += row_table(outcomes);
  return text;
}

}  // namespace attnsim
