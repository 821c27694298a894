// SPDX-License-Identifier: Apache-2.0
// Predictions of measured rows as a function of a chip's and a harness's parameters.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/core/json_reader.h"
#include "validation/calibrate/parameters.h"
#include "validation/evaluate.h"

namespace attnsim {

struct ModelRow {
  MeasuredRow row;
  MappedRow mapped;
  std::shared_ptr<const void> holds;  // what the request refers to (a file of kept blocks)
};

// Chip figures set on a document: {"value", "status", "source"} at each dotted path.
void set_figure(JsonDocument& chip, const std::string& path, double value, const std::string& status, const std::string& source);

class RowModel {
 public:
  // `chip`: the document that the parameters are set on.
  RowModel(JsonDocument chip, std::vector<const FitParameter*> parameters, EvaluateOptions options)
      : chip_(std::move(chip)), parameters_(std::move(parameters)), options_(std::move(options)) {}

  // Microseconds of each row at these values of the parameters, by several threads. Rows with one key are predicted once. Throws what
  // the prediction of the first failing row throws.
  [[nodiscard]] std::vector<double> predict(std::span<const ModelRow> rows, std::span<const double> values);
  [[nodiscard]] std::size_t predictions() const { return predictions_; }

 private:
  JsonDocument chip_;
  std::vector<const FitParameter*> parameters_;
  EvaluateOptions options_;
  std::size_t predictions_ = 0;
};

}  // namespace attnsim
