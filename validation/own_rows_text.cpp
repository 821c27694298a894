// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "validation/own_rows.h"
#include "validation/statistics.h"

namespace attnsim {

namespace {

struct TimeBand {
  const char* name;
  double from_us;
  double below_us;
};
constexpr std::array kTimeBands{TimeBand{"all", 0, std::numeric_limits<double>::infinity()}, TimeBand{"below 20 us", 0, 20},
                                TimeBand{"20 us to 1 ms", 20, 1000},
                                TimeBand{"1 ms and above", 1000, std::numeric_limits<double>::infinity()}};

std::string percent_or_dash(const std::optional<double>& value, const char* format = "{:.1f} %") {
  return value ? fmt::format(fmt::runtime(format), *value) : "-";
}

std::string ratio_text(const std::optional<double>& value) {
  return value ? fmt::format("{:.2f}x", *value) : "-";
}

std::string band_line(std::span<const OwnRow> rows, const TimeBand& band, std::optional<Split> split) {
  std::vector<Timing> timings;
  std::vector<double> cycle_errors;
  std::vector<double> clock_errors;
  std::vector<double> speedup_errors;
  for (const OwnRow& row : rows) {
    if (row.stale || row.measured_us < band.from_us || row.measured_us >= band.below_us || (split && row.split != *split)) continue;
    timings.push_back({row.measured_us, row.predicted_us});
    if (row.predicted_at_clock_us) cycle_errors.push_back(absolute_percentage_error(*row.predicted_at_clock_us, row.measured_us));
    if (row.predicted_at_clock_us && row.predicted_us)
      clock_errors.push_back(100 * std::abs(*row.predicted_us / *row.predicted_at_clock_us - 1));
    if (row.speedup && row.predicted_speedup) speedup_errors.push_back(absolute_percentage_error(*row.predicted_speedup, *row.speedup));
  }
  if (timings.empty()) return "";
  const ErrorSummary e = summarise(timings);
  const char* side = !split ? "all" : *split == Split::test ? "test" : "calibration";
  return fmt::format("  {:<15} {:<12} {:>5} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}\n", band.name, side, e.rows, e.unmapped,
                     percent_or_dash(e.mape), percent_or_dash(e.bias, "{:+.1f} %"), percent_or_dash(mean(cycle_errors)),
                     percent_or_dash(mean(clock_errors)), percent_or_dash(mean(speedup_errors)),
                     e.kendall_tau ? fmt::format("{:.3f}", *e.kendall_tau) : "-");
}

}  // namespace

std::string own_rows_text(std::span<const OwnRow> rows) {
  std::string text = fmt::format("  {:<12} {:<46} {:>12} {:>8} {:>12} {:>8} {:>9} {:>10}\n", "kernel", "problem", "measured", "+-",
                                 "predicted", "error", "speedup", "predicted");
  for (const OwnRow& row : rows) {
    if (row.stale) continue;
    text += fmt::format("  {:<12} {:<46} {:>9.1f} us {:>8.2g} ", row.row.kernel.name, bench::label(row.row.shape), row.measured_us,
                        row.half_width_us);
    if (row.predicted_us)
      text += fmt::format("{:>9.1f} us {:>+6.1f} % {:>9} {:>10}\n", *row.predicted_us, 100 * (*row.predicted_us / row.measured_us - 1),
                          ratio_text(row.speedup), ratio_text(row.predicted_speedup));
    else
      text += row.unmapped + "\n";
  }
  text += fmt::format("\n  {:<15} {:<12} {:>5} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}\n", "measured time", "rows", "", "unmapped",
                      "error", "bias", "cycles", "clock", "speedup", "tau");
  for (const TimeBand& band : kTimeBands) text += band_line(rows, band, std::nullopt);
  for (const Split split : {Split::calibration, Split::test}) text += band_line(rows, kTimeBands[0], split);
  text +=
      "  error: mean absolute, an unmapped row counts 100 %; cycles: with the clock that was measured; clock: what the model's own clock\n"
      "  adds; speedup: over the dense problem of the same kernel; tau: Kendall's rank correlation of times\n";
  std::vector<std::pair<std::string, CounterPair>> counters;
  for (const OwnRow& row : rows)
    for (const CounterPair& counter : row.counters) counters.emplace_back(row.row.kernel.name, counter);
  return text + counters_text(counters);
}

}  // namespace attnsim
