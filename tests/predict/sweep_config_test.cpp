// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/sweep_config.h"

#include <catch2/catch.hpp>
#include <set>

#include "sim/core/data_dir.h"
#include "sim/predict/grid_path.h"
#include "sim/predict/run_config.h"

using namespace attnsim;

namespace {

const Json kRun = Json::parse(R"({"name": "r", "chip": "toy-sm80", "workloads": [
  {"name": "c", "variant": "causal", "shape": {"q_heads": 4, "q_len": 100, "head_dim": 64}},
  {"name": "w", "variant": "sliding-window", "schedule": "fa2-sm80", "shape": {"q_heads": 4, "q_len": 100, "head_dim": 64}}]})");

SweepConfig sweep_of(const Json& grid) {
  return parse_sweep_config({"s.json", {{"run", kRun}, {"grid", grid}}});
}

Json applied(const std::string& path, const Json& value) {
  Json run = kRun;
  check_grid_path(run, path, "s.json", "/grid");
  apply_setting(run, path, value);
  return run;
}

}  // namespace

TEST_CASE("a grid has the product of its axes, each point once") {
  const SweepConfig sweep = sweep_of({{"shape.kv_len", {100, 200, 300}}, {"chip.sm.count", {2, 4}}, {"shape.batch", {1, 2}}});
  REQUIRE(sweep.size() == 12);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < sweep.size(); ++i) seen.insert(position(sweep, i).coordinates);
  CHECK(seen.size() == 12);
  CHECK(position(sweep, 0).coordinates == R"({"chip.sm.count":2,"shape.batch":1,"shape.kv_len":100})");
  CHECK(position(sweep, 11).coordinates == R"({"chip.sm.count":4,"shape.batch":2,"shape.kv_len":300})");
}

TEST_CASE("a setting reaches the field that its path names") {
  CHECK(applied("shape.kv_len", 7)["workloads"][1]["shape"]["kv_len"] == 7);
  CHECK(applied("workloads.w.shape.kv_len", 7)["workloads"][1]["shape"]["kv_len"] == 7);
  CHECK_FALSE(applied("workloads.w.shape.kv_len", 7)["workloads"][0]["shape"].contains("kv_len"));
  CHECK(applied("dtype", "f16")["workloads"][0]["dtype"] == "f16");
  CHECK(applied("chip", "toy-sm90")["chip"] == "toy-sm90");
  CHECK(applied("chip.sm.count", 8)["chip"] == Json::parse(R"({"name": "toy-sm80", "overrides": {"sm.count": 8}})"));
  CHECK(applied("schedule.tiles.0.tile_q", 64)["workloads"][1]["schedule"] ==
        Json::parse(R"({"name": "fa2-sm80", "overrides": {"tiles.0.tile_q": 64}})"));
  CHECK(applied("schedule.tiles.0.tile_q", 64)["workloads"][0]["schedule"]["name"] == "auto");
}

TEST_CASE("a param is set where the variant has it and nowhere else") {
  const Json run = applied("params.left", 7);
  CHECK(run["workloads"][1]["params"]["left"] == 7);
  CHECK_FALSE(run["workloads"][0].contains("params"));
}

TEST_CASE("two settings of one chip are both kept") {
  const SweepConfig sweep = sweep_of({{"chip.sm.count", {8}}, {"chip.hbm.bandwidth_gb_per_s", {500}}, {"chip", {"toy-sm90"}}});
  const RunConfig run = parse_run_config(position(sweep, 0).run);
  CHECK(run.chip.name == "toy-sm90");
  CHECK(run.chip.sm.count == 8);
  CHECK(run.chip.hbm.bandwidth_gb_per_s == 500);
}

TEST_CASE("the identity of a sweep follows its grid and run, not its title or place") {
  const SweepConfig a = sweep_of({{"shape.batch", {1, 2}}});
  SweepConfig renamed = a;
  renamed.name = "other";
  renamed.file = "elsewhere.json";
  renamed.run.root["name"] = "other";
  CHECK(resolved_sweep(renamed) == resolved_sweep(a));
  CHECK(resolved_sweep(sweep_of({{"shape.batch", {1, 3}}})) != resolved_sweep(a));
  SweepConfig longer = a;
  longer.run.root["workloads"][0]["shape"]["q_len"] = 101;
  CHECK(resolved_sweep(longer) != resolved_sweep(a));
}

TEST_CASE("a grid of more than a million points is refused") {
  Json values = Json::array();
  for (int i = 1; i <= 1001; ++i) values.push_back(i);
  CHECK_THROWS_AS(sweep_of({{"shape.kv_len", values}, {"shape.q_len", values}}), ConfigError);
}

TEST_CASE("every shipped sweep parses and fits its schema") {
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir() / "workloads" / "configs")) {
    if (!read_json_file(entry.path()).root.contains("grid")) continue;
    INFO(entry.path());
    CHECK_NOTHROW(load_sweep_config(entry.path().string()));
    ++seen;
  }
  CHECK(seen >= 2);
}
