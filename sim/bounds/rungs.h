// SPDX-License-Identifier: Apache-2.0
// Work over capacity: the flops, roofline and tile rungs of a kernel or of a sum of kernels.
#pragma once

#include <string>

#include "sim/bounds/traffic.h"
#include "sim/bounds/work.h"

namespace attnsim::bounds {

struct RungTime {
  double us = 0;
  std::string limiter;
  void raise(double other_us, std::string_view other_limiter);
};

// Work of one kernel, or of all kernels of a pipeline added up.
struct RungWork {
  KernelWork work;  // classes unused
  Traffic traffic;
  double link_bytes = 0;
  void add(const KernelWork& other);
};

// Highest SM clock that the policy allows.
[[nodiscard]] double highest_clock_mhz(const Chip& chip, const Conditions& conditions);

// Useful MMA FLOPs at the tensor peak of their operand type. Element-wise arithmetic enters at `roofline`; only work without
// any MMA counts its useful element-wise operations on the FP32 lanes here.
[[nodiscard]] RungTime flops_rung(const RungWork& work, const Chip& chip, double clock_mhz);
// Every resource at its peak, useful work only: tensor, lanes, compulsory L2 and HBM bytes, links. Issue does not count.
[[nodiscard]] RungTime roofline_rung(const RungWork& work, const Chip& chip, double clock_mhz);
// Padded work, mask work, SMEM and re-read L2 bytes; tensor pipes and HBM at their best sustained rates.
[[nodiscard]] RungTime tile_rung(const RungWork& work, const Chip& chip, double clock_mhz);

[[nodiscard]] double hbm_us(double bytes, double gb_per_s);
[[nodiscard]] double link_us(double bytes, const Chip& chip);

}  // namespace attnsim::bounds
