// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/chip.h"

namespace attnsim {

double Chip::tensor_flop_per_clk(const std::string& dtype) const {
  const auto rate = tensor.flop_per_clk_per_sm.find(dtype);
  return rate == tensor.flop_per_clk_per_sm.end() ? 0 : rate->second;
}

std::string Chip::tensor_rate(const std::string& dtype, const std::string& accumulator) const {
  const std::string own = dtype + "_acc_" + accumulator;
  return tensor_flop_per_clk(own) > 0 ? own : dtype;
}

double Chip::peak_tflops(const std::string& dtype) const {
  return tensor_flop_per_clk(dtype) * sm.count * clock.boost_mhz * 1e-6;
}

Bytes Chip::l2_effective() const {
  return Bytes(static_cast<std::int64_t>(l2.capacity_mib * 1024 * 1024 * l2.effective_fraction));
}

}  // namespace attnsim
