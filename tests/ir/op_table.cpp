// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <set>

#include "sim/ir/op.h"

using namespace attnsim;

TEST_CASE("the op table has one row per kind, in order, with distinct names", "[ir]") {
  std::set<std::string_view> names;
  int index = 0;
  for (const ir::OpInfo& row : ir::op_table()) {
    CHECK(static_cast<int>(row.kind) == index++);
    CHECK(names.insert(row.name).second);
    CHECK_FALSE(row.description.empty());
    CHECK(&ir::info(row.kind) == &row);
  }
  CHECK(index == static_cast<int>(ir::OpKind::await) + 1);
}

TEST_CASE("function and type names are distinct and total", "[ir]") {
  std::set<std::string_view> names;
  for (int f = 0; f <= static_cast<int>(ir::Fn::tanh); ++f) CHECK(names.insert(name_of(static_cast<ir::Fn>(f))).second);
  for (int t = 0; t <= static_cast<int>(ir::DType::pred); ++t) {
    CHECK(names.insert(name_of(static_cast<ir::DType>(t))).second);
    CHECK(ir::bits_of(static_cast<ir::DType>(t)) > 0);
  }
}
