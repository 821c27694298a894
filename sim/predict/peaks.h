// SPDX-License-Identifier: Apache-2.0
// The chip's ceilings at one clock, for the roofline chart.
#pragma once

#include "hwmodels/chip.h"
#include "sim/ir/op.h"
#include "sim/result/chip_peaks.h"

namespace attnsim {

// `accumulator`: element type of the products' sums.
[[nodiscard]] ChipPeaks peaks_of(const Chip& chip, ir::DType dtype, ir::DType accumulator, Megahertz clock);

}  // namespace attnsim
