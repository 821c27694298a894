// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/switches.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "sim/core/error.h"
#include "sim/core/json_text.h"
#include "sim/result/conditions.h"

namespace attnsim::cli {

std::set<std::string> parse_effects(const std::vector<std::string>& texts) {
  std::vector<std::string> known;
  for (const Effect& effect : effects()) known.push_back(effect.name);
  std::set<std::string> out;
  std::vector<ConfigIssue> issues;
  for (const std::string& text : texts) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      const std::string name = text.substr(begin, end - begin);
      begin = end + 1;
      if (std::find(known.begin(), known.end(), name) != known.end())
        out.insert(name);
      else
        issues.push_back(
            {"command line", "/without", '"' + name + '"', "is no effect", json_text::joined(known), nearest_name(name, known)});
    }
  }
  if (!issues.empty()) throw ConfigError(std::move(issues));
  return out;
}

double parse_time_us(const std::string& text) {
  constexpr std::array<std::pair<const char*, double>, 5> kUnits{{{"", 1}, {"us", 1}, {"ms", 1e3}, {"ns", 1e-3}, {"s", 1e6}}};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  std::string unit(end);
  unit.erase(0, std::min(unit.find_first_not_of(' '), unit.size()));
  const auto found = std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& u) { return unit == u.first; });
  const double us = found == kUnits.end() ? 0 : value * found->second;
  if (end == text.c_str() || !std::isfinite(us) || !(us > 0) || us > 1e12)
    throw ConfigError(
        {"command line", "/measured", '"' + text + '"', "is no time", "a positive number with ns, us, ms or s, as 950us or 1.2ms", ""});
  return us;
}

}  // namespace attnsim::cli
