// SPDX-License-Identifier: Apache-2.0
// Cycles that a region of one CTA takes, by the SM's counter, for kernels with one CTA on one SM.
#pragma once

#include "validation/cuda/micro/micro.h"

namespace attnsim::cuda {

ATTNSIM_D std::int64_t read_clock() {
  std::int64_t cycles;
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(cycles)::"memory");
  return cycles;
}

// Launches `kernel(result, arguments...)` with one CTA and returns what it wrote to result[0].
template <class... P, class... A>
double cycles_of(void (*kernel)(std::int64_t*, P...), int threads, std::size_t shared_bytes, const A&... arguments) {
  static const Buffer result(64);
  check(launch(kernel, dim3(1), dim3(static_cast<unsigned>(threads)), shared_bytes, nullptr, result.get<std::int64_t>(), arguments...),
        "launch");
  check(cudaDeviceSynchronize(), "microbenchmark");
  return static_cast<double>(result.values<std::int64_t>()[0]);
}

}  // namespace attnsim::cuda
