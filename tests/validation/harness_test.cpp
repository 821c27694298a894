// SPDX-License-Identifier: Apache-2.0
#include "workloads/harness.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/core/json_reader.h"
#include "workloads/kernel_map.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

std::string harness_error(const std::string& text) {
  try {
    (void)parse_harness(parse_json(text, "harness.json"));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every shipped harness loads under its own name and fits at most four members") {
  const std::vector<std::string> names = harness_names();
  REQUIRE_FALSE(names.empty());
  for (const std::string& name : names) {
    const Harness harness = load_harness(name);
    CHECK(harness.name == name);
    CHECK_FALSE(harness.description.empty());
    CHECK_FALSE(harness.source.empty());
    CHECK(harness.fitted.size() <= 4);
    CHECK(harness.conditions.extra_kernels.empty());
  }
}

TEST_CASE("dirty lines are for a cold L2") {
  CHECK(load_harness("benchmark-cold").conditions.l2_dirty == 0.5);
  CHECK(load_harness("ncu-kernel").conditions.l2_dirty == 0);
  const std::string text = R"({"name": "x", "clock": {"policy": "boost"}, "l2_start": "warm", "l2_dirty": 0.5})";
  CHECK_THAT(harness_error(text), Contains("/l2_dirty") && Contains("has no meaning with a warm L2"));
  CHECK_THAT(harness_error(R"({"name": "x", "clock": {"policy": "boost"}, "l2_start": "cold", "l2_dirty": 1.5})"), Contains("/l2_dirty"));
}

TEST_CASE("every harness that a kernel map names is shipped") {
  const std::vector<std::string> names = harness_names();
  const KernelMaps maps = KernelMaps::load();
  for (const KernelMapEntry& entry : maps.entries()) {
    if (entry.schedule.empty()) continue;
    INFO(entry.place << " " << entry.harness);
    CHECK(std::find(names.begin(), names.end(), entry.harness) != names.end());
  }
}

TEST_CASE("replays of prefill and decode contain the KV-cache write, encoder calls do not") {
  const Harness harness = load_harness("vllm-replay-h100");
  CHECK(harness.for_phase("prefill").extra_kernels == std::vector<ExtraKernel>{ExtraKernel::kv_cache_write});
  CHECK(harness.for_phase("decode").extra_kernels.size() == 1);
  CHECK(harness.for_phase("encoder").extra_kernels.empty());
  CHECK(harness.conditions.l2 == L2Start::warm);
  CHECK(harness.conditions.clock == ClockPolicy::sustained);
}

TEST_CASE("the locked harness has a clock, a cold cache and no constant") {
  const Harness harness = load_harness("ncu-locked-1500");
  CHECK(harness.conditions.clock == ClockPolicy::locked);
  CHECK(harness.conditions.locked_mhz == 1500);
  CHECK(harness.conditions.l2 == L2Start::cold);
  CHECK(harness.conditions.constant_us == 0);
  CHECK(harness.fitted.empty());
}

TEST_CASE("an unknown harness is refused with the nearest name") {
  CHECK_THROWS_WITH(load_harness("vllm-replay-h10"), Contains("vllm-replay-h10") && Contains("nearest: \"vllm-replay-h100\""));
}

TEST_CASE("a malformed harness is refused with file, pointer and what is allowed") {
  const std::string good = R"({"name": "n", "clock": {"policy": "boost"}, "l2_start": "cold")";
  REQUIRE(harness_error(good + "}").empty());
  CHECK_THAT(harness_error(R"({"name": "n", "l2_start": "cold"})"), Contains("harness.json: /clock") && Contains("missing"));
  CHECK_THAT(harness_error(R"({"name": "n", "clock": {"policy": "fast"}, "l2_start": "cold"})"),
             Contains("/clock/policy") && Contains("sustained"));
  CHECK_THAT(harness_error(R"({"name": "n", "clock": {"policy": "locked"}, "l2_start": "cold"})"), Contains("/clock/locked_mhz"));
  CHECK_THAT(harness_error(R"({"name": "n", "clock": {"policy": "locked", "locked_mhz": 1.5e9}, "l2_start": "cold"})"),
             Contains("/clock/locked_mhz"));
  CHECK_THAT(harness_error(R"({"name": "n", "clock": {"policy": "boost", "locked_mhz": 1500}, "l2_start": "cold"})"),
             Contains("/clock/locked_mhz"));
  CHECK_THAT(harness_error(good + R"(, "constant_us": -1})"), Contains("/constant_us"));
  CHECK_THAT(harness_error(good + R"(, "operand_sets": 6})"), Contains("/operand_sets") && Contains("warm"));
  CHECK_THAT(harness_error(good + R"(, "constant_ms": 1})"), Contains("constant_ms") && Contains("constant_us"));
  CHECK_THAT(harness_error(good + R"(, "kv_cache_write_phases": ["prefil"]})"), Contains("prefil") && Contains("nearest: \"prefill\""));
  CHECK_THAT(harness_error(good + R"(, "fitted": ["clock"]})"), Contains("/fitted"));
  CHECK_THAT(harness_error(good + R"(, "fitted": "constant_us"})"), Contains("/fitted"));
  CHECK_THAT(harness_error(good + R"(, "include_launch": 1})"), Contains("/include_launch"));
  CHECK_THAT(harness_error(good + R"(, "launches": "grap"})"), Contains("/launches") && Contains("nearest: \"graph\""));
}

TEST_CASE("a loop that keeps gradients has the kernels that add them up in its backward rows alone") {
  const Harness harness = load_harness("autograd-cold");
  CHECK(harness.for_phase("bwd").extra_kernels == std::vector<ExtraKernel>{ExtraKernel::add_gradients});
  CHECK(harness.for_phase("fwd").extra_kernels.empty());
}
