// SPDX-License-Identifier: Apache-2.0
// Quantities with their unit in the type. Mixing two units does not compile:
//   Bytes{4} + Cycles{1.0}   // error
//   Bytes{4} + Bytes{4}      // Bytes{8}
#pragma once

#include <compare>
#include <cstdint>

namespace attnsim {

template <class Tag, class Rep>
class Quantity {
 public:
  using rep = Rep;
  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep count() const { return value_; }
  constexpr Quantity& operator+=(Quantity other) {
    value_ += other.value_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value_ -= other.value_;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value_ + b.value_); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value_ - b.value_); }
  friend constexpr Quantity operator*(Quantity a, Rep factor) { return Quantity(a.value_ * factor); }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;

 private:
  Rep value_{};
};

using Bytes = Quantity<struct BytesTag, std::int64_t>;
using Flops = Quantity<struct FlopsTag, std::int64_t>;  // 1 multiply-add = 2
using Cycles = Quantity<struct CyclesTag, double>;      // SM cycles
using Ticks = Quantity<struct TicksTag, std::int64_t>;  // engine time, 1/1024 SM cycle
using Nanoseconds = Quantity<struct NanosecondsTag, double>;
using Megahertz = Quantity<struct MegahertzTag, double>;
using BytesPerCycle = Quantity<struct BytesPerCycleTag, double>;            // per SM cycle
using GigabytesPerSecond = Quantity<struct GigabytesPerSecondTag, double>;  // 1e9 bytes per second

inline constexpr std::int64_t kTicksPerCycle = 1024;

// Rounds up, so that a service time is never below its exact value.
[[nodiscard]] constexpr Ticks ticks_ceil(double cycles) {
  const double exact = cycles * static_cast<double>(kTicksPerCycle);
  const auto floor = static_cast<std::int64_t>(exact);
  return Ticks(static_cast<double>(floor) < exact ? floor + 1 : floor);
}
[[nodiscard]] constexpr Cycles to_cycles(Ticks t) {
  return Cycles(static_cast<double>(t.count()) / static_cast<double>(kTicksPerCycle));
}
[[nodiscard]] constexpr Nanoseconds to_nanoseconds(Cycles c, Megahertz clock) {
  return Nanoseconds(c.count() * 1e3 / clock.count());
}
[[nodiscard]] constexpr Cycles to_cycles(Nanoseconds ns, Megahertz clock) {
  return Cycles(ns.count() * clock.count() * 1e-3);
}
[[nodiscard]] constexpr BytesPerCycle per_cycle(GigabytesPerSecond bw, Megahertz clock) {
  return BytesPerCycle(bw.count() * 1e3 / clock.count());
}
[[nodiscard]] constexpr Cycles transfer_cycles(Bytes bytes, BytesPerCycle rate) {
  return Cycles(static_cast<double>(bytes.count()) / rate.count());
}

}  // namespace attnsim
