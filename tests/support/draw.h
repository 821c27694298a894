// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers for property tests: the k-th draw of a seed is the same on every machine.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace attnsim::test {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : seed_(seed) {}
  [[nodiscard]] std::uint64_t next() {
    std::uint64_t x = seed_ * 0x9e3779b97f4a7c15ULL + ++counter_ * 0xbf58476d1ce4e5b9ULL;  // SplitMix64's finaliser
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }
  [[nodiscard]] std::int64_t integer(std::int64_t low, std::int64_t high) {  // both ends included
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
  }
  [[nodiscard]] double number(double low, double high) { return low + (high - low) * static_cast<double>(next() >> 11) * 0x1.0p-53; }
  [[nodiscard]] bool chance(double probability) { return number(0, 1) < probability; }
  template <class T>
  [[nodiscard]] T pick(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(next() % choices.size())];
  }

 private:
  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
};

// Both ends included, from a generator that is the same on every machine too.
inline std::int64_t draw(std::mt19937& rng, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(high - low + 1));
}

}  // namespace attnsim::test
