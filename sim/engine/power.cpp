// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/power.h"

#include <algorithm>

namespace attnsim {

double dynamic_energy_j(const WorkCounts& counts, const Chip& chip, double clock_mhz) {
  const PowerModel& p = chip.power;
  const double scale = (clock_mhz / chip.clock.boost_mhz) * (clock_mhz / chip.clock.boost_mhz);
  const double core_pj = (counts.useful_tensor_flops - counts.narrow_tensor_flops) * p.tensor_pj_per_flop +
                         (counts.fp32_ops + counts.alu_ops + counts.sfu_ops) * p.vector_pj_per_op + counts.smem_bytes * p.smem_pj_per_byte +
                         counts.l2_bytes * p.l2_pj_per_byte;
  return (core_pj * scale + counts.hbm_bytes * p.hbm_pj_per_byte) * 1e-12;
}

double sustained_clock_mhz(const WorkCounts& counts, const Chip& chip, double time_s, double clock_mhz, double memory_bound,
                           double settle_s) {
  for (double f = chip.clock.boost_mhz; f > chip.clock.min_mhz; f -= chip.clock.step_mhz) {
    const double time = time_s * (memory_bound + (1 - memory_bound) * clock_mhz / f);
    if (chip.power.idle_w + dynamic_energy_j(counts, chip, f) / std::max(time, settle_s) <= chip.power.cap_w) return f;
  }
  return chip.clock.min_mhz;
}

}  // namespace attnsim
