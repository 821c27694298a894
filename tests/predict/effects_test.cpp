// SPDX-License-Identifier: Apache-2.0
// Every effect, in a case where it must matter: the figure that it stands for is made the one that decides.
#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "hwmodels/chip_loader.h"
#include "sim/engine/chip_share.h"
#include "sim/predict/what_if.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

Request effects_request(const char* variant_name, std::int64_t q_len, std::int64_t kv_len) {
  Request request;
  request.variant = &variant(variant_name);
  request.problem.q_heads = 4;
  request.problem.kv_heads = 4;
  request.problem.q_len = {q_len};
  request.problem.kv_len = {kv_len};
  request.problem.head_dim_qk = request.problem.head_dim_v = 64;
  request.problem.dtype = ir::DType::f16;
  if (std::string(variant_name) == "causal") request.problem.params["alignment"] = std::string("bottom-right");
  request.chip = load_chip("toy-sm80");
  request.schedule = load_schedule("fa2-sm80");
  request.engine = EngineKind::detailed;
  return request;
}

struct Case {
  const char* effect;
  double at_least;  // time with over time without; below 1: switching it off costs time
  std::function<void(Request&)> set;
};

// 16 items of 128 rows on 4 SMs unless a case says otherwise. Each figure is taken to where its cost is a multiple of all the rest.
const std::vector<Case> kCases{
    {"l2_contention", 2, [](Request& r) { r.chip.l2.bandwidth_bytes_per_clk = 2; }},
    {"l2_hits", 0.7, [](Request& r) { r.chip.hbm.bandwidth_gb_per_s = 20; }},
    {"hbm_bandwidth", 2, [](Request& r) { r.chip.hbm.bandwidth_gb_per_s = 5; }},
    {"hbm_efficiency", 1.8,
     [](Request& r) {
       r.chip.hbm.bandwidth_gb_per_s = 5;
       r.chip.hbm.efficiency = 0.5;
     }},
    {"hbm_turnaround", 1.2,
     [](Request& r) {  // S and P go through HBM
       r.schedule = load_schedule("naive-unfused");
       r.chip.l2.capacity_mib = 0.125;
       r.chip.hbm.bandwidth_gb_per_s = 5;
       r.chip.hbm.write_cost = 3;
     }},
    {"hbm_latency", 1.5, [](Request& r) { r.chip.latency.hbm_ns = 20000; }},
    {"l2_capacity", 1.5,
     [](Request& r) {
       r.chip.l2.capacity_mib = 0.0625;
       r.chip.hbm.bandwidth_gb_per_s = 5;
     }},
    {"l2_port", 2, [](Request& r) { r.chip.sm.l2_port_bytes_per_clk = 1; }},
    {"load_latency", 1.5, [](Request& r) { r.chip.latency.l2_cycles = 20000; }},
    {"dependent_latency", 2, [](Request& r) { r.chip.latency.mma_sync_cycles = 20000; }},
    {"chain_overlap", 1.2,
     [](Request& r) {
       r.chip.vector.chain_serialization = 1;
       r.chip.sm.sfu_lanes = r.chip.sm.fp32_lanes = r.chip.sm.alu_lanes = 4;
     }},
    {"sync_overlap", 1.2,
     [](Request& r) {  // products and chains of two CTAs take turns
       r.chip.vector.sync_overlap = 0;
       r.chip.sm.max_ctas = 2;
       r.chip.sm.sfu_lanes = 8;
     }},
    {"smem_bandwidth", 2, [](Request& r) { r.chip.sm.smem_bytes_per_clk = 4; }},
    {"smem_efficiency", 1.5,
     [](Request& r) {
       r.chip.sm.smem_bytes_per_clk = 8;
       r.chip.sm.smem_efficiency = 0.5;
     }},
    {"tensor_efficiency", 1.5, [](Request& r) { r.chip.tensor.efficiency = 0.25; }},
    {"issue", 2, [](Request& r) { r.chip.sm.issue_per_clk = 0.1; }},
    {"waves", 1.2,
     [](Request& r) {
       r.chip.sm.count = 15;
       r.chip.sm.max_ctas = 1;
     }},  // the last of two waves holds one item
    {"launch", 2, [](Request& r) { r.chip.launch.kernel_us = 1000; }},
    {"clock", 1.9,
     [](Request& r) {
       r.conditions.clock = ClockPolicy::locked;
       r.conditions.locked_mhz = r.chip.clock.boost_mhz / 2;
     }},
    {"mask_cost", 1.2,
     [](Request& r) {
       r.variant = &variant("causal");
       r.problem.params["alignment"] = std::string("bottom-right");
       r.chip.sm.alu_lanes = 1;
     }},
    {"multicast", 0.8,
     [](Request& r) {  // pairs of CTAs share tiles of B, twice as large as those of A, and L2 decides
       r.chip = load_chip("h100-sxm");
       r.variant = &variant("gemm");
       r.problem = Problem{};
       r.problem.m = r.problem.n = r.problem.k = 1024;
       r.schedule = load_schedule("gemm-sm90");
       r.schedule.gemm.tiles.resize(1);
       r.schedule.gemm.splits = {1};
       r.chip.l2.bandwidth_bytes_per_clk = 200;
     }},
    {"cta_start", 1.5, [](Request& r) { r.chip.launch.cta_start_cycles = 50000; }},
};

}  // namespace

TEST_CASE("every effect changes the time in its direction where its figure decides") {
  std::set<std::string> covered{"start_offsets", "multicast"};  // tests/engine/cluster_test.cpp has the latter
  for (const Case& c : kCases) {
    Request request = effects_request("dense", 512, 512);
    c.set(request);
    const std::optional<double> with = what_if_us(request);
    request.conditions.without = {c.effect};
    const std::optional<double> without = what_if_us(request);
    covered.insert(c.effect);
    INFO(c.effect);
    REQUIRE(with);
    REQUIRE(without);
    CAPTURE(*with, *without);
    if (c.at_least > 1)
      CHECK(*with / *without >= c.at_least);
    else
      CHECK(*with / *without <= c.at_least);
  }
  for (const Effect& effect : effects()) {
    INFO(effect.name);
    CHECK(covered.count(effect.name) == 1);
  }
}

TEST_CASE("without start offsets the SMs of a kernel have one phase, so no spread") {
  Request request = effects_request("dense", 512, 512);
  const auto spread = [&] {
    const ir::Pipeline pipeline = lower(*request.variant, request.problem, request.schedule, request.chip);
    return simulate(pipeline, request.chip, request.conditions, {.kind = EngineKind::detailed}).kernels.front().spread;
  };
  const double with = spread();
  request.conditions.without = {"start_offsets"};
  CHECK(spread() < 0.25 * with);  // what is left: SMs that meet at HBM
}

TEST_CASE("figures of a chip stand where no effect is switched off") {
  const Chip chip = load_chip("h100-sxm");
  const Chip same = without_effects(chip, {});
  CHECK(same.hbm.efficiency == chip.hbm.efficiency);
  CHECK(same.sm.issue_per_clk == chip.sm.issue_per_clk);
  Conditions conditions;
  conditions.without = {"hbm_efficiency", "hbm_latency"};
  const Chip ideal = without_effects(chip, conditions);
  CHECK(ideal.hbm.efficiency == 1);
  CHECK(ideal.latency.hbm_ns == 0);
  CHECK(ideal.latency.l2_cycles == chip.latency.l2_cycles);
}
