// SPDX-License-Identifier: Apache-2.0
// Counter-based generator: the n-th draw is a function of (seed, n) alone, the same on every platform (splitmix64's mixer).
#pragma once

#include <cstdint>

namespace attnsim::value {

class CounterRng {
 public:
  explicit CounterRng(std::uint64_t seed) : seed_(seed) {}
  [[nodiscard]] std::uint64_t next() {
    std::uint64_t z = seed_ + 0x9E3779B97F4A7C15ULL * ++counter_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  // In 0 .. bound - 1; the bias of the remainder is below 2^-40 for the bounds used here.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // In [-1, 1).
  [[nodiscard]] double symmetric() { return static_cast<double>(next() >> 11) * 0x1p-52 - 1.0; }

 private:
  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
};

}  // namespace attnsim::value
