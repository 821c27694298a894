// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/sampling.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace attnsim::bench;

TEST_CASE("median and its half width follow their formulas") {
  CHECK(median({4, 1, 3, 2}) == 2.5);
  CHECK(median({5}) == 5);
  // Quartiles of 1 ... 5 are 2 and 4: s = 2 / 1.349.
  CHECK(median_half_width({1, 2, 3, 4, 5}) == Approx(1.96 * 1.2533 * (2 / 1.349) / std::sqrt(5.0)));
  CHECK(median_half_width({7, 7, 7}) == 0);
}

TEST_CASE("timing stops when it is quiet enough") {
  TimingPolicy policy;
  policy.min_samples = 6;
  policy.max_samples = 100;
  policy.noise = 0.01;
  policy.seconds = 60;
  int calls = 0;
  const Timing quiet = collect(policy, [&] {
    ++calls;
    return Sample{100.0 + calls % 2, false};
  });
  CHECK(quiet.sample_us.size() == 6);
  calls = 0;
  const Timing loud = collect(policy, [&] { return Sample{calls++ % 2 == 0 ? 100.0 : 300.0, false}; });
  CHECK(loud.sample_us.size() == 100);
}

TEST_CASE("disturbed samples are dropped and counted") {
  TimingPolicy policy;
  policy.min_samples = 5;
  policy.max_samples = 5;
  policy.seconds = 60;
  int calls = 0;
  const Timing timing = collect(policy, [&] { return calls++ % 2 == 0 ? Sample{900, true} : Sample{100, false}; });
  CHECK(timing.sample_us == std::vector<double>(5, 100.0));
  CHECK(timing.throttled == 5);
}

TEST_CASE("without an undisturbed sample the faster half stands in") {
  TimingPolicy policy;
  policy.seconds = 0;
  int calls = 0;
  const Timing timing = collect(policy, [&] { return Sample{300.0 - 50 * calls++, true}; });
  CHECK(timing.sample_us == std::vector<double>{200, 250});
}
