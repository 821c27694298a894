// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/process.h"

using namespace attnsim::test;
using Json = nlohmann::json;

namespace {

const std::string kToy = "'" + shipped("workloads/configs/toy.json").string() + "'";

Json workload(const Json& report, const std::string& name) {
  for (const Json& entry : report.at("workloads"))
    if (entry.at("result").at("workload") == name) return entry;
  throw std::runtime_error("no workload " + name);
}

double rung_us(const Json& result, const std::string& rung) {
  for (const Json& entry : result.at("ladder"))
    if (entry.at("rung") == rung) return entry.at("time_us").get<double>();
  throw std::runtime_error("no rung " + rung);
}

}  // namespace

TEST_CASE("run prints the ladder, promise and bound, bottleneck, standing and baseline of every workload within 100 columns") {
  const Workspace workspace;
  const Finished finished = workspace.attnsim("run " + kToy);
  INFO(finished.out << finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.err.empty());
  for (const char* part :
       {"causal-512", "window-128", "decode-2x1000", "flops", "roofline", "tile", "schedule", "simulated", "promise", "bound", "bottleneck",
        "standing", "unvalidated: no row for this family and chip", "baseline", "dense", "toy-sm80"})
    CHECK(finished.out.find(part) != std::string::npos);
  std::istringstream lines(finished.out);
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK(line.size() <= 100);
  }
}

TEST_CASE("the flops rung of the toy run is the kept pairs over the tensor peak") {
  const Workspace workspace;
  const Json report = Json::parse(workspace.attnsim("run --json " + kToy).out);
  // toy-sm80: 4 SMs x 1024 FLOP/clk x 1000 MHz; QK^T and PV: 4 FLOPs per kept pair and element of head_dim 64; 4 heads
  const double flop_per_us = 4.0 * 1024 * 1000;
  const double causal_pairs = 512.0 * 513 / 2;
  const double window_pairs = 128.0 * 129 / 2 + (512.0 - 128) * 128;
  const double decode_pairs = 1000.0 + 777;
  const double flops_per_pair = 4.0 * 64 * 4;
  CHECK(rung_us(workload(report, "causal-512")["result"], "flops") == Approx(causal_pairs * flops_per_pair / flop_per_us).epsilon(1e-6));
  CHECK(rung_us(workload(report, "window-128")["result"], "flops") == Approx(window_pairs * flops_per_pair / flop_per_us).epsilon(1e-6));
  CHECK(rung_us(workload(report, "decode-2x1000")["result"], "flops") == Approx(decode_pairs * flops_per_pair / flop_per_us).epsilon(1e-6));
}

TEST_CASE("every rung is at least the one below, promise and bound are the quotients that they claim to be") {
  const Workspace workspace;
  const Json report = Json::parse(workspace.attnsim("run --json " + kToy).out);
  for (const Json& entry : report["workloads"]) {
    double below = 0;
    for (const Json& rung : entry["result"]["ladder"]) {
      CHECK(rung["time_us"].get<double>() >= below * (1 - 1e-12));
      below = rung["time_us"];
    }
    const double best = rung_us(entry["baseline"], "simulated");
    for (const Json& speedup : entry["speedups"]) {
      if (speedup["promise"].is_null()) continue;
      const double time = rung_us(entry["result"], speedup["rung"]);
      CHECK(speedup["promise"].get<double>() == Approx(rung_us(entry["baseline"], speedup["rung"]) / time));
      CHECK(speedup["bound"].get<double>() == Approx(best / time));
    }
  }
}

TEST_CASE("running again adds nothing, and --jobs changes neither report nor results") {
  const Workspace workspace;
  const Finished first = workspace.attnsim("run " + kToy + " --db a.sqlite --jobs 1");
  REQUIRE(first.exit_code == 0);
  CHECK(first.out.find(" 0 results added") == std::string::npos);
  const std::string dump = workspace.attnsim("dump --canonical --db a.sqlite").out;
  CHECK(dump.find("causal-512") != std::string::npos);
  const Finished second = workspace.attnsim("run " + kToy + " --db a.sqlite --jobs 3");
  CHECK(second.out.find(" 0 results added") != std::string::npos);
  CHECK(workspace.attnsim("dump --canonical --db a.sqlite").out == dump);
  REQUIRE(workspace.attnsim("run " + kToy + " --db b.sqlite --jobs 3").exit_code == 0);
  CHECK(workspace.attnsim("dump --canonical --db b.sqlite").out == dump);
}

TEST_CASE("an override of a chip figure changes the bound that it sets") {
  const Workspace workspace;
  const auto roofline = [&](double gb_per_s) {
    const Json config = {{"chip", {{"name", "toy-sm80"}, {"overrides", {{"hbm.bandwidth_gb_per_s", gb_per_s}}}}},
                         {"workloads",
                          {{{"name", "w"},
                            {"variant", "causal"},
                            {"shape", {{"q_heads", 1}, {"q_len", 1}, {"kv_len", 65536}, {"head_dim", 128}}},
                            {"dtype", "f16"}}}}};
    (void)workspace.write("c.json", config.dump());
    const Finished finished = workspace.attnsim("run c.json --json");
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    return rung_us(workload(Json::parse(finished.out), "w")["result"], "roofline");
  };
  // K and V: 2 x 65536 x 128 x 2 bytes; twice the bandwidth, half the time
  const double bytes = 2.0 * 65536 * 128 * 2;
  const double slow = roofline(50);  // L2 passes 128 GB/s: HBM binds at 50 and at 100
  CHECK(slow == Approx(bytes / (50 * 1e3)).epsilon(1e-3));
  CHECK(roofline(100) == Approx(slow / 2).epsilon(1e-3));
}

TEST_CASE("best is never slower than auto, and a named workload can be the baseline") {
  const Workspace workspace;
  const std::string shape = R"("shape": {"q_heads": 2, "q_len": 256, "head_dim": 64}, "dtype": "f16")";
  (void)workspace.write("c.json", R"({"chip": "toy-sm80", "baseline": "a", "workloads": [
    {"name": "a", "variant": "causal", "schedule": "auto", )" +
                                      shape + R"(},
    {"name": "b", "variant": "causal", "schedule": "best", )" +
                                      shape + "}]}");
  const Finished finished = workspace.attnsim("run c.json --json");
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const Json report = Json::parse(finished.out);
  const double automatic = rung_us(workload(report, "a")["result"], "simulated");
  CHECK(rung_us(workload(report, "b")["result"], "simulated") <= automatic);
  CHECK(rung_us(workload(report, "b")["baseline"], "simulated") == automatic);
}

TEST_CASE("explain prints a waterfall whose losses sum to the simulated time, and every resource's reasons sum to one") {
  const Workspace workspace;
  const Finished text = workspace.attnsim("explain " + kToy);
  REQUIRE(text.exit_code == 0);
  CHECK(text.out.find("idle because of") != std::string::npos);
  const Json report = Json::parse(workspace.attnsim("explain --json " + kToy).out);
  for (const Json& entry : report["workloads"]) {
    double sum = 0;
    for (const Json& loss : entry["waterfall"]) sum += loss["loss_us"].get<double>();
    CHECK(sum == Approx(rung_us(entry["result"], "simulated")));
    for (const Json& kernel : entry["result"]["kernels"]) {
      for (const Json& use : kernel["resources"]) {
        double whole = use["busy_fraction"];
        for (const Json& idle : use["idle_fraction"]) whole += idle.get<double>();
        INFO(use.dump());
        CHECK(whole == Approx(1).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("graph prints Graphviz text and program the text form, one per workload") {
  const Workspace workspace;
  const Finished graph = workspace.attnsim("graph " + kToy);
  INFO(graph.err);
  REQUIRE(graph.exit_code == 0);
  std::size_t graphs = 0;
  for (std::size_t at = graph.out.find("digraph"); at != std::string::npos; at = graph.out.find("digraph", at + 1)) ++graphs;
  CHECK(graphs == 3);
  const Finished program = workspace.attnsim("program " + kToy);
  REQUIRE(program.exit_code == 0);
  CHECK(program.out.find("softmax") != std::string::npos);
}

TEST_CASE("a model that can't go on ends with code 3 or runs, and never ends with code 4") {
  const Workspace workspace;
  (void)workspace.write("c.json", R"({"chip": "toy-sm90", "workloads": [
    {"variant": "sliding-window", "shape": {"q_heads": 1, "q_len": 1, "kv_len": 1, "head_dim": 1}, "params": {"left": 0}, "dtype": "f16"},
    {"name": "tall", "variant": "dense", "shape": {"q_heads": 1, "q_len": 1000, "kv_len": 1, "head_dim": 256}, "dtype": "f16"},
    {"name": "masked-out", "variant": "causal", "shape": {"q_heads": 1, "q_len": 300, "kv_len": 100, "head_dim": 64}, "dtype": "f16"}]})");
  const Finished finished = workspace.attnsim("run c.json");
  INFO(finished.err);
  CHECK((finished.exit_code == 0 || finished.exit_code == 3));
}
