// SPDX-License-Identifier: Apache-2.0
#include "validation/roofline_fit.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

using namespace attnsim;

namespace {

std::vector<RooflinePoint> planted(const FittedRoofline& truth) {
  std::vector<RooflinePoint> points;
  for (int i = 0; i < 12; ++i) {
    for (int j = 0; j < 12; ++j) {
      RooflinePoint point{0.5 * std::pow(2.0, i), 0.5 * std::pow(2.0, j), 0};
      point.measured_us = truth.predict_us(point);
      points.push_back(point);
    }
  }
  return points;
}

}  // namespace

TEST_CASE("the grid search finds planted parameters") {
  const FittedRoofline truth = GENERATE(FittedRoofline{6.0, 0.55, 0.8}, FittedRoofline{0.5, 0.9, 0.3}, FittedRoofline{14.0, 0.2, 0.95});
  const std::vector<RooflinePoint> points = planted(truth);
  const auto fit = fit_roofline(points);
  REQUIRE(fit);
  CHECK(mape_of(*fit, points) < 1.5);
  CHECK(fit->t0_us == Approx(truth.t0_us).epsilon(0.05));
  CHECK(fit->a == Approx(truth.a).epsilon(0.03));
  CHECK(fit->b == Approx(truth.b).epsilon(0.03));
}

TEST_CASE("a fit is never worse than the roofline of the data sheet") {
  std::vector<RooflinePoint> points = planted({3.0, 0.4, 0.7});
  for (std::size_t i = 0; i < points.size(); ++i) points[i].measured_us *= i % 2 == 0 ? 1.2 : 0.9;
  CHECK(mape_of(*fit_roofline(points), points) < mape_of({0, 1, 1}, points));
}

TEST_CASE("without points there is no fit, and one point is met") {
  CHECK_FALSE(fit_roofline({}));
  const std::vector<RooflinePoint> one{{3, 5, 20}};
  CHECK(mape_of(*fit_roofline(one), one) < 0.5);
}
