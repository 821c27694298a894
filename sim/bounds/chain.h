// SPDX-License-Identifier: Apache-2.0
// What is certainly serial: an agent issues in program order, and all but asynchronous ops complete before its next op.
#pragma once

#include "hwmodels/chip.h"
#include "sim/select/select.h"

namespace attnsim::bounds {

// Cycles for which one execution of the step keeps its agent from the next op, with every unit free and every load hitting L2.
[[nodiscard]] double blocking_cycles(const Step& step, const ir::Program& program, const Chip& chip);

// Cycles from the first instruction of a CTA to the end of its first item, at least: the longest agent's own steps, or the
// latency of a load (L2 hit) that an agent awaits plus its own steps after that.
[[nodiscard]] double latency_chain(const SelectedKernel& selected, const ir::RowTile& tile, const Chip& chip);

}  // namespace attnsim::bounds
