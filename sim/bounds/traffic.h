// SPDX-License-Identifier: Apache-2.0
// HBM bytes that no execution on the chip avoids, from what the kernels touch and what L2 can hold.
#pragma once

#include <vector>

#include "sim/bounds/touched.h"
#include "sim/core/units.h"
#include "sim/result/conditions.h"

namespace attnsim::bounds {

struct Traffic {
  double compulsory_bytes = 0;  // every input element touched once, every output element once; the state of L2 left aside
  double touched_bytes = 0;     // compulsory, plus intermediates written and read
  double hbm_bytes = 0;         // of those, what must cross to HBM
};
struct PipelineTraffic {
  Traffic whole;
  std::vector<Traffic> nodes;  // each holds whatever runs beside it; their sum may be below the whole
};

// C = what L2 holds at most. Cold: all inputs, and what is written (outputs, intermediates) beyond C, since the last C bytes may
// stay dirty in L2. Warm: inputs and what is written beyond C together, because both ends of the call are the same state of
// L2. An intermediate larger than C is also read back in part. A node alone: inputs touched first there if cold, other reads
// beyond C, writes beyond C.
[[nodiscard]] PipelineTraffic compute_traffic(const ir::Pipeline& pipeline, Bytes l2_effective, L2Start start);

}  // namespace attnsim::bounds
