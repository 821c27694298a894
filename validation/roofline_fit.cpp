// SPDX-License-Identifier: Apache-2.0
#include "validation/roofline_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "validation/statistics.h"

namespace attnsim {

namespace {

// The centre of a search and how far it reaches: T0 as a share of the smallest measured time, a and b as logarithms.
struct Window {
  std::array<double, 3> centre;
  std::array<double, 3> reach;
};

constexpr int kCoarseSteps = 20;
constexpr int kFineSteps = 4;
constexpr int kFineRounds = 8;
constexpr double kMostShare = 2.0;   // T0 up to twice the smallest time: more than one row may sit below the floor
constexpr double kLeastRate = 0.01;  // a and b from 1 % to 150 % of the data sheet, more where warm caches beat it
constexpr double kMostRate = 4.0;

FittedRoofline model_at(const std::array<double, 3>& at, double smallest) {
  return {std::clamp(at[0], 0.0, kMostShare) * smallest, std::exp(std::clamp(at[1], std::log(kLeastRate), std::log(kMostRate))),
          std::exp(std::clamp(at[2], std::log(kLeastRate), std::log(kMostRate)))};
}

std::array<double, 3> search(const Window& window, int steps, double smallest, std::span<const RooflinePoint> points) {
  std::array<double, 3> best = window.centre;
  double best_error = mape_of(model_at(best, smallest), points);
  std::array<double, 3> at{};
  for (int i = -steps; i <= steps; ++i) {
    at[0] = window.centre[0] + window.reach[0] * i / steps;
    for (int j = -steps; j <= steps; ++j) {
      at[1] = window.centre[1] + window.reach[1] * j / steps;
      for (int k = -steps; k <= steps; ++k) {
        at[2] = window.centre[2] + window.reach[2] * k / steps;
        const double error = mape_of(model_at(at, smallest), points);
        if (error < best_error) {
          best_error = error;
          best = at;
        }
      }
    }
  }
  return best;
}

// At most this many points steer the coarse search; the fine one sees all.
constexpr std::size_t kCoarsePoints = 200;
std::vector<RooflinePoint> thinned(std::span<const RooflinePoint> points) {
  const std::size_t stride = (points.size() + kCoarsePoints - 1) / kCoarsePoints;
  std::vector<RooflinePoint> few;
  for (std::size_t i = 0; i < points.size(); i += stride) few.push_back(points[i]);
  return few;
}

}  // namespace

double FittedRoofline::predict_us(const RooflinePoint& point) const {
  return t0_us + std::max(point.flop_us / a, point.byte_us / b);
}

double spec_roofline_us(const RooflinePoint& point) {
  return std::max(point.flop_us, point.byte_us);
}

double mape_of(const FittedRoofline& model, std::span<const RooflinePoint> points) {
  double sum = 0;
  for (const RooflinePoint& point : points) sum += absolute_percentage_error(model.predict_us(point), point.measured_us);
  return sum / static_cast<double>(points.size());
}

std::optional<FittedRoofline> fit_roofline(std::span<const RooflinePoint> points) {
  if (points.empty()) return std::nullopt;
  const auto by_time = [](const RooflinePoint& l, const RooflinePoint& r) { return l.measured_us < r.measured_us; };
  const double smallest = std::min_element(points.begin(), points.end(), by_time)->measured_us;
  const double log_low = std::log(kLeastRate), log_high = std::log(kMostRate);
  Window window{{kMostShare / 2, (log_low + log_high) / 2, (log_low + log_high) / 2},
                {kMostShare / 2, (log_high - log_low) / 2, (log_high - log_low) / 2}};
  window.centre = search(window, kCoarseSteps / 2, smallest, thinned(points));
  for (double& reach : window.reach) reach /= kCoarseSteps / 4.0;
  for (int round = 0; round < kFineRounds; ++round) {
    window.centre = search(window, kFineSteps, smallest, points);
    for (double& reach : window.reach) reach *= 0.5;
  }
  return model_at(window.centre, smallest);
}

}  // namespace attnsim
