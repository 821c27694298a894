// SPDX-License-Identifier: Apache-2.0
// How far `fast` is from `detailed` on the corpus of tests/agreement: the figures that are reached, as docs/engine.md states them.
// agreement_corpus 0 2000 prints them for the whole corpus.
#include <catch2/catch.hpp>

#include "tests/agreement/compare.h"

using namespace attnsim::test;

TEST_CASE("fast stays as close to detailed on random kernels as the documentation says") {
  constexpr std::uint64_t kSamples = 60;
  std::vector<double> time;
  std::vector<double> hits;
  std::size_t fallbacks = 0;
  for (std::uint64_t seed = 0; seed < kSamples; ++seed) {
    const Agreement row = compare(seed);
    time.push_back(100 * row.error);
    hits.push_back(row.hit_points);
    fallbacks += row.fell_back ? 1 : 0;
    INFO("seed " << seed << ": " << row.text << ", " << 100 * row.error << " %, " << row.hit_points << " points");
    CHECK(std::abs(100 * row.error) <= 70);
  }
  const Spread t = spread_of(time);
  const Spread h = spread_of(hits);
  CHECK(std::abs(t.mean) <= 3);
  CHECK(t.p50 <= 1.5);
  CHECK(t.p90 <= 7);
  CHECK(h.p50 <= 0.2);
  CHECK(h.p90 <= 6);
  CHECK(fallbacks * 50 <= kSamples);  // 2 %
}

TEST_CASE("the percentiles of the comparison are those of the magnitudes") {
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i) values.push_back(i % 2 == 0 ? i : -i);  // magnitudes 0 .. 100
  const Spread s = spread_of(values);
  CHECK(s.count == 101);
  CHECK(s.p50 == 50);
  CHECK(s.p90 == 90);
  CHECK(s.p99 == 99);
  CHECK(s.worst == 100);
  CHECK(s.mean == Approx((2550.0 - 2500.0) / 101));  // even numbers to 100 less odd ones to 99
}
