// SPDX-License-Identifier: Apache-2.0
// L2 hits in closed form, against counts by hand: decode of 16 query heads on 2 KV heads, one item per query head.
#include "sim/engine/residency.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/engine/chip_share.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

constexpr double kKvBytes = 2.0 * 2 * 2 * 65536 * 128;  // K and V of both heads, two bytes each

Residency residency_of(double l2_mib) {
  Problem problem;
  problem.batch = 1;
  problem.q_heads = 16;
  problem.kv_heads = 2;
  problem.q_len = {1};
  problem.kv_len = {65536};
  problem.head_dim_qk = problem.head_dim_v = 128;
  Chip chip = load_chip("a100-sxm-80gb");
  chip.l2.capacity_mib = l2_mib;
  const ir::Pipeline pipeline = lower(variant("dense"), problem, load_schedule("fused-generic"), chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  const Conditions conditions;
  const MachineConfig config = whole_chip(kernel, chip, conditions, chip.clock.boost_mhz);
  const MachineResult counted = count_work(select_instructions(kernel, chip), pipeline.tensors(), config, chip);
  CHECK(counted.loaded_bytes == Approx(8 * kKvBytes).epsilon(1e-3));  // by each head of a group
  return estimate_residency(kernel, pipeline.tensors(), chip, conditions, config, counted.loaded_bytes);
}

}  // namespace

TEST_CASE("what fits L2 is fetched once") {
  CHECK(residency_of(1024).hit_fraction == Approx(1 - 1.0 / 8).epsilon(1e-3));
}

TEST_CASE("heads of a group walk their K and V in step, so one of them fetches for all") {
  CHECK(residency_of(1).hit_fraction == Approx(1 - 1.0 / 8).epsilon(1e-3));
}
