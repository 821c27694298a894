// SPDX-License-Identifier: Apache-2.0
// Bandwidths and limits of a chip at a clock, and the effects that switch them.
#pragma once

#include "hwmodels/chip.h"
#include "sim/engine/machine.h"
#include "sim/result/conditions.h"

namespace attnsim {

[[nodiscard]] inline bool has_effect(const Conditions& conditions, const char* name) {
  return conditions.without.count(name) == 0;
}

// The chip with figures in the place of which an effect that is switched off puts "no limit" or "no cost".
[[nodiscard]] Chip without_effects(Chip chip, const Conditions& conditions);
// CTAs of the kernel that fit on one SM. Throws SimError when none does.
[[nodiscard]] int ctas_per_sm(const ir::Kernel& kernel, const Chip& chip);
// `detailed` configuration of a whole chip.
[[nodiscard]] MachineConfig whole_chip(const ir::Kernel& kernel, const Chip& chip, const Conditions& conditions, double clock_mhz);

}  // namespace attnsim
