// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/least_squares.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/error.h"

namespace attnsim {

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double huber_cost(const VectorXd& residuals, double delta) {
  double cost = 0;
  for (const double r : residuals) cost += std::abs(r) <= delta ? r * r / 2 : delta * (std::abs(r) - delta / 2);
  return cost;
}

VectorXd huber_weights(const VectorXd& residuals, double delta) {
  return residuals.unaryExpr([delta](double r) { return std::abs(r) <= delta ? 1.0 : delta / std::abs(r); });
}

VectorXd clipped(const VectorXd& x, const LeastSquaresProblem& problem) {
  return x.cwiseMax(problem.lower).cwiseMin(problem.upper);
}

bool is_at_bound(const LeastSquaresProblem& problem, const VectorXd& x, Index i) {
  const double near = 1e-9 * (problem.upper[i] - problem.lower[i]);
  return x[i] <= problem.lower[i] + near || x[i] >= problem.upper[i] - near;
}

// Coordinates that the gradient does not push through a bound.
std::vector<Index> free_coordinates(const LeastSquaresProblem& problem, const VectorXd& x, const VectorXd& gradient) {
  std::vector<Index> free;
  for (Index i = 0; i < x.size(); ++i) {
    const bool held = (x[i] <= problem.lower[i] && gradient[i] > 0) || (x[i] >= problem.upper[i] && gradient[i] < 0);
    if (!held) free.push_back(i);
  }
  return free;
}

VectorXd damped_step(const MatrixXd& normal, const VectorXd& gradient, const std::vector<Index>& free, double lambda, double longest) {
  MatrixXd system = normal(free, free);
  for (Index i = 0; i < system.rows(); ++i) system(i, i) += lambda * std::max(system(i, i), 1e-12);
  const VectorXd solution = system.ldlt().solve(-gradient(free));
  VectorXd step = VectorXd::Zero(gradient.size());
  for (std::size_t i = 0; i < free.size(); ++i) step[free[i]] = std::clamp(solution[static_cast<Index>(i)], -longest, longest);
  return step;
}

// Covariance of the free coordinates: s^2 (J'WJ)^-1 with s^2 = sum w r^2 / (rows - coordinates).
void set_errors(LeastSquaresFit& fit, const LeastSquaresProblem& problem, double huber) {
  const Index n = fit.x.size();
  fit.standard_error = VectorXd::Constant(n, kNan);
  fit.correlation = MatrixXd::Constant(n, n, kNan);
  std::vector<Index> free;
  for (Index i = 0; i < n; ++i) {
    fit.at_bound.push_back(is_at_bound(problem, fit.x, i));
    if (!fit.at_bound.back()) free.push_back(i);
  }
  const auto degrees = fit.residuals.size() - static_cast<Index>(free.size());
  if (free.empty() || degrees <= 0) return;
  const VectorXd weights = huber_weights(fit.residuals, huber);
  const MatrixXd j = fit.jacobian(Eigen::all, free);
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(j.transpose() * weights.asDiagonal() * j);
  const double largest = eigen.eigenvalues().maxCoeff();
  if (largest <= 0 || eigen.eigenvalues().minCoeff() < 1e-10 * largest) return;
  const double variance = weights.dot(fit.residuals.cwiseAbs2()) / static_cast<double>(degrees);
  const MatrixXd covariance =
      variance * eigen.eigenvectors() * eigen.eigenvalues().cwiseInverse().asDiagonal() * eigen.eigenvectors().transpose();
  const VectorXd deviation = covariance.diagonal().cwiseSqrt();
  for (std::size_t a = 0; a < free.size(); ++a) {
    const auto i = static_cast<Index>(a);
    fit.standard_error[free[a]] = deviation[i];
    for (std::size_t b = 0; b < free.size(); ++b) {
      const auto k = static_cast<Index>(b);
      const double both = deviation[i] * deviation[k];
      fit.correlation(free[a], free[b]) = both > 0 ? covariance(i, k) / both : a == b ? 1.0 : 0.0;
    }
  }
}

}  // namespace

MatrixXd numerical_jacobian(const LeastSquaresProblem& problem, const VectorXd& x, const VectorXd& residuals, double step, bool central,
                            int& evaluations) {
  MatrixXd jacobian(residuals.size(), x.size());
  const auto moved = [&](Index i, double by) {
    VectorXd there = x;
    there[i] += by;
    ++evaluations;
    return problem.residuals(there);
  };
  for (Index i = 0; i < x.size(); ++i) {
    const double above = problem.upper[i] - x[i];
    const double below = x[i] - problem.lower[i];
    if (central && above >= step && below >= step) {
      const VectorXd up = moved(i, step);
      jacobian.col(i) = (up - moved(i, -step)) / (2 * step);
      continue;
    }
    const double by = above >= below ? std::min(step, above) : -std::min(step, below);
    if (by == 0) {
      jacobian.col(i).setZero();
      continue;
    }
    jacobian.col(i) = (moved(i, by) - residuals) / by;
  }
  return jacobian;
}

LeastSquaresFit fit_least_squares(const LeastSquaresProblem& problem, const LeastSquaresOptions& options) {
  require(problem.start.size() == problem.lower.size() && problem.start.size() == problem.upper.size(), "one bound per coordinate");
  require((problem.lower.array() <= problem.upper.array()).all(), "bounds in order");
  constexpr double kLargestLambda = 1e6;
  LeastSquaresFit fit;
  fit.x = clipped(problem.start, problem);
  fit.residuals = problem.residuals(fit.x);
  fit.evaluations = 1;
  fit.cost = fit.cost_start = huber_cost(fit.residuals, options.huber);
  const auto n = static_cast<int>(fit.x.size());
  double lambda = 1e-2;
  // Room for the central differences at the end.
  const int budget = options.most_evaluations - 2 * n;
  while (!fit.converged && fit.evaluations + n < budget) {
    const MatrixXd jacobian = numerical_jacobian(problem, fit.x, fit.residuals, options.step, false, fit.evaluations);
    const VectorXd weights = huber_weights(fit.residuals, options.huber);
    const MatrixXd normal = jacobian.transpose() * weights.asDiagonal() * jacobian;
    const VectorXd gradient = jacobian.transpose() * weights.cwiseProduct(fit.residuals);
    const std::vector<Index> free = free_coordinates(problem, fit.x, gradient);
    if (free.empty()) {
      fit.converged = true;
      break;
    }
    for (bool kept = false; !kept && !fit.converged && fit.evaluations < budget;) {
      const VectorXd there = clipped(fit.x + damped_step(normal, gradient, free, lambda, options.longest_step), problem);
      const double moved = (there - fit.x).cwiseAbs().maxCoeff();
      const VectorXd residuals = problem.residuals(there);
      ++fit.evaluations;
      const double cost = huber_cost(residuals, options.huber);
      kept = cost < fit.cost;
      if (kept) {
        fit.converged = fit.cost - cost <= options.tolerance * fit.cost;
        fit.x = there;
        fit.residuals = residuals;
        fit.cost = cost;
        lambda = std::max(lambda / 4, 1e-6);
      } else {
        lambda *= 5;
        fit.converged = lambda > kLargestLambda || moved < options.tolerance;
      }
    }
  }
  fit.jacobian = numerical_jacobian(problem, fit.x, fit.residuals, options.step, true, fit.evaluations);
  set_errors(fit, problem, options.huber);
  return fit;
}

}  // namespace attnsim
