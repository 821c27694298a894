// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/explanation.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "hwmodels/chip_loader.h"
#include "sim/predict/memo.h"
#include "sim/predict/what_if.h"
#include "workloads/catalog.h"

using namespace attnsim;

namespace {

Request toy() {
  Request request;
  request.workload = "toy";
  request.variant = &variant("dense");
  request.problem.q_heads = 4;
  request.problem.kv_heads = 4;
  request.problem.q_len = {512};
  request.problem.kv_len = {512};
  request.problem.head_dim_qk = request.problem.head_dim_v = 64;
  request.problem.dtype = ir::DType::f16;
  request.chip = load_chip("toy-sm80");
  request.schedule = load_schedule("fa2-sm80");
  request.conditions.include_launch = false;
  return request;
}

const Sensitivity* find(const std::vector<Sensitivity>& list, const std::string& parameter) {
  for (const Sensitivity& s : list)
    if (s.parameter == parameter) return &s;
  return nullptr;
}

const Suspect* find(const std::vector<Suspect>& list, const std::string& name) {
  for (const Suspect& s : list)
    if (s.name == name) return &s;
  return nullptr;
}

RunConfig config_of(const Request& request) {
  RunConfig config;
  config.name = "toy";
  config.chip = request.chip;
  WorkloadConfig workload;
  workload.name = "toy";
  workload.variant = request.variant;
  workload.problem = request.problem;
  workload.schedule = {ScheduleMode::named, request.schedule.name, {}};
  config.workloads = {workload};
  config.engine = request.engine;
  config.harness.conditions = request.conditions;
  return config;
}

}  // namespace

TEST_CASE("where one resource decides, the time goes down as that resource goes up, and nothing else matters as much") {
  Request request = toy();
  SECTION("HBM at a trickle: T ~ 1 / bandwidth") {
    request.chip.hbm.bandwidth_gb_per_s = 5;
    request.chip.hbm.efficiency = 0.2;
    const Sensitivities helps = what_would_help(request);
    REQUIRE_FALSE(helps.chip.empty());
    const Sensitivity* hbm = find(helps.chip, "hbm.bandwidth_gb_per_s");
    REQUIRE(hbm != nullptr);
    CHECK(*hbm->elasticity == Approx(-1).margin(0.15));
    CHECK(std::abs(*helps.chip.front().elasticity) <= 1.2);
    CHECK(hbm->gain == Approx(1 - 1 / 1.1).margin(0.02));
    const Sensitivity* tensor = find(helps.chip, "tensor.flop_per_clk_per_sm.f16");
    CHECK((tensor == nullptr || std::abs(*tensor->elasticity) < 0.15));
  }
  SECTION("matrix units at a crawl: T ~ 1 / rate") {
    request.chip.tensor.flop_per_clk_per_sm["f16"] = 32;
    const Sensitivities helps = what_would_help(request);
    const Sensitivity* tensor = find(helps.chip, "tensor.flop_per_clk_per_sm.f16");
    REQUIRE(tensor != nullptr);
    CHECK(*tensor->elasticity == Approx(-1).margin(0.1));
    CHECK(find(helps.chip, "hbm.capacity_gib") == nullptr);  // moves nothing
  }
}

TEST_CASE("neighbours of the schedule that can't run are left out, the rest are ranked by what they gain") {
  const Sensitivities helps = what_would_help(toy());
  REQUIRE_FALSE(helps.schedule.empty());
  for (std::size_t i = 1; i < helps.schedule.size(); ++i) CHECK(helps.schedule[i - 1].gain >= helps.schedule[i].gain);
  for (const Sensitivity& s : helps.schedule) CHECK(s.gain == Approx(1 - s.time_us / helps.base_us));
}

TEST_CASE("neighbours of tiles that are boxes are boxes of as many tokens") {
  Request request = toy();
  request.schedule = load_schedule(GENERATE("natten-fna-sm80", "natten-fna-sm90", "natten-fna-sm100"));
  const auto tokens = [](const std::vector<std::int64_t>& box) {
    std::int64_t n = 1;
    for (const std::int64_t extent : box) n *= extent;
    return n;
  };
  int changed = 0;
  for (const Variation& v : schedule_neighbours(request)) {
    if (v.name != "tile_q" && v.name != "tile_kv") continue;
    ++changed;
    REQUIRE_FALSE(v.request.schedule.tiles.empty());
    for (const TileRule& rule : v.request.schedule.tiles) {
      for (const auto& box : rule.q_boxes) CHECK(tokens(box) == rule.tile_q);
      for (const auto& box : rule.kv_boxes) CHECK(tokens(box) == rule.tile_kv);
    }
  }
  CHECK(changed == 4);
}

TEST_CASE("a time measured at another clock is explained by that clock") {
  Request request = toy();
  Request slower = request;
  slower.conditions.clock = ClockPolicy::locked;
  slower.conditions.locked_mhz = 0.7 * request.chip.clock.boost_mhz;
  if (slower.conditions.locked_mhz < request.chip.clock.min_mhz) request.chip.clock.min_mhz = 0.5 * request.chip.clock.boost_mhz;
  const double measured = what_if_us(affordable(slower)).value();
  const Verdict verdict = suspects_of(request, measured);
  REQUIRE_FALSE(verdict.suspects.empty());
  const auto clock =
      std::find_if(verdict.suspects.begin(), verdict.suspects.end(), [](const Suspect& s) { return s.name.rfind("clock ", 0) == 0; });
  REQUIRE(clock != verdict.suspects.end());
  CHECK(std::stod(clock->name.substr(6)) == Approx(0.7 * request.chip.clock.boost_mhz).epsilon(0.01));
  CHECK(clock->closes == Approx(1).margin(0.05));
}

TEST_CASE("a time measured with a mechanism switched off is explained by that mechanism") {
  Request request = toy();
  request.chip.latency.l2_cycles = 3000;
  Request ideal = affordable(request);
  ideal.conditions.without = {"load_latency"};
  const double measured = what_if_us(ideal).value();
  const Verdict verdict = suspects_of(request, measured);
  const Suspect* found = find(verdict.suspects, "without load_latency");
  REQUIRE(found != nullptr);
  CHECK(found->closes == Approx(1));
  for (std::size_t i = 1; i < verdict.suspects.size(); ++i)
    CHECK(std::abs(verdict.suspects[i - 1].time_us - measured) <= std::abs(verdict.suspects[i].time_us - measured));
  for (const Suspect& s : verdict.suspects) CHECK(s.closes > 0);  // the others lead away
}

TEST_CASE("an explanation has a critical sequence whose shares sum to 1 and reasons that sum to the cycles, for both engines") {
  Request request = toy();
  request.engine = GENERATE(EngineKind::detailed, EngineKind::fast);
  const RunConfig config = config_of(request);
  Memo memo;
  Outcome outcome = execute_workload(config, 0, memo.predictor());
  const double before = *outcome.result.ladder.at(Rung::simulated);
  const Explanation why = explain_workload(config, 0, {.what_would_help = false}, memo.predictor(), outcome);
  CHECK(*outcome.result.ladder.at(Rung::simulated) == before);
  CHECK(why.sampled == (request.engine == EngineKind::fast));
  REQUIRE(why.critical.size() == outcome.result.kernels.size());
  for (const CriticalSequence& sequence : why.critical) {
    double sum = 0;
    for (const CriticalPart& part : sequence.parts) sum += part.share;
    CHECK(sum == Approx(1));
  }
  for (const KernelResult& kernel : outcome.result.kernels) {
    CHECK(kernel.resources.size() == kResourceCount - 1);
    for (const ResourceUse& use : kernel.resources) {
      double sum = use.busy_fraction;
      for (const auto& [reason, fraction] : use.idle_fraction) sum += fraction;
      CHECK(sum == Approx(1).epsilon(1e-6));
    }
  }
  CHECK_FALSE(why.helps);
  CHECK_FALSE(why.verdict);
}
