// SPDX-License-Identifier: Apache-2.0
// Items that are left out of a play because the grid goes on as before, against plays of all of it.
#include "sim/engine/steady_grid.h"

#include <catch2/catch.hpp>

#include "sim/engine/l2_cache.h"
#include "tests/support/toy_machine.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

MachineResult played_grid(const ir::Kernel& kernel, int sms, bool leave_out) {
  const Chip chip = toy_chip();
  MachineConfig config = toy_config();
  config.sms = sms;
  config.leave_out = leave_out;
  config.start_offsets = false;
  config.count_work = false;
  return play(select_instructions(kernel, chip), {}, chip, config);
}

// Marks of a grid of `items` equal items on four slots whose windows take so many ticks each; where items may be left out.
// `others`: items of another kind before them, too few to leave any out.
std::int64_t first_room(const std::vector<double>& window_ticks, double hbm_bytes_of_last = 0, std::int64_t others = 0) {
  ir::Kernel kernel = kernel_of({{exp_of(0)}}, 2, 1000);
  if (others > 0) {
    ir::ItemFamily before = kernel.families.front();
    before.slab_count = others;
    kernel.families.front().slab_begin = others;
    kernel.families.insert(kernel.families.begin(), before);
  }
  machine::SteadyGrid steady(kernel, 4, 1);
  REQUIRE(steady.enabled());
  machine::Progress progress;
  double now = 0;
  std::int64_t next = 0;
  for (std::size_t w = 0; w < window_ticks.size(); ++w) {
    do {
      steady.hand_out(static_cast<std::int64_t>(now));
      now += window_ticks[w] / 16;
    } while (!steady.is_mark(++next));
    if (w + 1 == window_ticks.size()) progress.hbm_bytes += hbm_bytes_of_last;
    if (const std::int64_t room = steady.room(next, progress); room > 0) return next;
  }
  return 0;
}

}  // namespace

TEST_CASE("items may be left out once the pace is even") {
  CHECK(first_room({1600, 1600, 1600, 1600, 1600, 1600}) == 64);  // four windows of 16 items
  CHECK(first_room({1600, 1600, 1600}) == 0);
  CHECK(first_room({1600, 1700, 1800, 1900, 2000, 2100}) == 0);  // drifts
  CHECK(first_room({1600, 1600, 1600, 1600}, 1600) == 0);        // HBM counts now
  CHECK(first_room({1600, 1600, 1600, 1600}, 160) == 64);        // and is hidden here
}

TEST_CASE("windows are compared once there are enough of them, also where the even stretch begins behind other items") {
  // The first mark, at item 5, opens the first window; the fifth ends the fourth.
  CHECK(first_room({1600, 1600, 1600, 1600, 1600, 1600}, 0, 5) == 5 + 64);
  CHECK(first_room({1600}, 0, 5) == 0);
  CHECK(first_room({1600, 1600}, 0, 5) == 0);
}

TEST_CASE("a grid of many equal items takes as long with some of them left out, and ends as it would") {
  for (const auto& [policy, items] : {std::pair{ir::GridPolicy::persistent_static, 200},
                                      {ir::GridPolicy::persistent_static, 203},
                                      {ir::GridPolicy::persistent_dynamic, 201},
                                      {ir::GridPolicy::one_item_per_cta, 201},
                                      {ir::GridPolicy::one_item_per_cta, 160}}) {
    ir::Kernel kernel = kernel_of({{exp_of(0)}}, 2, items);
    kernel.grid.policy = policy;
    const MachineResult all = played_grid(kernel, 4, false);
    const MachineResult part = played_grid(kernel, 4, true);
    CAPTURE(items, static_cast<int>(policy));
    CHECK(part.ticks == all.ticks);
    CHECK(part.ctas == all.ctas);
    CHECK(part.resident_cycles == Approx(all.resident_cycles));
    CHECK(part.cta_cycles == Approx(all.cta_cycles));
    CHECK(part.drain_ticks == all.drain_ticks);
    for (std::size_t i = 0; i < kWaitCount; ++i) CHECK(part.wait_cycles[i] == Approx(all.wait_cycles[i]));
  }
}
