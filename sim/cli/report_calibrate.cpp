// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/report_calibrate.h"

#include <fmt/format.h>

#include "sim/cli/table.h"

namespace attnsim::cli {

namespace {

std::string number(double value) {
  return fmt::format("{:.4g}", value);
}

std::string error_text(const ErrorSummary& errors) {
  return errors.mape ? fmt::format("{:.2f} %", *errors.mape) : "-";
}

std::string deviation_text(const FittedParameter& fitted) {
  if (fitted.at_bound) return "at bound";
  return fitted.standard_error ? fmt::format("+- {:.2g} %", 100 * *fitted.standard_error) : "not determined";
}

std::string rows_text(const Calibration& c) {
  std::string text = fmt::format("  rows     {} of {}: {} for calibration, {} unseen", fmt::join(c.files, ", "), fmt::join(c.devices, ", "),
                                 c.calibration_rows, c.unseen_rows);
  if (!c.harness.empty()) text += ", harness " + c.harness;
  text += "\n           files from " + c.folder;
  text += fmt::format("\n  fit      {} rows, stratified by file, kernel, phase and decade of time, seed {}; log ratios, Huber\n",
                      c.fit_rows, c.seed);
  for (const auto& [reason, count] : c.unmapped) text += fmt::format("  left out {} rows: {}\n", count, reason);
  for (const auto& [path, value] : c.measured) text += fmt::format("  held     {} at {} (microbenchmark)\n", path, number(value));
  for (const std::string& name : c.not_seen) text += fmt::format("  dropped  {}: no row sees it\n", name);
  return text + fmt::format("  solver   {} after {} sets of parameters, {} predictions\n",
                            c.converged ? "converged" : "stopped at the limit", c.evaluations, c.predictions);
}

std::string parameters_text(const Calibration& c) {
  std::vector<std::string> header{"parameter", ">start", ">fitted", ">error", ">bounds"};
  for (const std::string_view band : kBands) header.push_back(">" + std::string(band));
  TextTable table(header);
  for (const FittedParameter& fitted : c.parameters) {
    std::vector<std::string> row{std::string(fitted.parameter->name), number(fitted.start), number(fitted.value), deviation_text(fitted),
                                 number(fitted.bounds.min) + " to " + number(fitted.bounds.max)};
    for (const std::optional<double>& slope : fitted.sensitivity) row.push_back(slope ? fmt::format("{:+.3f}", *slope) : "-");
    table.add(row);
  }
  std::string text = table.render(2, 140) +
                     "  error: one standard error; last columns: % of mean predicted time per % of the parameter, by measured time\n";
  for (const std::string& trade : c.trades) text += "  trades   " + trade + "\n";
  return text;
}

std::string errors_text(const Calibration& c) {
  TextTable table({"mean absolute error", ">rows", ">before", ">after"});
  table.add({"rows of the fit", std::to_string(c.fit_rows), error_text(c.fit_before), error_text(c.fit_after)});
  for (const ErrorsBothWays& group : c.unseen) {
    const std::string phase = group.phase.empty() || group.phase == group.kernel ? "" : " " + group.phase;
    table.add({"unseen: " + group.file + " " + group.kernel + phase, std::to_string(group.before.rows), error_text(group.before),
               error_text(group.after)});
  }
  table.add({"unseen rows", std::to_string(c.unseen_rows), error_text(c.unseen_before), error_text(c.unseen_after)});
  return table.render(2, 140);
}

Json optional_json(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

Json errors_json(const ErrorSummary& errors) {
  return {{"rows", errors.rows},
          {"mape", optional_json(errors.mape)},
          {"bias", optional_json(errors.bias)},
          {"p90_ape", optional_json(errors.p90_ape)}};
}

}  // namespace

std::string calibration_text(const Calibration& c) {
  return fmt::format("calibrate {}; start: {}\n{}\n{}\n{}\n{}\n", c.chip,
                     c.start == StartFrom::base  ? "base file without overlay"
                     : c.own_overlay.is_object() ? "shipped figures, and those that the device's microbenchmarks measured"
                                                 : "shipped figures, overlay included",
                     rows_text(c), parameters_text(c), errors_text(c), c.verdict);
}

Json calibration_json(const Calibration& c) {
  Json parameters = Json::array();
  for (const FittedParameter& fitted : c.parameters) {
    Json sensitivity = Json::object();
    for (std::size_t band = 0; band < kBands.size(); ++band)
      sensitivity[std::string(kBands[band])] = optional_json(fitted.sensitivity[band]);
    parameters.push_back({{"name", std::string(fitted.parameter->name)},
                          {"unit", std::string(fitted.parameter->unit)},
                          {"of", fitted.parameter->of_harness ? "harness" : "chip"},
                          {"start", fitted.start},
                          {"value", fitted.value},
                          {"min", fitted.bounds.min},
                          {"max", fitted.bounds.max},
                          {"at_bound", fitted.at_bound},
                          {"relative_standard_error", optional_json(fitted.standard_error)},
                          {"percent_of_time_per_percent", sensitivity}});
  }
  Json unseen = Json::array();
  for (const ErrorsBothWays& group : c.unseen)
    unseen.push_back({{"file", group.file},
                      {"kernel", group.kernel},
                      {"phase", group.phase},
                      {"before", errors_json(group.before)},
                      {"after", errors_json(group.after)}});
  return {{"chip", c.chip},
          {"harness", c.harness},
          {"folder", c.folder},
          {"files", c.files},
          {"devices", c.devices},
          {"calibration_rows", c.calibration_rows},
          {"fit_rows", c.fit_rows},
          {"unseen_rows", c.unseen_rows},
          {"unmapped", c.unmapped},
          {"seed", c.seed},
          {"held", c.measured},
          {"parameters", parameters},
          {"not_seen", c.not_seen},
          {"trades", c.trades},
          {"converged", c.converged},
          {"evaluations", c.evaluations},
          {"predictions", c.predictions},
          {"fit", {{"before", errors_json(c.fit_before)}, {"after", errors_json(c.fit_after)}}},
          {"unseen", {{"before", errors_json(c.unseen_before)}, {"after", errors_json(c.unseen_after)}, {"groups", unseen}}},
          {"accepted", c.accepted},
          {"verdict", c.verdict}};
}

std::string microbenchmarks_text(const MicrobenchmarkTable& t) {
  std::string text = fmt::format("microbenchmarks of {} in {} for chip {}\n",
                                 t.devices.empty() ? "no device" : fmt::format("{}", fmt::join(t.devices, ", ")), t.file, t.chip);
  TextTable table({"figure", ">microbenchmark says", ">rows", ">chip says", "status", ">difference", "from"});
  for (const MicrobenchmarkFigure& f : t.figures) {
    const std::string difference = f.chip_value > 0 ? fmt::format("{:+.1f} %", 100 * (f.value / f.chip_value - 1)) : "-";
    table.add({f.path + (f.sets ? "" : " *"), number(f.value), std::to_string(f.rows), number(f.chip_value), f.status, difference, f.how});
  }
  text += t.figures.empty() ? "  no row fixes a figure of this chip\n" : table.render(2, 150);
  if (!t.figures.empty()) text += "  *: not the figure itself (its column says why); --hold does not take it\n";
  return text + fmt::format("  {} rows of the device fix no figure; {} rows are of other devices\n", t.unused_rows, t.other_rows);
}

Json microbenchmarks_json(const MicrobenchmarkTable& t) {
  Json figures = Json::array();
  for (const MicrobenchmarkFigure& f : t.figures)
    figures.push_back({{"figure", f.path},
                       {"value", f.value},
                       {"rows", f.rows},
                       {"chip_value", f.chip_value},
                       {"status", f.status},
                       {"settable", f.sets},
                       {"from", f.how}});
  return {{"chip", t.chip},
          {"file", t.file},
          {"devices", t.devices},
          {"figures", figures},
          {"unused_rows", t.unused_rows},
          {"other_rows", t.other_rows}};
}

}  // namespace attnsim::cli
