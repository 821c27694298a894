// SPDX-License-Identifier: Apache-2.0
// A calibration as the files that the model reads: an overlay of the chip, and the harness.
#include <fmt/format.h>

#include <cmath>

#include "hwmodels/figures.h"
#include "sim/core/data_dir.h"
#include "sim/predict/identity.h"
#include "validation/calibrate/calibrate.h"

namespace attnsim {

namespace {

std::string number(double value) {
  return fmt::format("{:.3g}", value);
}

// Two standard errors each way, cut at the bounds.
std::string uncertainty_of(const FittedParameter& fitted) {
  if (fitted.at_bound) return fmt::format("at a bound of the fit ({} to {})", number(fitted.bounds.min), number(fitted.bounds.max));
  if (!fitted.standard_error) return "not determined by these rows";
  const double low = std::max(fitted.bounds.min, fitted.value * std::exp(-2 * *fitted.standard_error));
  const double high = std::min(fitted.bounds.max, fitted.value * std::exp(2 * *fitted.standard_error));
  return fmt::format("{} to {} (two standard errors)", number(low), number(high));
}

std::string fitted_on(const Calibration& calibration) {
  std::string text = fmt::format(
      "calibration half (hash of the row) of the rows of {} on {}: {} of {} rows, a stratified sample with seed {}; least squares of log "
      "ratios, robust (Huber). Rows that the fit did not see: {:.2f} % before, {:.2f} % after, {} rows. {}",
      fmt::join(calibration.files, ", "), fmt::join(calibration.devices, ", "), calibration.fit_rows, calibration.calibration_rows,
      calibration.seed, calibration.unseen_before.mape.value_or(0), calibration.unseen_after.mape.value_or(0), calibration.unseen_rows,
      version_text());
  if (!calibration.harness.empty()) text += ", harness " + calibration.harness;
  return text;
}

Json shipped_overlay(const std::string& chip) {
  const std::filesystem::path path = data_dir() / "hwmodels" / "overlays" / (chip + ".json");
  return std::filesystem::exists(path) ? read_json_file(path).root : Json();
}

}  // namespace

Json overlay_of(const Calibration& calibration) {
  Json figures = Json::object();
  const Json shipped = calibration.start == StartFrom::overlay ? shipped_overlay(calibration.chip) : Json();
  if (shipped.is_object()) figures = shipped.at("figures");
  const Json& own = calibration.own_overlay;
  if (own.is_object())
    for (const auto& [path, figure] : own.at("figures").items()) figures[path] = figure;
  for (const auto& [path, value] : calibration.measured)
    figures[path] = {{"value", value}, {"status", "measured"}, {"source", "microbenchmark of this chip"}, {"uncertainty", "not stated"}};
  for (const FittedParameter& fitted : calibration.parameters) {
    if (fitted.parameter->of_harness) continue;
    figures[std::string(fitted.parameter->name)] = {
        {"value", fitted.value},
        {"status", "fitted"},
        {"source", fmt::format("{}; fitted from {}, bounds {} to {}: {}", fitted.parameter->meaning, number(fitted.start),
                               number(fitted.bounds.min), number(fitted.bounds.max), fitted.parameter->bounds_source)},
        {"uncertainty", uncertainty_of(fitted)}};
  }
  int count = 0;
  for (const auto& [path, figure] : figures.items()) count += figure.at("status") == "fitted" ? 1 : 0;
  if (count > kMostFittedFigures) {
    throw ConfigError({"", "--parameters", fmt::format("{} figures", count), "would be fitted, with those of the shipped overlay",
                       fmt::format("at most {}; --start base leaves the shipped overlay out", kMostFittedFigures), ""});
  }
  std::string on = fitted_on(calibration);
  if (shipped.is_object()) on += ". Figures of the overlay before that this fit left alone: " + shipped.at("fitted_on").get<std::string>();
  if (own.is_object()) on += ". Figures that the device's microbenchmarks measured: " + own.at("description").get<std::string>();
  return {{"chip", calibration.chip},
          {"description", calibration.chip + ": figures fitted by attnsim calibrate"},
          {"fitted_on", on},
          {"figures", figures}};
}

Json harness_of(const Calibration& calibration) {
  if (calibration.harness.empty()) return {};
  Json harness = read_json_file(data_dir() / "workloads" / "harnesses" / (calibration.harness + ".json")).root;
  Json fitted_names = harness.value("fitted", Json::array());
  bool any = false;
  for (const FittedParameter& fitted : calibration.parameters) {
    if (!fitted.parameter->of_harness) continue;
    any = true;
    const std::string name(fitted.parameter->name);
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos)
      harness[name] = fitted.value;
    else
      harness[name.substr(0, dot)][name.substr(dot + 1)] = fitted.value;
    if (std::find(fitted_names.begin(), fitted_names.end(), name) == fitted_names.end()) fitted_names.push_back(name);
  }
  if (!any) return {};
  harness["fitted"] = fitted_names;
  harness["source"] = harness.value("source", "") + "; fitted on " + fitted_on(calibration);
  return harness;
}

}  // namespace attnsim
