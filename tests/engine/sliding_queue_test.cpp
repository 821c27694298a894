// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/sliding_queue.h"

#include <catch2/catch.hpp>

#include "tests/support/draw.h"

using namespace attnsim;
using namespace attnsim::test;

TEST_CASE("a sliding queue gives back what it was given, in order, equal ones in the order of arrival") {
  struct Entry {
    std::int64_t key = 0;
    int age = 0;
  };
  Draw draw(3);
  SlidingQueue<Entry> queue;
  std::vector<Entry> expected;
  for (int i = 0; i < 3000; ++i) {
    if (draw.chance(0.5)) {
      const Entry entry{draw.integer(0, 40) + i / 10, i};
      const auto before = [](const Entry& a, const Entry& b) { return a.key < b.key; };
      queue.place_before([&](const Entry& other) { return before(entry, other); }) = entry;
      expected.insert(std::upper_bound(expected.begin(), expected.end(), entry, before), entry);
    } else if (draw.chance(0.1) && !expected.empty()) {
      const Entry entry{expected.front().key, i};
      queue.first_place() = entry;
      expected.insert(expected.begin(), entry);
    } else if (!expected.empty()) {
      REQUIRE(queue.top().age == expected.front().age);
      queue.pop();
      expected.erase(expected.begin());
    }
    REQUIRE(queue.size() == expected.size());
  }
}
