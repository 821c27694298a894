// SPDX-License-Identifier: Apache-2.0
#include "workloads/reference/operators.h"

#include <algorithm>
#include <cmath>

namespace attnsim::reference {

namespace {

std::size_t place(std::int64_t row, std::int64_t col, std::int64_t cols) {
  return static_cast<std::size_t>(row * cols + col);
}

}  // namespace

std::vector<double> gemm(const std::vector<double>& a, const std::vector<double>& b, std::int64_t m, std::int64_t n, std::int64_t k) {
  std::vector<double> c(static_cast<std::size_t>(m * n), 0.0);
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t l = 0; l < k; ++l) c[place(i, j, n)] += a[place(i, l, k)] * b[place(l, j, n)];
    }
  }
  return c;
}

std::vector<double> softmax(const std::vector<double>& x, std::int64_t m, std::int64_t n) {
  std::vector<double> y(x.size());
  for (std::int64_t i = 0; i < m; ++i) {
    double largest = x[place(i, 0, n)];
    for (std::int64_t j = 0; j < n; ++j) largest = std::max(largest, x[place(i, j, n)]);
    double sum = 0;
    for (std::int64_t j = 0; j < n; ++j) sum += std::exp(x[place(i, j, n)] - largest);
    for (std::int64_t j = 0; j < n; ++j) y[place(i, j, n)] = std::exp(x[place(i, j, n)] - largest) / sum;
  }
  return y;
}

std::vector<double> layernorm(const std::vector<double>& x, std::int64_t m, std::int64_t n) {
  constexpr double kEpsilon = 1e-5;
  std::vector<double> y(x.size());
  for (std::int64_t i = 0; i < m; ++i) {
    double mean = 0;
    for (std::int64_t j = 0; j < n; ++j) mean += x[place(i, j, n)] / static_cast<double>(n);
    double variance = 0;
    for (std::int64_t j = 0; j < n; ++j) variance += (x[place(i, j, n)] - mean) * (x[place(i, j, n)] - mean) / static_cast<double>(n);
    for (std::int64_t j = 0; j < n; ++j) y[place(i, j, n)] = (x[place(i, j, n)] - mean) / std::sqrt(variance + kEpsilon);
  }
  return y;
}

}  // namespace attnsim::reference
