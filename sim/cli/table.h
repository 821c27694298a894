// SPDX-License-Identifier: Apache-2.0
// Text columns and numbers for the terminal. Columns that start with '>' in the header are right-aligned:
//   TextTable t({"rung", ">time"}); t.add({"flops", "512.1 us"}); t.render(2)
//     rung       time
//     flops  512.1 us
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace attnsim::cli {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header);
  void add(std::vector<std::string> row);
  // The last column wraps so that lines stay within `width`.
  [[nodiscard]] std::string render(std::size_t indent, std::size_t width = 100) const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

[[nodiscard]] std::string microseconds(std::optional<double> us);  // "512.1 us", "4.21 ms", "-"
[[nodiscard]] std::string times(std::optional<double> factor);     // "2.13x", "-"
[[nodiscard]] std::string percent(double fraction);                // "78.2 %"
[[nodiscard]] std::string engineering(double value);               // "1.23 G"

}  // namespace attnsim::cli
