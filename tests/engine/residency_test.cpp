// SPDX-License-Identifier: Apache-2.0
// L2 hits in closed form, against counts by hand: decode of 16 query heads on 2 KV heads, one item per query head, and one head's windows.
#include "sim/engine/residency.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/engine/chip_share.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

constexpr double kKvBytes = 2.0 * 2 * 2 * 65536 * 128;  // K and V of both heads, two bytes each

Residency residency_of(const std::string& variant_name, const Problem& problem, double l2_mib, double loaded_bytes) {
  Chip chip = load_chip("a100-sxm-80gb");
  chip.l2.capacity_mib = l2_mib;
  const ir::Pipeline pipeline = lower(variant(variant_name), problem, load_schedule("fused-generic"), chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  const Conditions conditions;
  const MachineConfig config = whole_chip(kernel, chip, conditions, chip.clock.boost_mhz);
  const MachineResult counted = count_work(select_instructions(kernel, chip), pipeline.tensors(), config, chip);
  if (loaded_bytes > 0) CHECK(counted.loaded_bytes == Approx(loaded_bytes).epsilon(1e-3));
  return estimate_residency(kernel, pipeline.tensors(), chip, conditions, config, counted.loaded_bytes);
}

Residency decode(double l2_mib) {
  Problem problem;
  problem.batch = 1;
  problem.q_heads = 16;
  problem.kv_heads = 2;
  problem.q_len = {1};
  problem.kv_len = {65536};
  problem.head_dim_qk = problem.head_dim_v = 128;
  return residency_of("dense", problem, l2_mib, 8 * kKvBytes);  // by each head of a group
}

// Windows of 4096 keys, 16,384 queries of one head.
Residency windows(double l2_mib) {
  Problem problem;
  problem.batch = 1;
  problem.q_heads = problem.kv_heads = 1;
  problem.q_len = problem.kv_len = {16384};
  problem.head_dim_qk = problem.head_dim_v = 128;
  problem.params = {{"left", 4095}};
  return residency_of("sliding-window", problem, l2_mib, 0);
}

}  // namespace

TEST_CASE("what fits L2 is fetched once") {
  CHECK(decode(1024).hit_fraction == Approx(1 - 1.0 / 8).epsilon(1e-3));
}

TEST_CASE("heads of a group walk their K and V in step, so one of them fetches for all") {
  CHECK(decode(1).hit_fraction == Approx(1 - 1.0 / 8).epsilon(1e-3));
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
