// SPDX-License-Identifier: Apache-2.0
#include "sim/result/result.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "sim/result/compare.h"
#include "sim/result/conditions.h"

using namespace attnsim;

namespace {

double metric(const Result& r, std::string_view name) {
  for (const MetricInfo& m : metrics()) {
    if (m.name == name) return m.get(r);
  }
  FAIL("no metric " << name);
  return 0;
}

}  // namespace

TEST_CASE("rungs stand in ladder order, each at its own place") {
  REQUIRE(rungs().size() == kRungCount);
  for (std::size_t i = 0; i < kRungCount; ++i) CHECK(static_cast<std::size_t>(rungs()[i].rung) == i);
  CHECK(rungs()[0].name == "flops");
  CHECK(rungs()[4].name == "simulated");
}

TEST_CASE("names of resources, metrics and effects are unique and described") {
  std::set<std::string_view> resources, names, effect_names;
  for (std::size_t i = 0; i < kResourceCount; ++i) resources.insert(name_of(static_cast<Resource>(i)));
  CHECK(resources.size() == kResourceCount);
  for (const MetricInfo& m : metrics()) {
    CHECK(names.insert(m.name).second);
    CHECK_FALSE(m.unit.empty());
    CHECK_FALSE(m.description.empty());
  }
  for (const Effect& e : effects()) {
    CHECK(effect_names.insert(e.name).second);
    CHECK(e.description.rfind("off: ", 0) == 0);
  }
}

TEST_CASE("metrics of an empty result are zero or absent, never infinite") {
  for (const MetricInfo& m : metrics()) {
    INFO(m.name);
    const double value = m.get(Result{});
    CHECK((std::isnan(value) || value == 0));
  }
}

TEST_CASE("a loss is the difference of neighbours, and the busy share weighs kernels by their time") {
  Result r;
  r.ladder.time_us = {10.0, 20.0, 40.0, 50.0, 80.0, std::nullopt};
  r.counts.tensor_flops = 8e12;
  r.counts.hbm_bytes = 2e9;
  KernelResult long_kernel, short_kernel;
  long_kernel.time_us = 30;
  long_kernel.resources = {{Resource::tensor, 0.5, {}}};
  short_kernel.time_us = 10;
  short_kernel.resources = {{Resource::tensor, 0.1, {}}};
  r.kernels = {long_kernel, short_kernel};
  CHECK(metric(r, "loss_tile_us") == 40 - 20);
  CHECK(metric(r, "best_time_us") == 80);
  CHECK(metric(r, "busy_tensor") == Approx((0.5 * 30 + 0.1 * 10) / 40));
  CHECK(std::isnan(metric(r, "busy_sfu")));
  CHECK(metric(r, "hbm_intensity_flop_per_b") == 4000);
  CHECK(metric(r, "tensor_tflop_per_s") == Approx(8 / 80e-6));
  CHECK(metric(r, "hbm_gb_per_s") == Approx(2 / 80e-6));
  r.ladder.time_us[5] = 70.0;
  CHECK(metric(r, "best_time_us") == 70);
}

TEST_CASE("a bound uses the baseline's measured time when there is one and its simulated time when there is none") {
  Ladder variant, baseline;
  variant.time_us = {1.0, 2.0, std::nullopt, 4.0, 5.0, std::nullopt};
  baseline.time_us = {10.0, 10.0, 10.0, 10.0, 20.0, std::nullopt};
  const Comparison simulated = compare(variant, baseline);
  CHECK_FALSE(simulated.baseline_measured);
  CHECK(simulated.promise[0] == 10.0);
  CHECK(simulated.bound[0] == 20.0);
  CHECK(simulated.bound[4] == 4.0);
  CHECK_FALSE(simulated.promise[2].has_value());
  CHECK_FALSE(simulated.bound[2].has_value());
  baseline.time_us[5] = 30.0;
  const Comparison measured = compare(variant, baseline);
  CHECK(measured.baseline_measured);
  CHECK(measured.bound[0] == 30.0);
  CHECK(measured.promise[0] == 10.0);
}
