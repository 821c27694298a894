// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/least_squares.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "validation/calibrate/parameters.h"
#include "validation/calibrate/sample.h"

using namespace attnsim;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

constexpr double kFar = 100;

LeastSquaresProblem linear(const MatrixXd& a, const VectorXd& b) {
  LeastSquaresProblem problem;
  problem.residuals = [a, b](const VectorXd& x) { return VectorXd(a * x - b); };
  problem.start = VectorXd::Zero(a.cols());
  problem.lower = VectorXd::Constant(a.cols(), -kFar);
  problem.upper = VectorXd::Constant(a.cols(), kFar);
  return problem;
}

MeasuredRow row(const std::string& kernel, double us, int id) {
  MeasuredRow row;
  row.file = "f.csv";
  row.kernel = kernel;
  row.phase = "decode";
  row.measured_us = us;
  row.id = std::to_string(id);
  row.shape = "s" + row.id;
  return row;
}

}  // namespace

TEST_CASE("a linear problem ends at the solution of its normal equations") {
  MatrixXd a(5, 2);
  a << 1, 0, 1, 1, 1, 2, 1, 3, 1, 4;
  VectorXd b(5);
  b << 0.10, 0.29, 0.52, 0.70, 0.88;
  // Least squares by hand: n = 5, sum t = 10, sum t^2 = 30, sum b = 2.49, sum t b = 6.95; slope = (5 x 6.95 - 10 x 2.49) / (5 x 30 - 100).
  const double slope = (5 * 6.95 - 10 * 2.49) / 50;
  const double offset = (2.49 - 10 * slope) / 5;
  LeastSquaresOptions options;
  options.huber = kFar;
  options.tolerance = 1e-12;
  const LeastSquaresFit fit = fit_least_squares(linear(a, b), options);
  CHECK(fit.converged);
  CHECK(fit.x[0] == Approx(offset).margin(1e-6));
  CHECK(fit.x[1] == Approx(slope).margin(1e-6));

  // s^2 (A'A)^-1 with A'A = [[5, 10], [10, 30]], determinant 50.
  double rest = 0;
  for (int t = 0; t < 5; ++t) rest += std::pow(offset + slope * t - b[t], 2);
  const double variance = rest / 3;
  CHECK(fit.standard_error[0] == Approx(std::sqrt(variance * 30 / 50)).epsilon(1e-4));
  CHECK(fit.standard_error[1] == Approx(std::sqrt(variance * 5 / 50)).epsilon(1e-4));
  CHECK(fit.correlation(0, 1) == Approx(-10 / std::sqrt(150.0)).epsilon(1e-4));
}

TEST_CASE("an outlier pulls a robust fit less than a plain one") {
  const MatrixXd a = MatrixXd::Ones(7, 1);
  VectorXd b = VectorXd::Constant(7, 1.0);
  b[6] = 8;
  LeastSquaresOptions plain, robust;
  plain.huber = kFar;
  robust.huber = 0.2;
  plain.tolerance = robust.tolerance = 1e-10;
  CHECK(fit_least_squares(linear(a, b), plain).x[0] == Approx(2.0).margin(1e-6));  // the mean
  // Six residuals x - 1 within 0.2 against one that counts 0.2: 6 (x - 1) = 0.2.
  CHECK(fit_least_squares(linear(a, b), robust).x[0] == Approx(1 + 0.2 / 6).margin(1e-5));
}

TEST_CASE("a coordinate whose best value lies beyond its bound stays at the bound and the others take their best there") {
  // r = (x + y - 3, x - 1): unbounded (1, 2); with y <= 1.5 the sum is least at x = (1.5 + 1) / 2.
  MatrixXd a(2, 2);
  a << 1, 1, 1, 0;
  VectorXd b(2);
  b << 3, 1;
  LeastSquaresProblem problem = linear(a, b);
  problem.upper[1] = 1.5;
  LeastSquaresOptions options;
  options.huber = kFar;
  options.tolerance = 1e-12;
  const LeastSquaresFit fit = fit_least_squares(problem, options);
  CHECK(fit.x[0] == Approx(1.25).margin(1e-5));
  CHECK(fit.x[1] == 1.5);
  CHECK(fit.at_bound == std::vector<bool>{false, true});
  CHECK(std::isnan(fit.standard_error[1]));
}

TEST_CASE("a start beyond the bounds is moved into them and no call ever leaves them") {
  LeastSquaresProblem problem = linear(MatrixXd::Identity(2, 2), VectorXd::Constant(2, 5.0));
  problem.start = VectorXd::Constant(2, 50);
  problem.lower = VectorXd::Constant(2, -1);
  problem.upper = VectorXd::Constant(2, 1);
  double furthest = 0;
  const auto residuals = problem.residuals;
  problem.residuals = [&](const VectorXd& x) {
    furthest = std::max(furthest, x.cwiseAbs().maxCoeff());
    return residuals(x);
  };
  const LeastSquaresFit fit = fit_least_squares(problem);
  CHECK(fit.x == VectorXd::Constant(2, 1.0));
  CHECK(furthest <= 1);
}

TEST_CASE("two coordinates that only their sum moves have no standard error") {
  MatrixXd a(3, 2);
  a << 1, 1, 2, 2, 3, 3;
  VectorXd b(3);
  b << 1, 2.1, 2.9;
  const LeastSquaresFit fit = fit_least_squares(linear(a, b));
  CHECK(std::isnan(fit.standard_error[0]));
  CHECK(std::isnan(fit.standard_error[1]));
}

TEST_CASE("the limit of evaluations holds and is told") {
  LeastSquaresProblem problem = linear(MatrixXd::Identity(2, 2), VectorXd::Constant(2, 5.0));
  int calls = 0;
  problem.residuals = [&](const VectorXd& x) {
    ++calls;
    return VectorXd((x.array() - 5).cube());
  };
  LeastSquaresOptions options;
  options.most_evaluations = 14;
  options.tolerance = 1e-15;
  const LeastSquaresFit fit = fit_least_squares(problem, options);
  CHECK_FALSE(fit.converged);
  CHECK(calls <= 14);
  CHECK(fit.evaluations == calls);
}

TEST_CASE("a stratified sample keeps every stratum, its size, and does not depend on the order of the rows") {
  std::vector<MeasuredRow> rows;
  for (int i = 0; i < 90; ++i) rows.push_back(row("a", 15, i));
  for (int i = 0; i < 9; ++i) rows.push_back(row("b", 15, 100 + i));
  rows.push_back(row("a", 1500, 200));
  const std::vector<std::size_t> sample = stratified_sample(rows, 20, 1);
  REQUIRE(sample.size() == 20);
  const auto count = [&](const auto& wanted) {
    return std::count_if(sample.begin(), sample.end(), [&](std::size_t i) { return wanted(rows[i]); });
  };
  CHECK(count([](const MeasuredRow& r) { return r.measured_us > 1000; }) == 1);
  const auto of_b = count([](const MeasuredRow& r) { return r.kernel == "b"; });
  CHECK(of_b >= 1);
  CHECK(of_b <= 2);

  std::vector<MeasuredRow> reversed(rows.rbegin(), rows.rend());
  std::set<std::string> ids, reversed_ids;
  for (const std::size_t i : sample) ids.insert(rows[i].id);
  for (const std::size_t i : stratified_sample(reversed, 20, 1)) reversed_ids.insert(reversed[i].id);
  CHECK(ids == reversed_ids);
  CHECK(stratified_sample(rows, 20, 2) != sample);
  CHECK(stratified_sample(rows, 0, 1).size() == rows.size());
}

TEST_CASE("fit parameters are figures or members of a harness, with bounds in order") {
  for (const FitParameter& parameter : fit_parameters()) {
    INFO(parameter.name);
    CHECK(parameter.min < parameter.max);
    CHECK(parameter.min > 0);  // they move as logarithms
    CHECK_FALSE(parameter.meaning.empty());
    CHECK_FALSE(parameter.bounds_source.empty());
  }
}
