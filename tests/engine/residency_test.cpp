// SPDX-License-Identifier: Apache-2.0
// L2 hits in closed form, against counts by hand: decode of 16 query heads on 2 KV heads, one item per query head, and one head's windows.
#include "sim/engine/residency.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/engine/chip_share.h"
#include "tests/support/problem.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

constexpr double kKvBytes = 2.0 * 2 * 2 * 65536 * 128;  // K and V of both heads, two bytes each

struct Estimate {
  Residency residency;
  double loaded_bytes = 0;
};

Estimate estimate(const std::string& variant_name, const Problem& problem, const std::string& schedule, const Chip& chip) {
  const ir::Pipeline pipeline = lower(variant(variant_name), problem, load_schedule(schedule), chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  const Conditions conditions;
  const MachineConfig config = whole_chip(kernel, chip, conditions, chip.clock.boost_mhz);
  const MachineResult counted = count_work(select_instructions(kernel, chip), pipeline.tensors(), config, chip);
  return {estimate_residency(kernel, pipeline.tensors(), chip, conditions, config, counted.loaded_bytes), counted.loaded_bytes};
}

Chip a100_with_l2(double l2_mib) {
  Chip chip = load_chip("a100-sxm-80gb");
  chip.l2.capacity_mib = l2_mib;
  return chip;
}

Residency decode(double l2_mib) {
  Problem problem;
  problem.batch = 1;
  problem.q_heads = 16;
  problem.kv_heads = 2;
  problem.q_len = {1};
  problem.kv_len = {65536};
  problem.head_dim_qk = problem.head_dim_v = 128;
  const Estimate e = estimate("dense", problem, "fused-generic", a100_with_l2(l2_mib));
  CHECK(e.loaded_bytes == Approx(8 * kKvBytes).epsilon(1e-3));  // by each head of a group
  return e.residency;
}

// Windows of 4096 keys, 16,384 queries of one head.
Residency windows(double l2_mib) {
  Problem problem;
  problem.batch = 1;
  problem.q_heads = problem.kv_heads = 1;
  problem.q_len = problem.kv_len = {16384};
  problem.head_dim_qk = problem.head_dim_v = 128;
  problem.params = {{"left", 4095}};
  return estimate("sliding-window", problem, "fused-generic", a100_with_l2(l2_mib)).residency;
}

}  // namespace

TEST_CASE("what fits L2 is fetched once") {
  CHECK(decode(1024).hit_fraction == Approx(1 - 1.0 / 8).epsilon(1e-3));
}

TEST_CASE("heads of a group walk their K and V in step, so one of them fetches for all") {
  CHECK(decode(1).hit_fraction == Approx(1 - 1.0 / 8).epsilon(1e-3));
}

TEST_CASE("hits are told apart by tensor") {
  const Residency residency = decode(1024);
  REQUIRE(residency.tensor_hits.size() >= 3);
  CHECK(residency.tensor_hits[0] == Approx(0).margin(1e-9));             // q: its item alone reads it
  CHECK(residency.tensor_hits[1] == Approx(1 - 1.0 / 8).epsilon(1e-3));  // k and v: the first of eight heads fetches
  CHECK(residency.tensor_hits[2] == Approx(1 - 1.0 / 8).epsilon(1e-3));
}

TEST_CASE("what the kernel before has written is read from L2 while it fits") {
  Problem problem;
  problem.batch = 1;
  problem.q_heads = problem.kv_heads = 1;
  problem.q_len = problem.kv_len = {4096};
  problem.head_dim_qk = problem.head_dim_v = 128;
  const auto softmax = [&](double l2_mib) {
    const Chip chip = a100_with_l2(l2_mib);
    const ir::Pipeline pipeline = lower(variant("dense"), problem, load_schedule("naive-unfused"), chip);
    const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().at(1).work);
    REQUIRE(kernel.name == "softmax");
    const MachineConfig config = whole_chip(kernel, chip, {}, chip.clock.boost_mhz);
    return estimate_residency(kernel, pipeline.tensors(), chip, {}, config).hit_fraction;
  };
  CHECK(softmax(1024) == 1);  // scores of 32 MiB in, as much out
  CHECK(softmax(32) < 1);
}

TEST_CASE("windows that start at other rows do not walk in step") {
  constexpr double kTensorBytes = 2.0 * 16384 * 128;
  const Residency ample = windows(1024);
  CHECK(ample.hbm_bytes - ample.hbm_written_bytes == Approx(3 * kTensorBytes));  // Q, K and V once
  // All row tiles are in flight, from the first row to the last: 1 MiB of L2 holds an eighth of the 8 MiB of K and V that they walk.
  const double loaded = (ample.hbm_bytes - ample.hbm_written_bytes) / (1 - ample.hit_fraction);
  const double walked = loaded - kTensorBytes;
  CHECK(windows(1).hit_fraction * loaded <= walked / 8);
  CHECK(windows(1).hit_fraction > 0);
}

TEST_CASE("V that is a part of K is fetched with it") {
  Problem problem;
  problem.batch = 4;
  problem.q_heads = 128;
  problem.kv_heads = 1;
  problem.q_len = {1};
  problem.kv_len = {8192};
  problem.head_dim_qk = 576;
  problem.head_dim_v = 512;
  const Estimate e = estimate("mla-decode", problem, "cutlass-mla-sm100", load_chip("b200"));
  const double cache_bytes = 4.0 * 8192 * 576 * 2;
  const double q_bytes = 4.0 * 128 * 576 * 2 * 16;  // by each split
  CHECK(e.loaded_bytes == Approx(cache_bytes * (576 + 512) / 576 + q_bytes).epsilon(2e-2));
  CHECK((1 - e.residency.hit_fraction) * e.loaded_bytes == Approx(cache_bytes).epsilon(2e-2));
}

TEST_CASE("pieces whose address translation the chip does not hold come one after another") {
  Chip chip = load_chip("b200");
  chip.hbm.translated_gib = 1;
  chip.hbm.translation_ns = 2;
  ir::Kernel kernel;
  kernel.program.agents.push_back({"all", 4, 64, {}});
  const double per_cycle_at_1_ghz = 1e-9;
  const auto hbm = [&](ir::Scatter scatter) {
    kernel.scatter = scatter;
    const MachineConfig config = whole_chip(kernel, chip, {}, 1000);
    return config.rates.hbm * static_cast<double>(kTicksPerCycle) / per_cycle_at_1_ghz;
  };
  const double sustained = chip.hbm.bandwidth_gb_per_s * chip.hbm.efficiency * 1e9;
  constexpr double kGib = 1024.0 * 1024 * 1024;
  CHECK(hbm({}) == Approx(sustained));
  CHECK(hbm({2048, kGib}) == Approx(sustained));                 // all of it is held
  CHECK(hbm({2048, 4 * kGib}) == Approx(2048 / (0.75 * 2e-9)));  // three quarters are not
  CHECK(hbm({1 << 20, 4 * kGib}) == Approx(sustained));
}

TEST_CASE("copies of short pieces are limited by their number") {
  Chip chip = load_chip("b200");
  chip.sm.l2_requests_per_clk = 0.5;
  ir::Kernel kernel;
  kernel.program.agents.push_back({"all", 4, 64, {}});
  const auto port = [&](int bytes) {
    kernel.request_bytes = bytes;
    return whole_chip(kernel, chip, {}, 1000).rates.port * static_cast<double>(kTicksPerCycle);
  };
  CHECK(port(0) == Approx(64));
  CHECK(port(32) == Approx(16));
  CHECK(port(1024) == Approx(64));
}

TEST_CASE("the last CTA of a row tile reads what all have stored, and stores O: counted as it is played") {
  const std::int64_t kv_len = GENERATE(1000, 1024, 4096);
  const Problem problem = test::problem(2, 8, 1, 1, kv_len, 128);
  const Chip chip = load_chip("a100-sxm-80gb");
  const ir::Pipeline pipeline = lower(variant("dense"), problem, load_schedule("splitkv-decode-lastcta"), chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  const MachineConfig config = whole_chip(kernel, chip, {}, chip.clock.boost_mhz);
  const SelectedKernel selected = select_instructions(kernel, chip);
  const MachineResult counted = count_work(selected, pipeline.tensors(), config, chip);
  // Q, K and V, and from each split the sums, maxima and O in f32, written and read; O and LSE at the end.
  const auto splits = static_cast<double>(kernel.families.front().tiles.size());
  REQUIRE(splits > 1);
  const double rows = 2 * 8;
  const double parts = rows * (128 * 4 + 4) * splits;
  const double read = 2.0 * static_cast<double>(kv_len) * 128 * 2 * 2 + rows * 128 * 2 * splits + parts;
  CHECK(counted.loaded_bytes == Approx(read).epsilon(1e-4));  // and a few bytes of lengths
  CHECK(counted.l2_bytes == Approx(read + parts + rows * (128 * 2 + 4)).epsilon(1e-4));
  CHECK(play(selected, pipeline.tensors(), chip, config).l2_bytes == counted.l2_bytes);
}

TEST_CASE("heads with masks of their own, strides and drawn blocks: hits as the L2 of a whole chip has them") {
  struct Case {
    const char* variant;
    const char* schedule;
    const char* chip;
    std::int64_t batch, q_heads, kv_heads, q_len, kv_len, head_dim;
  };
  const Case c = GENERATE(Case{"moa", "flashdecoding-sm80", "l4", 4, 16, 4, 1, 16384, 64},   // four query heads read one KV head's rows
                          Case{"moa", "fa2-sm80", "l4", 2, 8, 8, 1024, 1024, 128},           // families of one slab or two
                          Case{"s2-attention", "fa2-sm80", "l40s", 4, 40, 8, 4, 8192, 128},  // every stride-th block
                          Case{"selected-blocks", "fa2-sm80", "l40s", 1, 16, 8, 1024, 1024, 128},
                          Case{"selected-blocks", "flashdecoding-sm80", "a30", 8, 32, 16, 1, 4096, 128},  // two heads, one list
                          Case{"document", "flashdecoding-sm80", "l40s", 4, 16, 8, 512, 512, 128});       // masks are read beside K and V
  CAPTURE(c.variant, c.q_len);
  const Problem problem = test::problem(c.batch, c.q_heads, c.kv_heads, c.q_len, c.kv_len, c.head_dim);
  const Chip chip = load_chip(c.chip);
  const ir::Pipeline pipeline = lower(variant(c.variant), problem, load_schedule(c.schedule), chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  const MachineConfig config = whole_chip(kernel, chip, {}, chip.clock.boost_mhz);
  L2Cache cache(chip.l2_effective(), pipeline.tensors());
  MachineConfig with_cache = config;
  with_cache.cache = &cache;
  const MachineResult played = play(select_instructions(kernel, chip), pipeline.tensors(), chip, with_cache);
  const double hits = played.hit_bytes / played.loaded_bytes;
  CHECK(estimate(c.variant, problem, c.schedule, chip).residency.hit_fraction == Approx(hits).margin(0.03));
}
