// SPDX-License-Identifier: Apache-2.0
// Options of several commands: effects switched off, a measured time.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace attnsim::cli {

// "clock,l2_hits" or several such texts. Throws ConfigError with the nearest name for one that is no effect.
[[nodiscard]] std::set<std::string> parse_effects(const std::vector<std::string>& texts);

// "950us", "1.2ms", "0.3 s", "950" (microseconds). Throws ConfigError.
[[nodiscard]] double parse_time_us(const std::string& text);

}  // namespace attnsim::cli
