// SPDX-License-Identifier: Apache-2.0
// Items on SMs: a lower bound on a kernel's time that no dispatch order, overlap or placement can beat.
#pragma once

#include <string>

#include "sim/bounds/work.h"

namespace attnsim::bounds {

struct GridBound {
  double cycles = 0;    // from the launch of the first CTA; the start of that CTA included
  std::string limiter;  // a server's name, "latency" (a chain of one agent's steps) or "dispatch" (the CTA launch rate)
};

// For each server of an SM the scheduling bound over SMs (hardware or run-time dispatch) or the largest sum of a CTA's own items
// (static grids and lists), and the same for each agent's own serial steps over CTA slots. Servers are taken one by one:
// items that lean on different units may share an SM at no cost, so a sum over items of their largest time is no bound.
[[nodiscard]] GridBound grid_bound(const KernelWork& work, const ir::Kernel& kernel, const Chip& chip);

// CTAs of the kernel that an SM holds. Throws SimError when not even one fits.
[[nodiscard]] int ctas_per_sm(const ir::Kernel& kernel, const Chip& chip);

}  // namespace attnsim::bounds
