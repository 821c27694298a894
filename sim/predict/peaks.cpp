// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/peaks.h"

namespace attnsim {

ChipPeaks peaks_of(const Chip& chip, ir::DType dtype, ir::DType accumulator, Megahertz clock) {
  constexpr double kBytesPerMib = 1024.0 * 1024.0;
  const double chip_hz = clock.count() * 1e6;
  const double all_sms_hz = chip_hz * chip.sm.count;
  ChipPeaks peaks;
  peaks.dtype = chip.tensor_rate(std::string(ir::name_of(dtype)), std::string(ir::name_of(accumulator)));
  peaks.clock_mhz = clock.count();
  peaks.tensor_tflop_per_s = chip.tensor_flop_per_clk(peaks.dtype) * all_sms_hz * 1e-12;
  peaks.fp32_tflop_per_s = 2 * chip.sm.fp32_lanes * all_sms_hz * 1e-12;
  peaks.sfu_tera_op_per_s = chip.sm.sfu_lanes * all_sms_hz * 1e-12;
  peaks.hbm_gb_per_s = chip.hbm.bandwidth_gb_per_s;
  peaks.l2_gb_per_s = chip.l2.bandwidth_bytes_per_clk * chip_hz * 1e-9;
  peaks.smem_gb_per_s = chip.sm.smem_bytes_per_clk * all_sms_hz * 1e-9;
  peaks.l2_effective_mib = static_cast<double>(chip.l2_effective().count()) / kBytesPerMib;
  return peaks;
}

}  // namespace attnsim
