// SPDX-License-Identifier: Apache-2.0
#include "validation/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

using namespace attnsim;

namespace {

// The definition, pair by pair.
std::optional<double> tau_b_by_pairs(const std::vector<double>& x, const std::vector<double>& y) {
  double score = 0, x_pairs = 0, y_pairs = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double dx = x[i] < x[j] ? -1 : x[i] > x[j] ? 1 : 0;
      const double dy = y[i] < y[j] ? -1 : y[i] > y[j] ? 1 : 0;
      score += dx * dy;
      x_pairs += dx * dx;
      y_pairs += dy * dy;
    }
  }
  if (x_pairs == 0 || y_pairs == 0) return std::nullopt;
  return score / std::sqrt(x_pairs * y_pairs);
}

}  // namespace

TEST_CASE("tau-b equals the count over all pairs, with and without ties") {
  std::mt19937 random(7);
  const unsigned distinct = GENERATE(1U, 2U, 4U, 50U, 100000U);
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<double> x(n), y(n);
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = static_cast<double>(random() % distinct);
      y[i] = static_cast<double>(random() % distinct);
    }
    const auto expected = n < 2 ? std::nullopt : tau_b_by_pairs(x, y);
    const auto tau = kendall_tau_b(x, y);
    INFO("n " << n);
    REQUIRE(tau.has_value() == expected.has_value());
    if (tau) REQUIRE(*tau == Approx(*expected).margin(1e-12));
  }
}

TEST_CASE("tau-b is 1 for the same order and -1 for the opposite") {
  const std::vector<double> x{1, 2, 3, 4}, y{10, 20, 30, 40}, z{4, 3, 2, 1};
  CHECK(*kendall_tau_b(x, y) == 1.0);
  CHECK(*kendall_tau_b(x, z) == -1.0);
}

TEST_CASE("errors of four rows by hand") {
  // Signed errors: +10, -20, 0, unmapped.
  const std::vector<Timing> rows{{100, 110.0}, {50, 40.0}, {10, 10.0}, {7, std::nullopt}};
  const ErrorSummary s = summarise(rows);
  CHECK(s.rows == 4);
  CHECK(s.unmapped == 1);
  CHECK(*s.mape == Approx((10.0 + 20.0 + 0.0 + 100.0) / 4));
  CHECK(*s.median_ape == Approx(10.0));
  CHECK(*s.p90_ape == Approx(10.0 + 0.8 * (20.0 - 10.0)));  // rank 0.9 x 2 of 0, 10, 20
  CHECK(*s.max_ape == Approx(20.0));
  CHECK(*s.bias == Approx((10.0 - 20.0 + 0.0) / 3));
  CHECK(*s.kendall_tau == Approx(1.0));
}

TEST_CASE("what is not defined is absent") {
  const ErrorSummary none = summarise({});
  CHECK(none.rows == 0);
  CHECK_FALSE(none.mape);
  CHECK_FALSE(none.kendall_tau);
  const std::vector<Timing> unmapped{{7, std::nullopt}};
  const ErrorSummary s = summarise(unmapped);
  CHECK(*s.mape == 100.0);
  CHECK_FALSE(s.median_ape);
  CHECK_FALSE(s.bias);
  const std::vector<Timing> single{{5, 6.0}};
  CHECK_FALSE(summarise(single).kendall_tau);
}
