// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "hwmodels/figures.h"
#include "sim/core/data_dir.h"
#include "sim/core/json_text.h"
#include "validation/calibrate/own_model_rows.h"
#include "validation/calibrate/sample.h"
#include "validation/file_formats.h"
#include "validation/validate.h"

namespace attnsim {

namespace {

using Eigen::Index;
using Eigen::VectorXd;

// A parameter counts as seen where some row's time changes by more than this for one e-fold of it.
constexpr double kSeen = 2e-3;
constexpr double kTrade = 0.9;

// Without --parameters, on a chip whose overlay fits nothing.
constexpr std::array<std::string_view, 6> kUsual{"launch.cta_start_cycles", "latency.l2_cycles",          "hbm.efficiency",
                                                 "hbm.write_cost",          "vector.chain_serialization", "power.tensor_pj_per_flop"};

// The same on a processor: what its microbenchmarks measure without the kernels' own order of accesses around it.
constexpr std::array<std::string_view, 6> kUsualOfHost{"launch.cta_start_cycles",  "l2.effective_fraction", "hbm.efficiency",
                                                       "sm.l2_port_bytes_per_clk", "sm.smem_efficiency",    "tensor.efficiency"};

JsonDocument base_document(const std::string& chip) {
  static_cast<void>(chip_document(chip));  // says which chips there are
  return read_json_file(data_dir() / "hwmodels" / "chips" / (chip + ".json"));
}

struct Selection {
  std::vector<const FitParameter*> parameters;
  bool named = false;  // by the user: then one that no row sees is an error
};

Selection select_parameters(const CalibrateOptions& options, const Chip& shipped, const Harness* harness) {
  Selection selection;
  selection.named = !options.parameters.empty();
  std::vector<std::string> names = options.parameters;
  if (names == std::vector<std::string>{"none"}) return selection;
  if (!selection.named) {
    for (const FitParameter& parameter : fit_parameters()) {
      const auto found = shipped.provenance.find(std::string(parameter.name));
      if (found != shipped.provenance.end() && found->second.status == FigureStatus::fitted) names.emplace_back(parameter.name);
    }
    const auto& usual = shipped.vendor == "host" ? kUsualOfHost : kUsual;
    if (names.empty()) names.assign(usual.begin(), usual.end());
    if (harness != nullptr) names.insert(names.end(), harness->fitted.begin(), harness->fitted.end());
    std::erase_if(names, [&](const std::string& name) { return options.measured.contains(name); });
  }
  std::vector<ConfigIssue> issues;
  int of_chip = 0, of_harness = 0;
  for (const std::string& name : names) {
    const FitParameter& parameter = fit_parameter(name);
    const bool twice = std::find(selection.parameters.begin(), selection.parameters.end(), &parameter) != selection.parameters.end();
    if (twice) issues.push_back({"", "--parameters", '"' + name + '"', "is named twice", "", ""});
    if (options.measured.contains(name)) issues.push_back({"", "--parameters", '"' + name + '"', "is held at a measured value", "", ""});
    if (parameter.of_harness && harness == nullptr)
      issues.push_back({"", "--parameters", '"' + name + '"', "is a member of a harness", "with --harness NAME", ""});
    ++(parameter.of_harness ? of_harness : of_chip);
    selection.parameters.push_back(&parameter);
  }
  if (of_chip > kMostFittedFigures)
    issues.push_back({"", "--parameters", std::to_string(of_chip) + " figures of the chip", "are too many",
                      fmt::format("at most {}", kMostFittedFigures), ""});
  if (of_harness > kMostFittedOfHarness)
    issues.push_back({"", "--parameters", std::to_string(of_harness) + " members of the harness", "are too many",
                      fmt::format("at most {}", kMostFittedOfHarness), ""});
  if (!issues.empty()) throw ConfigError(std::move(issues));
  return selection;
}

struct Rows {
  std::vector<ModelRow> calibration, unseen;
};

Rows select_rows(const CalibrateOptions& options, OwnModelRows own, Calibration& result) {
  const std::filesystem::path folder = options.measurements.empty() ? default_measurements() : options.measurements;
  Measurements measured;
  if (!options.files.empty()) measured = read_measurement_files(folder, options.files);
  result.files = measured.files;
  result.files.insert(result.files.end(), own.files.begin(), own.files.end());
  result.folder = (options.files.empty() ? options.own_rows : folder).string();
  const KernelMaps maps = KernelMaps::load();
  Catalog catalog;
  Rows rows;
  std::set<std::string> devices(own.devices.begin(), own.devices.end());
  std::set<std::string> harnesses;
  result.unmapped = std::move(own.unmapped);
  for (auto* const side : {&own.calibration, &own.unseen}) {
    for (ModelRow& row : *side) {
      harnesses.insert(row.mapped.harness);
      if (!options.harness.empty() && row.mapped.harness != options.harness) continue;
      (side == &own.calibration ? rows.calibration : rows.unseen).push_back(std::move(row));
    }
  }
  for (MeasuredRow& row : measured.rows) {
    MappedRow mapped = map_row(row, maps, catalog);
    if (!mapped.chip || mapped.chip->name != options.chip) continue;
    devices.insert(row.device);
    if (!mapped.unmapped.empty()) {
      ++result.unmapped[mapped.unmapped];
      continue;
    }
    harnesses.insert(mapped.harness);
    if (!options.harness.empty() && mapped.harness != options.harness) continue;
    auto& side = split_of(row) == Split::calibration ? rows.calibration : rows.unseen;
    side.push_back({std::move(row), std::move(mapped), nullptr});
  }
  result.devices.assign(devices.begin(), devices.end());
  if (rows.calibration.empty()) {
    std::string known = harnesses.empty() ? "" : fmt::format("its rows there have harness {}", fmt::join(harnesses, ", "));
    for (const auto& [reason, count] : result.unmapped)
      known += fmt::format("{}{} rows left out: {}", known.empty() ? "" : "; ", count, reason);
    throw ConfigError({fmt::format("{}", fmt::join(result.files, ", ")), "", options.chip,
                       options.harness.empty() ? "has no calibration row there that a schedule stands for"
                                               : "has no calibration row there that is timed with harness " + options.harness,
                       known, ""});
  }
  return rows;
}

// Rows whose prediction is illegal leave with their reason: one faulty row must not stop a fit.
void drop_failing(std::vector<ModelRow>& rows, RowModel& model, const std::vector<double>& start, Calibration& result) {
  std::vector<ModelRow> kept;
  for (ModelRow& row : rows) {
    try {
      static_cast<void>(model.predict({&row, 1}, start));
      kept.push_back(std::move(row));
    } catch (const ConfigError& error) {
      ++result.unmapped["not legal: " + error.issues().front().problem];
    } catch (const SimError& error) {
      ++result.unmapped[std::string("simulation failed: ") + error.what()];
    }
  }
  rows = std::move(kept);
}

std::vector<double> predict_or_drop(std::vector<ModelRow>& rows, RowModel& model, const std::vector<double>& start, Calibration& result) {
  try {
    return model.predict(rows, start);
  } catch (const ConfigError&) {
  } catch (const SimError&) {
  }
  drop_failing(rows, model, start, result);
  return model.predict(rows, start);
}

ErrorSummary errors_of(std::span<const ModelRow> rows, const std::vector<double>& predicted) {
  std::vector<Timing> timings;
  for (std::size_t i = 0; i < rows.size(); ++i) timings.push_back({rows[i].row.measured_us, predicted[i]});
  return summarise(timings);
}

std::vector<ErrorsBothWays> errors_by_phase(std::span<const ModelRow> rows, const std::vector<double>& before,
                                            const std::vector<double>& after) {
  struct Both {
    std::vector<Timing> before, after;
  };
  std::map<std::array<std::string, 3>, Both> groups;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const MeasuredRow& row = rows[i].row;
    Both& both = groups[{row.file, row.kernel, row.phase}];
    both.before.push_back({row.measured_us, before[i]});
    both.after.push_back({row.measured_us, after[i]});
  }
  std::vector<ErrorsBothWays> errors;
  for (const auto& [key, both] : groups) errors.push_back({key[0], key[1], key[2], summarise(both.before), summarise(both.after)});
  return errors;
}

std::size_t band_of(double us) {
  return us <= 20 ? 0 : us <= 100 ? 1 : us <= 1000 ? 2 : 3;
}

std::vector<double> exponentials(const VectorXd& x) {
  std::vector<double> values;
  for (const double v : x) values.push_back(std::exp(v));
  return values;
}

double three_digits(double value) {
  return std::stod(fmt::format("{:.3g}", value));
}

class Fit {
 public:
  // `before`: the chip without what the fit and the microbenchmarks change.
  Fit(const CalibrateOptions& options, Calibration& result, std::vector<const FitParameter*> parameters, JsonDocument before,
      const Harness* harness, EvaluateOptions evaluation)
      : options_(options),
        result_(result),
        parameters_(std::move(parameters)),
        before_(before),
        document_(std::move(before)),
        harness_(harness),
        evaluation_(std::move(evaluation)) {
    for (const auto& [path, value] : options.measured) set_figure(document_, path, value, "measured", "microbenchmark");
    if (options.evaluation.progress)
      evaluation_.progress = [this](std::size_t done, std::size_t) { options_.evaluation.progress(result_.predictions + done, 0); };
  }

  void run(Rows rows, bool named) {
    rows_ = std::move(rows);
    const Chip chip = parse_chip(document_);
    for (const FitParameter* parameter : parameters_) result_.parameters.push_back(start_of(*parameter, chip));
    thin();
    leave_out_unseen(named);
    require_enough_rows();
    solve();
    judge();
  }

 private:
  FittedParameter start_of(const FitParameter& parameter, const Chip& chip) const {
    FittedParameter fitted;
    fitted.parameter = &parameter;
    fitted.bounds = bounds_of(parameter, chip);
    fitted.start = parameter.of_harness ? value_of(parameter, harness_->conditions, *harness_) : value_of(parameter, chip);
    return fitted;
  }

  [[nodiscard]] std::vector<double> starts() const {
    std::vector<double> values;
    for (const FittedParameter& fitted : result_.parameters) values.push_back(fitted.start);
    return values;
  }

  [[nodiscard]] std::vector<ModelRow> sampled(const std::vector<ModelRow>& rows, std::size_t most) const {
    std::vector<MeasuredRow> plain;
    for (const ModelRow& row : rows) plain.push_back(row.row);
    std::vector<ModelRow> sample;
    for (const std::size_t i : stratified_sample(plain, most, options_.seed)) sample.push_back(rows[i]);
    return sample;
  }

  void thin() {
    result_.calibration_rows = rows_.calibration.size();
    sample_ = sampled(rows_.calibration, options_.most_rows);
    rows_.unseen = sampled(rows_.unseen, options_.most_unseen);
    RowModel model(document_, parameters_, evaluation_);
    static_cast<void>(predict_or_drop(sample_, model, starts(), result_));
    result_.fit_rows = sample_.size();
    result_.predictions += model.predictions();
    if (sample_.empty()) throw ConfigError({"", options_.chip, "", "no calibration row can be predicted", "", ""});
  }

  [[nodiscard]] LeastSquaresProblem problem(RowModel& model) const {
    LeastSquaresProblem problem;
    const auto n = static_cast<Index>(result_.parameters.size());
    problem.start.resize(n);
    problem.lower.resize(n);
    problem.upper.resize(n);
    for (Index i = 0; i < n; ++i) {
      const FittedParameter& fitted = result_.parameters[static_cast<std::size_t>(i)];
      problem.lower[i] = std::log(fitted.bounds.min);
      problem.upper[i] = std::log(fitted.bounds.max);
      problem.start[i] = std::log(std::clamp(fitted.start, fitted.bounds.min, fitted.bounds.max));
    }
    problem.residuals = [&model, this](const VectorXd& x) {
      const std::vector<double> predicted = model.predict(sample_, exponentials(x));
      VectorXd residuals(static_cast<Index>(sample_.size()));
      for (std::size_t i = 0; i < sample_.size(); ++i)
        residuals[static_cast<Index>(i)] = std::log(predicted[i] / sample_[i].row.measured_us);
      return residuals;
    };
    return problem;
  }

  void leave_out_unseen(bool named) {
    RowModel model(document_, parameters_, evaluation_);
    const LeastSquaresProblem at_start = problem(model);
    const VectorXd residuals = at_start.residuals(at_start.start);
    const Eigen::MatrixXd pulls =
        numerical_jacobian(at_start, at_start.start, residuals, options_.solver.step, false, result_.evaluations).cwiseAbs();
    result_.predictions += model.predictions();
    std::vector<std::string> seen, unseen;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const bool is_seen = pulls.col(static_cast<Index>(i)).maxCoeff() > kSeen;
      (is_seen ? seen : unseen).emplace_back(parameters_[i]->name);
    }
    if (!unseen.empty() && (named || seen.empty())) {
      std::vector<ConfigIssue> issues;
      for (const std::string& name : unseen)
        issues.push_back({"", "--parameters", '"' + name + '"', "is seen by none of these rows: they can't fit it",
                          seen.empty() ? "" : "of those named: " + json_text::joined(seen), ""});
      throw ConfigError(std::move(issues));
    }
    result_.not_seen = unseen;
    const auto is_unseen = [&](std::string_view name) { return std::find(unseen.begin(), unseen.end(), name) != unseen.end(); };
    std::erase_if(parameters_, [&](const FitParameter* parameter) { return is_unseen(parameter->name); });
    std::erase_if(result_.parameters, [&](const FittedParameter& fitted) { return is_unseen(fitted.parameter->name); });
  }

  // As many values as rows fit anything; one row more is the least that has an error left to estimate from.
  void require_enough_rows() const {
    if (parameters_.empty() || sample_.size() > parameters_.size()) return;
    throw ConfigError({"", "--file", fmt::format("{}", fmt::join(result_.files, ", ")),
                       fmt::format("gives {} calibration rows for {} parameters", sample_.size(), parameters_.size()),
                       fmt::format("at least {} rows (their folder is {}; --measurements names another), or fewer --parameters",
                                   parameters_.size() + 1, result_.folder),
                       ""});
  }

  void solve() {
    RowModel model(document_, parameters_, evaluation_);
    const LeastSquaresFit fit = fit_least_squares(problem(model), options_.solver);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const auto k = static_cast<Index>(i);
      FittedParameter& fitted = result_.parameters[i];
      fitted.value = std::clamp(three_digits(std::exp(fit.x[k])), fitted.bounds.min, fitted.bounds.max);
      fitted.at_bound = fit.at_bound[i];
      if (std::isfinite(fit.standard_error[k])) fitted.standard_error = fit.standard_error[k];
      for (std::size_t j = 0; j < i; ++j) {
        const double correlation = fit.correlation(k, static_cast<Index>(j));
        if (std::abs(correlation) > kTrade)
          result_.trades.push_back(
              fmt::format("{} with {} (correlation {:+.2f})", parameters_[j]->name, parameters_[i]->name, correlation));
      }
    }
    set_sensitivities(fit);
    result_.converged = fit.converged;
    result_.evaluations += fit.evaluations;
    const std::vector<double> values = fitted_values();
    RowModel before(before_, {}, evaluation_);
    result_.fit_before = errors_of(sample_, before.predict(sample_, {}));
    result_.fit_after = errors_of(sample_, model.predict(sample_, values));
    result_.predictions += model.predictions() + before.predictions();
  }

  // d(mean T) / mean T per d ln p: each row's slope weighted with its predicted time.
  void set_sensitivities(const LeastSquaresFit& fit) {
    std::array<double, kBands.size()> time{};
    std::vector<std::array<double, kBands.size()>> moved(parameters_.size());
    for (std::size_t i = 0; i < sample_.size(); ++i) {
      const auto k = static_cast<Index>(i);
      const double predicted = sample_[i].row.measured_us * std::exp(fit.residuals[k]);
      const std::size_t band = band_of(sample_[i].row.measured_us);
      time[band] += predicted;
      for (std::size_t p = 0; p < parameters_.size(); ++p) moved[p][band] += predicted * fit.jacobian(k, static_cast<Index>(p));
    }
    for (std::size_t p = 0; p < parameters_.size(); ++p)
      for (std::size_t band = 0; band < kBands.size(); ++band)
        if (time[band] > 0) result_.parameters[p].sensitivity[band] = moved[p][band] / time[band];
  }

  [[nodiscard]] std::vector<double> fitted_values() const {
    std::vector<double> values;
    for (const FittedParameter& fitted : result_.parameters) values.push_back(fitted.value);
    return values;
  }

  void judge() {
    RowModel model(document_, parameters_, evaluation_);
    std::vector<ModelRow>& unseen = rows_.unseen;
    if (unseen.empty()) {
      result_.verdict = "refused: no row is left that the fit did not see";
      return;
    }
    RowModel shipped(before_, {}, evaluation_);
    const std::vector<double> before = predict_or_drop(unseen, shipped, {}, result_);
    const std::vector<double> after = model.predict(unseen, fitted_values());
    result_.unseen_rows = unseen.size();
    result_.predictions += model.predictions() + shipped.predictions();
    result_.unseen = errors_by_phase(unseen, before, after);
    result_.unseen_before = errors_of(unseen, before);
    result_.unseen_after = errors_of(unseen, after);
    if (unseen.empty()) {
      result_.verdict = "refused: no row that the fit did not see can be predicted";
      return;
    }
    result_.accepted = *result_.unseen_after.mape < *result_.unseen_before.mape;
    result_.verdict = fmt::format("{}: rows that the fit did not see go from {:.2f} % to {:.2f} %",
                                  result_.accepted ? "accepted" : "refused", *result_.unseen_before.mape, *result_.unseen_after.mape);
  }

  const CalibrateOptions& options_;
  Calibration& result_;
  std::vector<const FitParameter*> parameters_;
  JsonDocument before_, document_;
  const Harness* harness_;
  EvaluateOptions evaluation_;
  Rows rows_;
  std::vector<ModelRow> sample_;
};

}  // namespace

Calibration calibrate(const CalibrateOptions& options) {
  Calibration result;
  result.chip = options.chip;
  result.harness = options.harness;
  result.start = options.start;
  result.seed = options.seed;
  result.measured = options.measured;
  const Chip shipped = load_chip(options.chip);
  std::optional<Harness> harness;
  if (!options.harness.empty()) harness = load_harness(options.harness);
  Selection selection = select_parameters(options, shipped, harness ? &*harness : nullptr);
  OwnModelRows own;
  if (!options.own_rows.empty()) own = own_model_rows(options.own_rows, options.chip);
  if (options.start == StartFrom::overlay && own.overlay) result.own_overlay = own.overlay->root;
  JsonDocument document = options.start == StartFrom::base ? base_document(options.chip)
                          : own.overlay                    ? chip_document(options.chip, *own.overlay)
                                                           : chip_document(options.chip);
  EvaluateOptions evaluation = options.evaluation;
  if (!evaluation.predict_us) evaluation.predict_us = simulated_us;
  Rows rows = select_rows(options, std::move(own), result);
  Fit(options, result, std::move(selection.parameters), std::move(document), harness ? &*harness : nullptr, std::move(evaluation))
      .run(std::move(rows), selection.named);
  return result;
}

}  // namespace attnsim
