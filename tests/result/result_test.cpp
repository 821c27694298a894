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

TEST_CASE("counters carry the names and units of ncu, each once, and are absent where nothing is known") {
  std::set<std::string_view> names;
  for (const CounterInfo& counter : counters()) {
    CHECK(names.insert(counter.name).second);
    CHECK_FALSE(counter.unit.empty());
    CHECK_FALSE(counter.description.empty());
    const double value = counter.get(KernelResult{});
    INFO(counter.name);
    CHECK((std::isnan(value) || value == 0));
  }
}

TEST_CASE("counters follow from a kernel's counts: 32 lanes a warp, 32 bytes a sector, shares in per cent") {
  KernelResult k;
  k.time_us = 2;
  k.cycles = 3000;
  k.ctas = 264;
  k.ctas_per_sm = 2;
  k.resident_ctas = 1.5;
  k.launch = {8, 168, 1024, 64, 132};
  k.l2_hit_rate = 0.75;
  k.counts.warp_instructions = 77;
  k.counts.sfu_ops = 640;
  k.counts.l2_bytes = 6400;
  k.l2_written_bytes = 1400;
  k.counts.hbm_bytes = 500;
  k.hbm_written_bytes = 200;
  k.resources = {{Resource::tensor, 0.6, {}}, {Resource::issue, 0.7, {}}, {Resource::hbm, 0.2, {}}, {Resource::smem, 0.4, {}}};
  const auto counter = [&](const std::string& name) {
    for (const CounterInfo& c : counters())
      if (c.name == name) return c.get(k);
    FAIL("no counter " << name);
    return 0.0;
  };
  CHECK(counter("gpu__time_duration.sum") == 2000);  // ns
  CHECK(counter("sm__inst_executed.sum") == 77);
  CHECK(counter("smsp__inst_executed_pipe_xu.sum") == 640 / 32);
  CHECK(counter("lts__t_sectors.sum") == 6400 / 32);
  CHECK(counter("l1tex__m_xbar2l1tex_read_bytes.sum") == 5000);
  CHECK(counter("dram__bytes_read.sum") == 300);
  CHECK(counter("dram__bytes_write.sum") == 200);
  CHECK(counter("lts__t_sector_hit_rate.pct") == 75);
  CHECK(counter("sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed") == Approx(60));
  CHECK(counter("sm__throughput.avg.pct_of_peak_sustained_elapsed") == Approx(70));
  CHECK(counter("gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed") == Approx(40));
  CHECK(counter("sm__warps_active.avg.pct_of_peak_sustained_active") == Approx(100 * 1.5 * 8 / 64));
  CHECK(counter("sm__maximum_warps_per_active_cycle_pct") == Approx(100 * 2.0 * 8 / 64));
  CHECK(counter("launch__waves_per_multiprocessor") == 1);
  CHECK(counter("launch__block_size") == 256);
}
