// SPDX-License-Identifier: Apache-2.0
// The tables, in an order in which each refers only to tables before it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace attnsim::store {

inline constexpr std::int64_t kApplicationId = 0x6174746e;  // "attn", PRAGMA application_id

enum class TableKind : std::uint8_t {
  run_record,  // who, when, where: not content
  key,         // rows with an identity of their own
  of_result    // parts of one result: first column `result`, replaced as a whole
};

struct Table {
  std::string_view name;
  TableKind kind;
  std::string_view columns;  // SQL between the parentheses
};
[[nodiscard]] std::span<const Table> tables();

}  // namespace attnsim::store
