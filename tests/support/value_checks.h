// SPDX-License-Identifier: Apache-2.0
// Random inputs, tensors by name, and the largest error of an output against a reference relative to its row's largest value.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/ir/pipeline.h"
#include "sim/value/counter_rng.h"
#include "sim/value/tensor_data.h"

namespace attnsim::test {

inline std::vector<value::TensorData> random_inputs(const ir::Pipeline& pipeline, std::uint64_t seed) {
  value::CounterRng rng(seed);
  std::vector<value::TensorData> inputs;
  for (const ir::Tensor& t : pipeline.tensors()) {
    if (t.role != ir::TensorRole::input) continue;
    value::TensorData data(t.slabs, t.rows, t.cols);
    for (double& x : data.values) x = rng.symmetric() * 2;
    inputs.push_back(std::move(data));
  }
  return inputs;
}

[[nodiscard]] inline ir::TensorId id_of(const ir::Pipeline& pipeline, const std::string& name) {
  const auto& tensors = pipeline.tensors();
  const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const ir::Tensor& t) { return t.name == name; });
  if (at == tensors.end()) throw Invariant("no tensor " + name);
  return static_cast<ir::TensorId>(at - tensors.begin());
}

// The first of them.
[[nodiscard]] inline ir::TensorId output_of(const ir::Pipeline& pipeline) {
  const auto& tensors = pipeline.tensors();
  const auto at = std::find_if(tensors.begin(), tensors.end(), [](const ir::Tensor& t) { return t.role == ir::TensorRole::output; });
  if (at == tensors.end()) throw Invariant("no output");
  return static_cast<ir::TensorId>(at - tensors.begin());
}

// Infinity when a value is NaN.
inline double largest_row_error(std::span<const double> got, std::span<const double> wanted, std::int64_t cols) {
  if (got.size() != wanted.size()) return std::numeric_limits<double>::infinity();
  const auto width = static_cast<std::size_t>(cols);
  double worst = 0;
  for (std::size_t row = 0; row + width <= wanted.size(); row += width) {
    double largest = 0;
    double error = 0;
    for (std::size_t j = row; j < row + width; ++j) {
      largest = std::max(largest, std::abs(wanted[j]));
      const double e = std::abs(got[j] - wanted[j]);
      error = std::isnan(e) ? std::numeric_limits<double>::infinity() : std::max(error, e);
    }
    if (error > 0) worst = std::max(worst, largest > 0 ? error / largest : error);
  }
  return worst;
}

}  // namespace attnsim::test
