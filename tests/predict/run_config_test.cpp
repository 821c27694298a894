// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/run_config.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/core/data_dir.h"
#include "sim/predict/references.h"
#include "sim/predict/run.h"
#include "workloads/catalog.h"

using namespace attnsim;

namespace {

RunConfig parsed(const std::string& text) {
  return parse_run_config(parse_json(text, "test.json"));
}

std::string with_workload(const std::string& workload, const std::string& more = "") {
  return R"({"chip": "toy-sm80", "workloads": [{)" + workload + "}]" + more + "}";
}

const std::string kShape = R"("shape": {"q_heads": 4, "q_len": 100, "head_dim": 64})";

}  // namespace

TEST_CASE("what a run config leaves out has its documented default") {
  const RunConfig config = parsed(with_workload(R"("variant": "sliding-window", )" + kShape));
  REQUIRE(config.workloads.size() == 1);
  const WorkloadConfig& w = config.workloads[0];
  CHECK(w.name == "sliding-window");
  CHECK(w.problem.batch == 1);
  CHECK(w.problem.kv_heads == 4);
  CHECK(w.problem.kv_len == std::vector<std::int64_t>{100});
  CHECK(w.problem.head_dim_v == 64);
  CHECK(w.problem.dtype == ir::DType::bf16);
  CHECK(w.schedule.mode == ScheduleMode::automatic);
  for (const ParamSpec& spec : w.variant->params) CHECK(w.problem.params.at(std::string(spec.name)) == spec.default_value);
  CHECK(config.baseline.mode == BaselineMode::automatic);
  CHECK(config.engine == EngineKind::automatic);
  CHECK(config.harness.name == "default");
}

TEST_CASE("a chip is a name, a whole document, or a name with overrides") {
  const Chip named = parsed(with_workload(R"("variant": "dense", )" + kShape)).chip;
  const std::string document = chip_document("toy-sm80").root.dump();
  const std::string rest = R"(, "workloads": [{"variant": "dense", )" + kShape + "}]}";
  const Chip whole = parsed(R"({"chip": )" + document + rest).chip;
  CHECK(whole.resolved_json == named.resolved_json);
  const std::string reference = R"({"name": "toy-sm80", "overrides": {"hbm.bandwidth_gb_per_s": 6700}})";
  const Chip changed = parsed(R"({"chip": )" + reference + rest).chip;
  CHECK(changed.hbm.bandwidth_gb_per_s == 6700);
  CHECK(changed.sm.count == named.sm.count);
  CHECK(changed.resolved_json != named.resolved_json);
}

TEST_CASE("what is wrong with an override is told at its place in the config") {
  const auto issues = [](const std::string& schedule, const std::string& overrides, const std::string& chip) {
    const std::string pass = schedule.find("bwd") == std::string::npos ? "forward" : "backward";
    try {
      const RunConfig config =
          parsed(R"({"chip": ")" + chip + R"(", "workloads": [{"variant": "dense", "pass": ")" + pass + R"(", "schedule": {"name": ")" +
                 schedule + R"(", "overrides": )" + overrides + "}, " + kShape + "}]}");
      const WorkloadConfig& w = config.workloads[0];
      (void)resolve_schedules(w.schedule, *w.variant, w.problem, config.chip, "test.json", w.pointer);
    } catch (const ConfigError& error) {
      return error.issues();
    }
    return std::vector<ConfigIssue>{};
  };
  const auto issue = [&](const auto&... of) { return issues(of...).at(0); };
  const std::string at = "/workloads/0/schedule/overrides";
  CHECK(issue("fa2-sm80", R"({"tiles.0.tile_q": 100})", "toy-sm80").pointer == at + "/tiles.0.tile_q");
  CHECK(issue("fa3-bwd-sm90", R"({"backward": {"ds_in_smem": true}})", "h100-sxm").pointer == at + "/backward/ds_in_smem");
  const ConfigIssue unknown = issue("fa3-bwd-sm90", R"({"backward": {"ds_in_smm": true}})", "h100-sxm");
  CHECK(unknown.pointer == at + "/backward/ds_in_smm");
  CHECK(unknown.nearest == "ds_in_smem");
  // What a field that is not changed no longer fits.
  const std::vector<ConfigIssue> both = issues("cudnn-sm90", R"({"mma": "tcgen05"})", "h100-sxm");
  REQUIRE(both.size() == 2);
  CHECK(both[0].pointer == at + "/mma");
  CHECK(both[1].pointer == at);
  CHECK(both[1].value == "exp2_in_turn true");
  CHECK(both[1].file == "test.json");
  CHECK(issues("fa2-sm80", R"({"tiles.0.tile_q": 64})", "toy-sm80").empty());
  const ConfigIssue mistyped = issue("fa2-sm80", R"({"item_global_round_tips": 2})", "toy-sm80");
  CHECK(mistyped.pointer == at + "/item_global_round_tips");
  CHECK(mistyped.nearest == "item_global_round_trips");
  CHECK(issue("fa2-sm80", R"({"tiles.9.tile_q": 64})", "toy-sm80").allowed.starts_with("tiles.0, tiles.1"));
  CHECK(issue("auto", R"({"tiles.9.tile_q": 64})", "toy-sm80").pointer == at + "/tiles.9.tile_q");
}

TEST_CASE("an override sets what the schedule's file leaves at its default") {
  REQUIRE_FALSE(schedule_document("fa2-sm80").root.contains("item_global_round_trips"));
  const RunConfig config = parsed(
      R"({"chip": "toy-sm80", "workloads": [{"variant": "dense", "schedule": {"name": "fa2-sm80", "overrides": {"item_global_round_trips": 3}}, )" +
      kShape + "}]}");
  const WorkloadConfig& w = config.workloads[0];
  const std::vector<Schedule> schedules = resolve_schedules(w.schedule, *w.variant, w.problem, config.chip, "test.json", w.pointer);
  REQUIRE(schedules.size() == 1);
  CHECK(schedules[0].item_global_round_trips == 3);
  CHECK(load_schedule("fa2-sm80").item_global_round_trips == 0);
}

TEST_CASE("the phase follows from lengths and mask, in the words of measurement files") {
  const auto phase = [](const std::string& variant, const std::string& shape) {
    const RunConfig config = parsed(with_workload(R"("variant": ")" + variant + R"(", "shape": )" + shape));
    return phase_of(*config.workloads[0].variant, config.workloads[0].problem);
  };
  CHECK(phase("causal", R"({"q_heads": 1, "q_len": 1, "kv_len": 100, "head_dim": 64})") == "decode");
  CHECK(phase("dense", R"({"q_heads": 1, "q_len": 8, "kv_len": 100, "head_dim": 64})") == "decode");
  CHECK(phase("causal", R"({"q_heads": 1, "q_len": 100, "head_dim": 64})") == "prefill");
  CHECK(phase("sliding-window", R"({"q_heads": 1, "q_len": 100, "head_dim": 64})") == "prefill");
  CHECK(phase("dense", R"({"q_heads": 1, "q_len": 100, "head_dim": 64})") == "encoder");
  CHECK(phase("gemm", R"({"m": 8, "n": 8, "k": 8})") == "gemm");
  CHECK(phase("gemm", R"({"m": 8, "n": 8, "k": 8}, "dtype": "f8")") == "8-bit gemm");
}

TEST_CASE("an error inside an inline chip is told with its place in the run config") {
  JsonDocument chip = chip_document("toy-sm80");
  chip.root["sm"]["count"]["value"] = -4;
  try {
    (void)parsed(R"({"chip": )" + chip.root.dump() + R"(, "workloads": [{"variant": "dense", )" + kShape + "}]}");
    FAIL("accepted");
  } catch (const ConfigError& error) {
    REQUIRE(error.issues().size() == 1);
    CHECK(error.issues()[0].file == "test.json");
    CHECK(error.issues()[0].pointer.rfind("/chip/sm/count", 0) == 0);
  }
}

TEST_CASE("without switches effects off by name") {
  const RunConfig config = parsed(with_workload(R"("variant": "dense", )" + kShape, R"(, "without": ["waves", "clock"])"));
  CHECK(config.harness.conditions.without == std::set<std::string>{"clock", "waves"});
}

TEST_CASE("every shipped run config parses and fits its schema") {
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir() / "workloads" / "configs")) {
    if (!read_json_file(entry.path()).root.contains("workloads")) continue;
    INFO(entry.path());
    CHECK_NOTHROW(load_run_config(entry.path().string()));
    ++seen;
  }
  CHECK(seen >= 2);
}

TEST_CASE("without a legal dense schedule a workload is its own baseline") {
  const RunConfig config = parsed(
      R"({"chip": "mi300x", "workloads": [{"variant": "mla-decode", "shape": {"q_heads": 128, "kv_heads": 1, "q_len": 1, "kv_len": 512, "head_dim_qk": 576, "head_dim_v": 512}}]})");
  const std::vector<Outcome> outcomes = execute(config);
  CHECK(outcomes[0].baseline.variant == "mla-decode");
  CHECK(outcomes[0].baseline.ladder.at(Rung::simulated) == outcomes[0].result.ladder.at(Rung::simulated));
  CHECK(outcomes[0].baseline_how == "itself, no dense schedule is legal");
}
