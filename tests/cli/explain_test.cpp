// SPDX-License-Identifier: Apache-2.0
// `explain`, `--without` and `--measured` as a user calls them.
#include <catch2/catch.hpp>
#include <cmath>

#include "sim/core/json_reader.h"
#include "tests/cli/process.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

Finished command(const std::string& verb, const std::string& options) {
  return Workspace().attnsim(verb + " '" + shipped("workloads/configs/toy.json").string() + "' --quiet " + options);
}

Json explain(const std::string& options) {
  const Finished run = command("explain", "--json " + options);
  INFO(run.err);
  REQUIRE(run.exit_code == 0);
  return Json::parse(run.out);
}

}  // namespace

TEST_CASE("explain's JSON has reasons, critical sequence, counters and what would help for every workload") {
  const Json document = explain("");
  for (const Json& workload : document["workloads"]) {
    const Json& why = workload["explanation"];
    CHECK_FALSE(why["what_would_help"]["chip"].empty());
    CHECK(why["critical"].size() == workload["result"]["kernels"].size());
    for (const Json& sequence : why["critical"]) {
      double sum = 0;
      for (const Json& part : sequence["parts"]) sum += part["share"].get<double>();
      CHECK(sum == Approx(1));
    }
    for (const Json& kernel : workload["result"]["kernels"]) {
      for (const Json& use : kernel["resources"]) {
        double sum = use["busy_fraction"].get<double>();
        for (const Json& idle : use["idle_fraction"]) sum += idle.get<double>();
        CHECK(sum == Approx(1).epsilon(1e-6));
      }
    }
    for (const Json& list : workload["kernel_counters"]) {
      for (const Json& counter : list) CHECK(counter.contains("unit"));
    }
  }
}

TEST_CASE("explain --brief leaves out what would help") {
  const Json document = explain("--brief");
  for (const Json& workload : document.at("workloads")) CHECK_FALSE(workload["explanation"].contains("what_would_help"));
}

TEST_CASE("explain --measured ranks what would explain the time, nearest first") {
  const Json document = explain("--brief --workload causal-512 --measured 0.1ms");
  REQUIRE(document["workloads"].size() == 1);
  const Json& measured = document["workloads"][0]["explanation"]["measured"];
  CHECK(measured["measured_us"] == 100);
  CHECK_FALSE(measured["suspects"].empty());
  double before = 0;
  for (const Json& suspect : measured["suspects"]) {
    const double distance = std::abs(suspect["time_us"].get<double>() - 100);
    CHECK(distance >= before);
    before = distance;
  }
}

TEST_CASE("explain --without switches effects off in run and explain") {
  const auto time_of = [](const std::string& options) {
    const Finished run = command("run", "--json " + options);
    REQUIRE(run.exit_code == 0);
    return Json::parse(run.out)["workloads"][0]["result"]["metrics"]["time_simulated_us"].get<double>();
  };
  const double with = time_of("");
  CHECK(time_of("--without launch") == Approx(with - 1));  // toy-sm80: 1 us
  CHECK(time_of("--without launch,dependent_latency") < with - 1);
  CHECK(command("explain", "--brief --without launch").out.find("without launch") != std::string::npos);
}

TEST_CASE("a wrong effect, time or workload is one clear error with the nearest name, exit code 2") {
  const auto fails = [](const std::string& options, const std::string& expected) {
    const Finished run = command("explain", "--brief " + options);
    INFO(run.err);
    CHECK(run.exit_code == 2);
    CHECK(run.err.find(expected) != std::string::npos);
  };
  fails("--without clok", "nearest: \"clock\"");
  fails("--without clock,l2_hit", "nearest: \"l2_hits\"");
  fails("--measured fast", "is no time");
  fails("--workload causal-512 --measured 10min", "is no time");
  fails("--workload causal-512 --measured -3us", "is no time");
  fails("--measured 100us", "needs --workload");
  fails("--workload causal-51", "nearest: \"causal-512\"");
}

TEST_CASE("a sweep without an effect is another sweep than one with it") {
  const Workspace workspace;
  const std::string run = shipped("workloads/configs/toy.json").string();
  const std::string sweep = workspace.write("sweep.json", R"({"run": ")" + run + R"(", "grid": {"chip.sm.count": [4]}})");
  const auto identity_of = [&](const std::string& options) {
    const Finished finished = workspace.attnsim("sweep '" + sweep + "' --quiet --json --db a.sqlite " + options);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    return Json::parse(finished.out)["sweep"].get<std::string>();
  };
  CHECK(identity_of("--without clock,waves") != identity_of(""));
  CHECK(workspace.attnsim("sweep '" + sweep + "' --quiet --without wave").exit_code == 2);
}
