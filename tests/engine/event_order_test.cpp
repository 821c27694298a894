// SPDX-License-Identifier: Apache-2.0
// SMs may run ahead of each other (machine_core.h): what comes out is what strict order of time gives, which a listener is told.
#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/engine/engine.h"
#include "sim/engine/machine_state.h"
#include "tests/agreement/corpus.h"
#include "tests/support/draw.h"

using namespace attnsim;

TEST_CASE("products of several agents share a matrix unit equally, those of one follow each other") {
  const auto ends = [](machine::SharedProducts& products) {
    std::vector<std::int64_t> ticks(4, 0);
    products.project([&](std::int64_t id, std::int64_t tick) { ticks[static_cast<std::size_t>(id)] = tick; });
    return ticks;
  };
  machine::SharedProducts products;
  products.advance(1000);
  products.add({0, 7, 100});
  CHECK(ends(products)[0] == 1100);
  products.advance(1050);
  products.add({1, 8, 100});  // half of 0 is left: both run at half rate until it is through
  CHECK(ends(products) == std::vector<std::int64_t>{1150, 1200, 0, 0});
  products.add({2, 7, 30});  // after 0, beside what is left of 1
  CHECK(ends(products) == std::vector<std::int64_t>{1150, 1230, 1210, 0});
  products.advance(1155);  // an odd tick is lost to nobody
  products.add({3, 9, 300});
  const std::vector<std::int64_t> last = ends(products);
  CHECK(last[3] == 1050 + 50 + 100 + 30 + 300);
  products.advance(2000);
  CHECK(ends(products) == std::vector<std::int64_t>(4, 0));
}

TEST_CASE("the earliest SM is that of a search through all, and safe ticks are those before any other") {
  constexpr int kSms = 11;
  test::Draw draw(5);
  machine::EarliestSm tree(kSms);
  std::vector<std::int64_t> times(kSms, INT64_MAX);
  for (int i = 0; i < 2000; ++i) {
    const auto sm = static_cast<std::size_t>(draw.integer(0, kSms - 1));
    times[sm] = draw.chance(0.2) ? INT64_MAX : draw.integer(0, 20);
    tree.set(static_cast<int>(sm), times[sm]);
    const auto first = std::min_element(times.begin(), times.end());  // the first of equal ones
    REQUIRE(tree.time() == *first);
    if (*first == INT64_MAX) continue;
    std::int64_t last_safe = 0;
    REQUIRE(tree.first(last_safe) == first - times.begin());
    std::int64_t expected = INT64_MAX;
    for (auto other = times.begin(); other != times.end(); ++other) {
      if (other != first && *other != INT64_MAX) expected = std::min(expected, other < first ? *other - 1 : *other);
    }
    CHECK(last_safe == expected);
  }
}

TEST_CASE("SMs that run ahead give what strict order of time gives") {
  EngineListener nobody;
  for (std::uint64_t seed = 100; seed < 130; ++seed) {
    const test::Sample sample = test::draw_sample(seed);
    INFO("seed " << seed << ": " << sample.text);
    EngineOptions options{.kind = EngineKind::detailed};
    const Simulation ahead = simulate(sample.pipeline, sample.chip, sample.conditions, options);
    options.listener = &nobody;
    const Simulation strict = simulate(sample.pipeline, sample.chip, sample.conditions, options);
    CHECK(ahead.time_us == strict.time_us);
    for (std::size_t k = 0; k < ahead.kernels.size(); ++k) {
      CHECK(ahead.kernels[k].counts.hbm_bytes == strict.kernels[k].counts.hbm_bytes);
      CHECK(ahead.kernels[k].counts.tensor_flops == strict.kernels[k].counts.tensor_flops);
    }
  }
}
