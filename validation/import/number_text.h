// SPDX-License-Identifier: Apache-2.0
// Numbers and units as profilers print them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace attnsim {

// "1,234.5", "1.234,5", "1234.5", "65,77", "27.595.520": the later of two kinds of separator is the decimal one; one kind alone that
// stands before groups of three digits only, and more than once or as a comma, separates thousands. Absent for what is no number.
[[nodiscard]] std::optional<double> number_of(const std::string& text);

// Microseconds, megahertz of one unit: ns, nsecond, us, usecond, ms, s, second, ...; hz, Khz, Mhz, Ghz, cycle/nsecond, cycle/second, ...
// Absent for an unknown unit.
[[nodiscard]] std::optional<double> microseconds_of(const std::string& unit);
[[nodiscard]] std::optional<double> megahertz_of(const std::string& unit);

// Factor of a unit with a decimal prefix over the plain one: "Kbyte" 1e3, "Mbyte" 1e6, "Ginst" 1e9, "byte", "%", "" 1.
[[nodiscard]] double prefix_of(const std::string& unit);

// "424.766us", "7.914ms", "1.158s", "12 ns" in microseconds.
[[nodiscard]] std::optional<double> duration_us(const std::string& text);

// "(128, 1, 1)" -> {128, 1, 1}; zeros for what is no triple.
[[nodiscard]] std::array<std::int64_t, 3> triple_of(const std::string& text);

[[nodiscard]] std::string trimmed(const std::string& text);

}  // namespace attnsim
