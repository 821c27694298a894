// SPDX-License-Identifier: Apache-2.0
#include "validation/validate.h"

#include <algorithm>

#include "sim/core/data_dir.h"
#include "validation/file_formats.h"

namespace attnsim {

double simulated_us(const Request& request, const TimedKernels& timed) {
  const Result result = predict(request);
  if (timed.empty()) {
    const std::optional<double> time_us = result.ladder.at(Rung::simulated);
    if (!time_us) throw SimError("no simulated time");
    return *time_us;
  }
  double sum = 0;
  for (const auto& [name, times] : timed) {
    const auto kernel = std::find_if(result.kernels.begin(), result.kernels.end(), [&](const KernelResult& k) { return k.name == name; });
    if (kernel == result.kernels.end()) throw SimError("schedule " + request.schedule.name + " has no kernel " + name);
    sum += static_cast<double>(times) * kernel->time_us;
  }
  return sum;
}

std::filesystem::path default_measurements() {
  for (const std::filesystem::path& beside : {std::filesystem::current_path(), data_dir()}) {
    const std::filesystem::path folder = (beside / ".." / "shared" / "measurements").lexically_normal();
    std::error_code error;
    if (std::filesystem::is_directory(folder, error)) return folder;
  }
  return data_dir() / "validation" / "published";
}

Split split_named(const std::string& name) {
  if (name == "calibration") return Split::calibration;
  if (name == "test") return Split::test;
  if (name == "all") return Split::all;
  throw ConfigError({"", "--split", '"' + name + '"', "is no part of the rows", "calibration, test, all",
                     nearest_name(name, {"calibration", "test", "all"})});
}

Validation validate(const ValidateOptions& options) {
  Validation validation;
  validation.measurements = options.measurements.empty() ? default_measurements() : options.measurements;
  Measurements measured = read_measurement_files(validation.measurements, options.files);
  if (options.split != Split::all) std::erase_if(measured.rows, [&](const MeasuredRow& row) { return split_of(row) != options.split; });
  validation.files = std::move(measured.files);
  validation.ignored = std::move(measured.ignored);

  const KernelMaps maps = KernelMaps::load();
  Catalog catalog;
  std::vector<RowOutcome> fit;
  if (!options.fit.empty()) fit = without_prediction(read_measurements(options.fit).rows, maps, catalog);

  EvaluateOptions evaluation{options.jobs, options.engine, options.predict_us, options.progress};
  if (!evaluation.predict_us) evaluation.predict_us = simulated_us;
  validation.outcomes = evaluate(std::move(measured.rows), maps, catalog, evaluation);
  apply_fitted_rooflines(validation.outcomes, options.fit.empty() ? validation.outcomes : fit);
  validation.groups = group_outcomes(validation.outcomes);
  return validation;
}

}  // namespace attnsim
