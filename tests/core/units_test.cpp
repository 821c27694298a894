// SPDX-License-Identifier: Apache-2.0
#include "sim/core/units.h"

#include <catch2/catch.hpp>
#include <type_traits>

using namespace attnsim;

namespace {
template <class A, class B>
concept can_add = requires(A a, B b) {
  a + b;
};
}  // namespace

TEST_CASE("quantities of different units neither add nor convert") {
  STATIC_REQUIRE(can_add<Bytes, Bytes>);
  STATIC_REQUIRE_FALSE(can_add<Bytes, Cycles>);
  STATIC_REQUIRE_FALSE(can_add<Bytes, Flops>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<double, Cycles>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Cycles, Nanoseconds>);
}

TEST_CASE("ticks_ceil keeps whole ticks and rounds every fraction up") {
  CHECK(ticks_ceil(0) == Ticks(0));
  CHECK(ticks_ceil(3) == Ticks(3 * 1024));
  CHECK(ticks_ceil(5.0 / 1024) == Ticks(5));
  CHECK(ticks_ceil(5.25 / 1024) == Ticks(6));
  CHECK(ticks_ceil(1.0 / 3) == Ticks(342));  // 341.33
}

TEST_CASE("a rounded-up service time is never below the exact one and less than a tick above") {
  for (int i = 1; i < 2000; ++i) {
    const double cycles = i / 7.0;
    const double back = to_cycles(ticks_ceil(cycles)).count();
    CHECK(back >= cycles);
    CHECK(back < cycles + 1.0 / 1024);
  }
}

TEST_CASE("a 16 KiB tile at 3.35 TB/s and 1755 MHz takes 8.58 cycles") {
  const BytesPerCycle rate = per_cycle(GigabytesPerSecond(3350), Megahertz(1755));
  CHECK(rate.count() == Approx(3350e9 / 1755e6));
  CHECK(transfer_cycles(Bytes(16384), rate).count() == Approx(16384 * 1755e6 / 3350e9));
  CHECK(transfer_cycles(Bytes(16384), rate).count() == Approx(8.583).epsilon(1e-3));
}

TEST_CASE("a server that adds exact times and rounds once loses less than a tick over many transfers") {
  const double one = transfer_cycles(Bytes(16384), per_cycle(GigabytesPerSecond(3350), Megahertz(1755))).count();
  double carried = 0;
  for (int i = 0; i < 1000; ++i) carried += one;
  CHECK(static_cast<double>(ticks_ceil(carried).count()) - 1000 * one * 1024 < 1.001);
  CHECK(1000 * ticks_ceil(one).count() - ticks_ceil(carried).count() > 100);  // what rounding each transfer would cost
}

TEST_CASE("cycles and nanoseconds convert at a stated clock and back") {
  CHECK(to_nanoseconds(Cycles(1500), Megahertz(1500)).count() == Approx(1000));
  CHECK(to_cycles(to_nanoseconds(Cycles(123.5), Megahertz(1755)), Megahertz(1755)).count() == Approx(123.5));
}
