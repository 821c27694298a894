// SPDX-License-Identifier: Apache-2.0
// Content as rows of the schema's tables. Pure; knows no database.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/store/store.h"

namespace attnsim::store {

using Value = std::variant<std::monostate, std::int64_t, double, std::string>;  // monostate: NULL
struct Row {
  std::string_view table;
  std::vector<Value> values;
};

// The row of `results` first, then the rows of every table of kind `of_result`.
[[nodiscard]] std::vector<Row> rows_of(const Result& result);
[[nodiscard]] std::vector<Row> rows_of(const StoredComparison& comparison);
[[nodiscard]] Row row_of(const Sweep& sweep);
[[nodiscard]] Row row_of(const SweepPoint& point);
[[nodiscard]] Row row_of(const ValidationRow& row);

// One line without its end: values separated by tabs, `\N` for NULL, shortest round-trip numbers; tab, newline and backslash in
// texts are escaped.
[[nodiscard]] std::string render(const std::vector<Value>& values);

}  // namespace attnsim::store
