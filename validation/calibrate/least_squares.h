// SPDX-License-Identifier: Apache-2.0
// Bounded Levenberg-Marquardt with robust weights and a numerical Jacobian, for residuals that are costly and slightly rough.
//
//   minimise sum_i rho(r_i(x)),  lower <= x <= upper,  rho = Huber: r^2/2 up to `huber`, linear beyond
//
// Each turn solves (J'WJ + lambda diag(J'WJ)) d = -J'Wr over the coordinates that are not held at a bound (Levenberg 1944, Marquardt
// 1963, with the projection of Kanzow, Yamashita and Fukushima 2004), clips d to `longest_step` and x + d to the bounds, and keeps it if
// the sum falls. The Jacobian is one of differences over `step`, away from the nearer bound; at the solution it is one of central
// differences. Deterministic.
#pragma once

#include <Eigen/Dense>
#include <functional>
#include <string>
#include <vector>

namespace attnsim {

struct LeastSquaresProblem {
  std::function<Eigen::VectorXd(const Eigen::VectorXd& x)> residuals;
  Eigen::VectorXd start;  // moved into the bounds first
  Eigen::VectorXd lower, upper;
};

struct LeastSquaresOptions {
  double step = 0.05;          // of the differences; well above the roughness of the residuals
  double huber = 0.2;          // where a residual starts to count linearly
  double longest_step = 0.7;   // of one coordinate in one turn
  double tolerance = 1e-4;     // relative fall of the sum that is still worth a turn
  int most_evaluations = 200;  // of `residuals`
};

struct LeastSquaresFit {
  Eigen::VectorXd x;
  Eigen::VectorXd residuals;
  Eigen::MatrixXd jacobian;        // central differences at x; one-sided at a bound
  Eigen::VectorXd standard_error;  // of x; NaN at a bound or where the residuals do not determine it
  Eigen::MatrixXd correlation;     // of the coordinates within their bounds; NaN elsewhere
  std::vector<bool> at_bound;
  double cost_start = 0, cost = 0;
  int evaluations = 0;
  bool converged = false;  // false: stopped by most_evaluations
};

[[nodiscard]] LeastSquaresFit fit_least_squares(const LeastSquaresProblem& problem, const LeastSquaresOptions& options = {});

// Rows: residuals, columns: coordinates. One-sided where `central` is false or a bound is within `step`. Adds its calls to `evaluations`.
[[nodiscard]] Eigen::MatrixXd numerical_jacobian(const LeastSquaresProblem& problem, const Eigen::VectorXd& x,
                                                 const Eigen::VectorXd& residuals, double step, bool central, int& evaluations);

}  // namespace attnsim
