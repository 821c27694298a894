// SPDX-License-Identifier: Apache-2.0
// L2 hits of kernels whose items walk panels of a matrix (Access::add_trip in the main loop): matrix products, passes over rows.
// Closed form over waves: the items in flight together fetch what they share once; a later wave, or a later pass over the same rows,
// finds what the last L2-full of distinct bytes left.
#pragma once

#include <vector>

#include "hwmodels/chip.h"
#include "sim/engine/machine.h"
#include "sim/engine/residency.h"

namespace attnsim {

[[nodiscard]] bool walks_panels(const ir::Kernel& kernel);
// `l2_bytes`: usable capacity. Bytes of loads that miss, and of stores.
struct PanelTraffic {
  double stored = 0;
  std::vector<double> loaded;   // by tensor
  std::vector<double> fetched;  // of these
};
[[nodiscard]] PanelTraffic panel_traffic(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, std::int64_t in_flight,
                                         double l2_bytes);

}  // namespace attnsim
