// SPDX-License-Identifier: Apache-2.0
// What ships, by kind: the visible table behind `list` and `show`.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/json_fwd.h"

namespace attnsim::cli {

struct Entry {
  std::string name;
  std::string description;
};

struct Kind {
  std::string_view plural;  // as `list` takes it
  std::string_view singular;
  std::vector<Entry> (*entries)();
  std::string (*text)(const std::string& name, bool fitted);  // nullptr: its entries are only listed
  Json (*json)(const std::string& name);
};
[[nodiscard]] std::span<const Kind> kinds();

[[nodiscard]] std::string variant_text(const std::string& name, bool fitted);
[[nodiscard]] std::string schedule_text(const std::string& name, bool fitted);
[[nodiscard]] std::string chip_text(const std::string& name, bool fitted);
[[nodiscard]] std::string harness_full_text(const std::string& name, bool fitted);
[[nodiscard]] Json variant_json(const std::string& name);
[[nodiscard]] Json schedule_json(const std::string& name);
[[nodiscard]] Json chip_json(const std::string& name);
[[nodiscard]] Json harness_json(const std::string& name);

}  // namespace attnsim::cli
