// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/class_costs.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/engine/chip_share.h"
#include "tests/support/toy_machine.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

// 64 x 64 exponentials on 16 lanes.
constexpr double kExpTicks = 64 * 64 / 16.0 * static_cast<double>(kTicksPerCycle);

ItemClass loop_of(std::int64_t full) {
  ItemClass c;
  c.full = full;
  c.partial_first = false;
  return c;
}

const Residency kAllHit{1, {}, 0, 0, 0};

}  // namespace

TEST_CASE("a loop of constant service times costs its trips, played, interpolated or prolonged") {
  const Chip chip = toy_chip();
  const ir::Kernel kernel = kernel_of({{exp_of(0)}}, 100, 5);
  const SelectedKernel selected = select_instructions(kernel, chip);
  const std::vector<ir::Tensor> tensors;
  ClassCosts costs(selected, tensors, chip, toy_config(), kAllHit);
  for (const std::int64_t trips : {1, 2, 3, 5, 8, 9, 24, 25, 1000, 100000}) {
    CAPTURE(trips);
    CHECK(costs.cost(loop_of(trips)).shared_ticks == Approx(kExpTicks * static_cast<double>(trips)));
    CHECK(costs.cost(loop_of(trips)).alone_ticks == Approx(kExpTicks * static_cast<double>(trips)));
  }
}

TEST_CASE("the cost of a long loop that two agents share is what a play of it takes per item") {
  Chip chip = toy_chip();
  chip.latency.sfu_cycles = 22;
  for (const std::int64_t trips : {6, 17, 60}) {
    const ir::Kernel kernel = kernel_of({{exp_of(0)}, {exp_of(1)}}, static_cast<int>(trips), 40);
    const SelectedKernel selected = select_instructions(kernel, chip);
    const MachineConfig config = toy_config();
    const double played = static_cast<double>(play(selected, {}, chip, config).ticks) / 40;
    const ir::Kernel longest = kernel_of({{exp_of(0)}, {exp_of(1)}}, 1000, 1);  // more trips than are played one by one
    const SelectedKernel estimated = select_instructions(longest, chip);
    const std::vector<ir::Tensor> tensors;
    ClassCosts costs(estimated, tensors, chip, config, kAllHit);
    CAPTURE(trips);
    CHECK(costs.cost(loop_of(trips)).shared_ticks == Approx(played).epsilon(0.01));
  }
}

TEST_CASE("an item of one query costs what the kernel's own items take, whose loop ends in a cut tile") {
  Problem problem;
  problem.batch = 4;
  problem.q_heads = 4;
  problem.kv_heads = 4;
  problem.q_len = {1};
  problem.kv_len = {402};  // three tiles of 128 and 18
  problem.head_dim_qk = problem.head_dim_v = 128;
  const Chip chip = load_chip("a100-sxm-80gb");
  const ir::Pipeline pipeline = lower(variant("dense"), problem, load_schedule("xformers-wide-sm80"), chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  const SelectedKernel selected = select_instructions(kernel, chip);
  MachineConfig config = whole_chip(kernel, chip, {}, chip.clock.boost_mhz);
  config.sms = 1;
  config.hit_fraction = 1;
  std::vector<Checkpoint> ends;
  config.checkpoints = &ends;
  (void)play(selected, pipeline.tensors(), chip, config);
  REQUIRE(ends.size() == 16);
  const auto slots = static_cast<std::size_t>(config.ctas_per_sm);
  REQUIRE(3 * slots < ends.size());  // the first of each slot, then two more
  const double played = static_cast<double>(ends[3 * slots - 1].ticks - ends[slots - 1].ticks) / (2.0 * static_cast<double>(slots));
  config.checkpoints = nullptr;
  ClassCosts costs(selected, pipeline.tensors(), chip, config, kAllHit);
  CHECK(costs.cost(class_of(kernel.families.front().tiles.front())).shared_ticks == Approx(played).epsilon(0.01));
}
