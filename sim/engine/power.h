// SPDX-License-Identifier: Apache-2.0
// Energy of a run (padding rows of an MMA hold zeros, which toggle nothing: `useful_tensor_flops`) and the clock that the power cap allows.
// The matrix energy of an operation is taken as proportional to its operands' width (H100's FP8 rate is twice its FP16 rate at one power).
// Energy per operation scales with the square of the clock (voltage follows frequency); the clock moves in the chip's steps.
#pragma once

#include "hwmodels/chip.h"
#include "sim/result/result.h"

namespace attnsim {

// Joules of the counted work at `clock_mhz`, idle power excluded.
[[nodiscard]] double dynamic_energy_j(const WorkCounts& counts, const Chip& chip, double clock_mhz);

// Highest clock step in [min_mhz, boost_mhz] at which idle power + energy / time stays below the cap. `time_s` was simulated
// at `clock_mhz`; the part `memory_bound` (0..1) of it does not follow the SM clock. Of a call shorter than `settle_s` the control has
// seen, when the timing ends, only the share time / settle_s of its energy.
[[nodiscard]] double sustained_clock_mhz(const WorkCounts& counts, const Chip& chip, double time_s, double clock_mhz, double memory_bound,
                                         double settle_s = 0);

}  // namespace attnsim
