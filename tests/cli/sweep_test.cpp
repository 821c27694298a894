// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "sim/store/store.h"
#include "tests/cli/process.h"

using namespace attnsim::test;
using Json = nlohmann::json;

namespace {

constexpr const char* kRun = R"({"chip": "toy-sm80", "workloads": [
  {"name": "w", "variant": "causal", "schedule": "fa2-sm80", "shape": {"q_heads": 4, "q_len": 1024, "head_dim": 64}, "dtype": "f16"}],
  "baseline": {"variant": "dense", "schedule": "fa2-sm80"}})";

// `points` values of HBM bandwidth.
std::string grid_of(int points) {
  Json values = Json::array();
  for (int i = 0; i < points; ++i) values.push_back(50 + i);
  return Json{{"run", "run.json"}, {"grid", {{"chip.hbm.bandwidth_gb_per_s", values}}}}.dump();
}

std::size_t stored_points(const std::filesystem::path& database) {
  const attnsim::Store store(database, attnsim::Access::existing);
  const std::string dump = store.dump_canonical();
  const std::string point = R"({"chip.hbm.bandwidth_gb_per_s":)";  // the stored grid itself goes on with '['
  std::size_t points = 0;
  for (std::size_t at = dump.find(point); at != std::string::npos; at = dump.find(point, at + 1)) points += dump[at + point.size()] != '[';
  return points;
}

}  // namespace

TEST_CASE("a sweep computes every point of the grid once, whatever the number of threads") {
  const Workspace workspace;
  (void)workspace.write("run.json", kRun);
  (void)workspace.write("sweep.json", grid_of(6));
  const Finished one = workspace.attnsim("sweep sweep.json --db one.sqlite --jobs 1 --json");
  INFO(one.err);
  REQUIRE(one.exit_code == 0);
  const Json report = Json::parse(one.out);
  CHECK(report["points"] == 6);
  CHECK(report["computed"] == 6);
  CHECK(report["failed"] == 0);
  REQUIRE(workspace.attnsim("sweep sweep.json --db many.sqlite --jobs 4").exit_code == 0);
  const std::string dump = workspace.attnsim("dump --canonical --db one.sqlite").out;
  CHECK(workspace.attnsim("dump --canonical --db many.sqlite").out == dump);

  const Json again = Json::parse(workspace.attnsim("sweep sweep.json --db one.sqlite --json").out);
  CHECK(again["computed"] == 0);
  CHECK(again["skipped"] == 6);
  CHECK(workspace.attnsim("dump --canonical --db one.sqlite").out == dump);
}

TEST_CASE("a sweep that was killed goes on where it was and ends with the same results") {
  const Workspace workspace;
  (void)workspace.write("run.json", kRun);
  const int points = 240;
  const std::string sweep = workspace.write("sweep.json", grid_of(points));
  const std::filesystem::path database = workspace / "killed.sqlite";
  const pid_t process = start_attnsim({"sweep", sweep, "--db", database.string(), "--jobs", "1", "--quiet"});
  std::size_t seen = 0;
  for (int i = 0; i < 3000 && seen < 3; ++i) {
    const bool young = seen == 0;  // while the tables are being made, a reader would be in the way
    std::this_thread::sleep_for(std::chrono::milliseconds(young ? 200 : 10));
    if (!std::filesystem::exists(database)) continue;
    try {
      seen = stored_points(database);
    } catch (const std::exception&) {  // being created
    }
  }
  kill_hard(process);
  const std::size_t before = stored_points(database);
  REQUIRE(before >= 3);
  REQUIRE(before < points);

  const Finished rest = workspace.attnsim("sweep sweep.json --db killed.sqlite --jobs 2 --json");
  INFO(rest.err);
  REQUIRE(rest.exit_code == 0);
  const Json report = Json::parse(rest.out);
  CHECK(report["skipped"] == before);
  CHECK(report["computed"] == points - before);
  CHECK(stored_points(database) == points);
  REQUIRE(workspace.attnsim("sweep sweep.json --db whole.sqlite --jobs 2").exit_code == 0);
  CHECK(workspace.attnsim("dump --canonical --db killed.sqlite").out == workspace.attnsim("dump --canonical --db whole.sqlite").out);
}

TEST_CASE("a point that fails is recorded with its reason and the rest goes on") {
  const Workspace workspace;
  (void)workspace.write("run.json", kRun);
  (void)workspace.write("sweep.json", R"({"run": "run.json", "grid": {"chip.sm.count": [0, 2], "shape.kv_heads": [3, 4]}})");
  const Finished finished = workspace.attnsim("sweep sweep.json --db out.sqlite --json");
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const Json report = Json::parse(finished.out);
  CHECK(report["points"] == 4);
  CHECK(report["failed"] == 3);
  for (const Json& point : report["results"]) {
    const bool good = point["coordinates"]["chip.sm.count"] == 2 && point["coordinates"]["shape.kv_heads"] == 4;
    INFO(point.dump());
    CHECK(point.contains("result") == good);
    if (!good)
      CHECK(point["failure"].get<std::string>().find(point["coordinates"]["shape.kv_heads"] == 3 ? "kv_heads" : "sm/count") !=
            std::string::npos);
  }
}

TEST_CASE("an inline run, chip names and single workloads can be swept") {
  const Workspace workspace;
  (void)workspace.write(
      "sweep.json",
      std::string(R"({"run": )") + kRun +
          R"(, "grid": {"chip": ["toy-sm80", "toy-sm90"], "workloads.w.shape.q_len": [128, 256], "schedule": ["fa2-sm80", "fused-generic"]}})");
  const Finished finished = workspace.attnsim("sweep sweep.json --db out.sqlite --json");
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const Json report = Json::parse(finished.out);
  CHECK(report["points"] == 8);
  CHECK(report["failed"] == 0);
}
