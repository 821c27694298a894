// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/predict.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/predict/fastest.h"
#include "sim/predict/identity.h"
#include "sim/predict/memo.h"
#include "sim/predict/peaks.h"
#include "workloads/catalog.h"

using namespace attnsim;

namespace {

Request toy_request() {
  Request request;
  request.workload = "toy";
  request.variant = &variant("causal");
  request.problem.q_heads = 2;
  request.problem.kv_heads = 1;
  request.problem.q_len = {256};
  request.problem.kv_len = {256};
  request.problem.head_dim_qk = request.problem.head_dim_v = 64;
  request.problem.dtype = ir::DType::f16;
  request.problem.params["alignment"] = std::string("bottom-right");
  request.chip = load_chip("toy-sm80");
  request.schedule = load_schedule("fa2-sm80");
  return request;
}

}  // namespace

TEST_CASE("a prediction has every rung but the measured one, a limiter for each, and its identity") {
  const Result result = predict(toy_request());
  for (const Rung rung : {Rung::flops, Rung::roofline, Rung::tile, Rung::schedule, Rung::simulated}) {
    REQUIRE(result.ladder.at(rung));
    CHECK_FALSE(result.ladder.limiter[static_cast<std::size_t>(rung)].empty());
  }
  CHECK_FALSE(result.ladder.at(Rung::measured));
  CHECK(result.resolved_config == resolved_config(toy_request()));
  CHECK(result.model_hash.size() == 16);
  CHECK_FALSE(result.standing.empty());
  CHECK_FALSE(result.kernels.empty());
}

TEST_CASE("rows of neighbourhoods vouch for kernels on boxes, rows of full and causal calls not for windows") {
  Request request = toy_request();
  request.problem.q_len = request.problem.kv_len = {1024};
  request.problem.q_heads = request.problem.kv_heads = 1;
  request.problem.head_dim_qk = request.problem.head_dim_v = 128;
  request.chip = load_chip("b200");
  request.variant = &variant("gna");
  request.problem.params = {{"layout", std::string("1024")}, {"window", std::string("256")}};
  request.schedule = load_schedule("natten-fna-sm100");
  CHECK_THAT(predict(request).standing, Catch::StartsWith("validated") && Catch::Contains("b200, blackwell-fna"));
  request.chip = load_chip("h100-sxm");
  request.variant = &variant("sliding-window");
  request.problem.params = {{"window", 256LL}};
  request.schedule = load_schedule("fa3-sm90");
  CHECK_THAT(predict(request).standing, Catch::StartsWith("unvalidated"));
}

TEST_CASE("the same request gives the same result") {
  const Result a = predict(toy_request());
  const Result b = predict(toy_request());
  CHECK(a.ladder.time_us == b.ladder.time_us);
  CHECK(a.model_hash == b.model_hash);
}

TEST_CASE("the harness constant is inside the simulated time and under its own name") {
  Request request = toy_request();
  const double alone = *predict(request).ladder.at(Rung::simulated);
  request.conditions.constant_us = 5;
  const Result with = predict(request);
  CHECK(*with.ladder.at(Rung::simulated) == Approx(alone + 5));
  CHECK(with.harness_us.at("constant") == 5);
}

TEST_CASE("the identity follows everything that decides a number, not the label") {
  const std::string hash = model_hash(toy_request());
  const auto changed = [&](auto change) {
    Request request = toy_request();
    change(request);
    return model_hash(request) != hash;
  };
  CHECK_FALSE(changed([](Request& r) { r.workload = "other"; }));
  CHECK(changed([](Request& r) { r.problem.kv_len = {257}; }));
  CHECK(changed([](Request& r) { r.problem.params["alignment"] = std::string("top-left"); }));
  CHECK(changed([](Request& r) { r.variant = &variant("dense"); }));
  CHECK(changed([](Request& r) { r.schedule = load_schedule("fused-generic"); }));
  CHECK(changed([](Request& r) { r.chip = load_chip("toy-sm90"); }));
  CHECK(changed([](Request& r) { r.conditions.without.insert("waves"); }));
  CHECK(changed([](Request& r) { r.conditions.constant_us = 1; }));
  CHECK(changed([](Request& r) { r.engine = EngineKind::detailed; }));
}

TEST_CASE("memo asks once for equal requests and keeps the label of each") {
  std::atomic<int> asked{0};
  Memo memo([&](const Request& request) {
    ++asked;
    Result result;
    result.workload = request.workload;
    return result;
  });
  Request request = toy_request();
  CHECK(memo(request).workload == "toy");
  request.workload = "again";
  CHECK(memo(request).workload == "again");
  CHECK(asked == 1);
  request.problem.batch = 2;
  (void)memo(request);
  CHECK(asked == 2);
}

TEST_CASE("the fastest schedule is the one with the smallest simulated time, and hopeless ones are not played") {
  const std::vector<Schedule> schedules = legal_schedules(variant("causal"), toy_request().problem, toy_request().chip);
  REQUIRE(schedules.size() >= 2);
  double best = 1e300;
  for (const Schedule& schedule : schedules) {
    Request request = toy_request();
    request.schedule = schedule;
    best = std::min(best, *predict(request).ladder.at(Rung::simulated));
  }
  int played = 0;
  const Request chosen = fastest(toy_request(), schedules, [&](const Request& request) {
    ++played;
    return predict(request);
  });
  CHECK(*predict(chosen).ladder.at(Rung::simulated) == best);
  CHECK(played <= static_cast<int>(schedules.size()));
  // A predictor that answers 0 beats every bound: only the first schedule is played.
  played = 0;
  (void)fastest(toy_request(), schedules, [&](const Request&) {
    ++played;
    Result result;
    result.ladder.time_us[static_cast<std::size_t>(Rung::simulated)] = 0;
    return result;
  });
  CHECK(played == 1);
}

TEST_CASE("peaks are primitives times clock") {
  // toy-sm80: 4 SMs, 1024 FLOP/clk, 64 FP32 lanes, 16 SFU lanes, 128 SMEM bytes/clk per SM; HBM 100 GB/s
  const ChipPeaks peaks = peaks_of(load_chip("toy-sm80"), ir::DType::f16, ir::DType::f32, Megahertz(500));
  CHECK(peaks.tensor_tflop_per_s == Approx(4 * 1024 * 500e6 * 1e-12));
  CHECK(peaks.fp32_tflop_per_s == Approx(2 * 4 * 64 * 500e6 * 1e-12));
  CHECK(peaks.sfu_tera_op_per_s == Approx(4 * 16 * 500e6 * 1e-12));
  CHECK(peaks.smem_gb_per_s == Approx(4 * 128 * 500e6 * 1e-9));
  CHECK(peaks.hbm_gb_per_s == 100);
  const Chip geforce = load_chip("rtx-4090");  // 128 SMs of 512 FLOP/clk, 1024 where products add up in FP16
  const ChipPeaks half = peaks_of(geforce, ir::DType::f16, ir::DType::f16, Megahertz(1000));
  CHECK(half.dtype == "f16_acc_f16");  // a roof, and a chart, of its own
  CHECK(half.tensor_tflop_per_s == Approx(131.072));
  CHECK(peaks_of(geforce, ir::DType::f16, ir::DType::f32, Megahertz(1000)).tensor_tflop_per_s == Approx(131.072 / 2));
}

TEST_CASE("calls that take turns with sets of operands start warm where L2 holds all of them, else cold") {
  Request request = toy_request();
  const auto times = [&](L2Start start, int sets) {
    request.conditions.l2 = start;
    request.conditions.operand_sets = sets;
    return predict(request).ladder.time_us;
  };
  const auto cold = times(L2Start::cold, 1);
  const auto warm = times(L2Start::warm, 1);
  REQUIRE(warm != cold);
  // Q, K, V and O of this call: 256 x 64 x 2 bytes for each of 2 + 1 + 1 + 2 heads.
  const double bytes = 6 * 256 * 64 * 2;
  const double l2 = static_cast<double>(request.chip.l2_effective().count());
  CHECK(times(L2Start::warm, static_cast<int>(l2 / bytes)) == warm);
  CHECK(times(L2Start::warm, static_cast<int>(l2 / bytes) + 1) == cold);
}
