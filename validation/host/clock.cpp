// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdint>

#include "validation/host/microbenchmarks.h"

namespace attnsim::host {

namespace {

constexpr int kIterations = 4000;

#if defined(__x86_64__)
constexpr double kCyclesPerIteration = 16;  // sixteen dependent additions; the loop's own counter runs beside them
void chain() {
  std::uint64_t x = 0;
  for (int i = 0; i < kIterations; ++i) {
    asm volatile(
        "add $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\t"
        "add $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0\n\tadd $1, %0"
        : "+r"(x));
  }
}
#else
constexpr double kCyclesPerIteration = 4;  // dependent multiply (3) and add (1) on common 64-bit cores
volatile std::uint64_t sink = 0;
void chain() {
  std::uint64_t x = sink | 1;
  for (int i = 0; i < kIterations; ++i) x = x * 6364136223846793005ULL + 1442695040888963407ULL;
  sink = x;
}
#endif

}  // namespace

double core_clock_mhz() {
  const auto start = std::chrono::steady_clock::now();
  chain();
  const std::chrono::duration<double, std::micro> elapsed = std::chrono::steady_clock::now() - start;
  return kIterations * kCyclesPerIteration / elapsed.count();
}

}  // namespace attnsim::host
