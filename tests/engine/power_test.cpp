// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/power.h"

#include <catch2/catch.hpp>

using namespace attnsim;

namespace {

// 1 pJ per FLOP at 1000 MHz, 100 W idle, 300 W cap, steps of 10 MHz.
Chip capped_chip() {
  Chip chip;
  chip.clock.boost_mhz = 1000;
  chip.clock.min_mhz = 100;
  chip.clock.step_mhz = 10;
  chip.power = PowerModel{};
  chip.power.cap_w = 300;
  chip.power.idle_w = 100;
  chip.power.tensor_pj_per_flop = 1;
  return chip;
}

}  // namespace

TEST_CASE("a call shorter than the control's time spends its energy over that time") {
  const Chip chip = capped_chip();
  WorkCounts counts;
  counts.useful_tensor_flops = 400e12 * 1e-3;  // 400 W at 1000 MHz over 1 ms
  // Energy goes with the square of the clock, time with its inverse: 400 W (f / 1000)^3 <= 200 W at 793 MHz, so the step 790.
  CHECK(sustained_clock_mhz(counts, chip, 1e-3, 1000, 0) == Approx(790));
  CHECK(sustained_clock_mhz(counts, chip, 1e-3, 1000, 0, 2e-3) == Approx(1000));  // 200 W over 2 ms
  // 250 W (f / 1000)^2 over the control's 1.6 ms: 894 MHz, where the call takes 1.12 ms.
  CHECK(sustained_clock_mhz(counts, chip, 1e-3, 1000, 0, 1.6e-3) == Approx(890));
  CHECK(sustained_clock_mhz(counts, chip, 1e-3, 1000, 0, 0.5e-3) == Approx(790));  // longer than the control's time
}
