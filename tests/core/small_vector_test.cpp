// SPDX-License-Identifier: Apache-2.0
#include "sim/core/small_vector.h"

#include <catch2/catch.hpp>

using attnsim::SmallVector;

TEST_CASE("a small vector holds what a vector does, inside and beyond") {
  SmallVector<int, 3> small;
  std::vector<int> plain;
  for (int i = 0; i < 10; ++i) {
    CHECK(std::equal(small.begin(), small.end(), plain.begin(), plain.end()));
    small.push_back(i);
    plain.push_back(i);
    CHECK(small.back() == i);
    CHECK(small.front() == 0);
  }
  const SmallVector<int, 3> copy = small;
  small.push_front(-1);
  CHECK(copy.size() == 10);
  CHECK(small[0] == -1);
  CHECK(small[10] == 9);
  small.clear();
  CHECK(small.empty());
  small.push_back(small.empty() ? 5 : 6);
  CHECK(small.front() == 5);
}

TEST_CASE("a small vector may be given one of its own elements") {
  SmallVector<int, 2> small{1, 2};
  small.push_back(small.front());  // moves out of the inside
  CHECK(small.back() == 1);
  for (int i = 0; i < 20; ++i) small.push_back(small.front());
  CHECK(small.back() == 1);
}
