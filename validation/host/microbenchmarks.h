// SPDX-License-Identifier: Apache-2.0
// Physical figures of the processor, one parameter each. Rates per clock use the clock that the same run finds.
#pragma once

#include <string>
#include <vector>

#include "validation/bench/backend.h"
#include "validation/host/kernels.h"
#include "validation/host/pool.h"
#include "validation/host/system.h"

namespace attnsim::host {

[[nodiscard]] std::vector<bench::Microbenchmark> microbenchmarks(const Kernels& kernels, Pool& pool, const System& system,
                                                                 const std::string& only, double seconds_each);

// Core clock from a chain of dependent additions, one per cycle; about 20 us.
[[nodiscard]] double core_clock_mhz();

}  // namespace attnsim::host
