// SPDX-License-Identifier: Apache-2.0
// The ceilings that a result is drawn under: derived from the chip's primitives at one clock, stored with the result.
#pragma once

#include <string>

namespace attnsim {

struct ChipPeaks {
  std::string dtype;              // of the tensor roof, with the accumulation where the chip tells it apart
  double clock_mhz = 0;           // SM clock of every SM-bound figure here
  double tensor_tflop_per_s = 0;  // dense; 0 = this chip has no matrix unit for the dtype
  double fp32_tflop_per_s = 0;    // FMA = 2
  double sfu_tera_op_per_s = 0;   // exp2, log2, reciprocal
  double hbm_gb_per_s = 0;        // published peak
  double l2_gb_per_s = 0;         // whole chip; 0 = unknown
  double smem_gb_per_s = 0;       // all SMs; 0 = unknown
  double l2_effective_mib = 0;    // usable capacity
};

}  // namespace attnsim
