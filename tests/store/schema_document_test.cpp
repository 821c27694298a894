// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <sstream>

#include "sim/store/schema.h"
#include "tests/store/sample.h"

using namespace attnsim;

namespace {

// First words of the column definitions; constraints begin with capitals.
std::vector<std::string> column_names(std::string_view columns) {
  std::vector<std::string> names;
  std::size_t depth = 0, begin = 0;
  for (std::size_t i = 0; i <= columns.size(); ++i) {
    if (i < columns.size() && columns[i] == '(') ++depth;
    if (i < columns.size() && columns[i] == ')') --depth;
    if (i < columns.size() && (columns[i] != ',' || depth > 0)) continue;
    std::istringstream words{std::string(columns.substr(begin, i - begin))};
    std::string name;
    words >> name;
    if (name != "PRIMARY" && name != "CHECK") names.push_back(name);
    begin = i + 1;
  }
  return names;
}

}  // namespace

TEST_CASE("docs/store.md names every table and every column") {
  const std::string document = test::read_bytes(std::filesystem::path(ATTNSIM_SOURCE_DIR) / "docs" / "store.md");
  for (const store::Table& table : store::tables()) {
    const std::string head = "| `" + std::string(table.name) + "` |";
    const std::size_t at = document.find(head);
    INFO(table.name);
    REQUIRE(at != std::string::npos);
    const std::string line = document.substr(at, document.find('\n', at) - at);
    for (const std::string& column : column_names(table.columns)) {
      INFO(column);
      CHECK(line.find("`" + column + "`") != std::string::npos);
    }
  }
}
