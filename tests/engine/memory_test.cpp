// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/memory.h"

#include <catch2/catch.hpp>

using attnsim::MemoryRates;
using attnsim::MemorySystem;

namespace {

double end_of_all(MemorySystem& memory) {
  double end = 0;
  while (memory.next_end() < 1e300) (void)memory.pop(end);
  return end;
}

}  // namespace

TEST_CASE("one transfer moves at the rate of its port") {
  MemorySystem memory(1, MemoryRates{2, 100, 100});
  memory.submit(0, 0, 1000, false, 7);
  double end = 0;
  CHECK(memory.pop(end) == 7);
  CHECK(end == Approx(500));
}

TEST_CASE("a transfer from HBM moves at HBM's rate when the port is faster") {
  MemorySystem memory(1, MemoryRates{10, 100, 4});
  memory.submit(0, 0, 1000, true, 0);
  CHECK(end_of_all(memory) == Approx(250));
}

TEST_CASE("two ports share HBM evenly and the longer transfer speeds up when the shorter ends") {
  MemorySystem memory(2, MemoryRates{10, 100, 4});
  memory.submit(0, 0, 100, true, 1);  // 2 bytes per tick until tick 50
  memory.submit(0, 1, 300, true, 2);  // 100 bytes by tick 50, then 4 per tick: 50 + 200 / 4
  double end = 0;
  CHECK(memory.pop(end) == 1);
  CHECK(end == Approx(50));
  CHECK(memory.pop(end) == 2);
  CHECK(end == Approx(100));
}

TEST_CASE("hits take the part of L2 that misses leave") {
  // HBM 2, L2 10: the miss runs at 2, two hits share 8, each 4 (ports allow 5).
  MemorySystem memory(3, MemoryRates{5, 10, 2});
  memory.submit(0, 0, 200, true, 0);
  memory.submit(0, 1, 400, false, 1);
  memory.submit(0, 2, 400, false, 2);
  double end = 0;
  (void)memory.pop(end);
  CHECK(end == Approx(100));
  (void)memory.pop(end);
  CHECK(end == Approx(100));
  (void)memory.pop(end);
  CHECK(end == Approx(100));
}

TEST_CASE("transfers of one port run in order") {
  MemorySystem memory(1, MemoryRates{1, 100, 100});
  memory.submit(0, 0, 10, false, 1);
  memory.submit(0, 0, 20, false, 2);
  double end = 0;
  CHECK(memory.pop(end) == 1);
  CHECK(end == Approx(10));
  CHECK(memory.pop(end) == 2);
  CHECK(end == Approx(30));
}

TEST_CASE("write-backs take half of HBM while reads are active") {
  MemorySystem memory(1, MemoryRates{10, 100, 4});
  memory.submit(0, 0, 200, true, 0);
  memory.write_back(0, 1e6);
  CHECK(end_of_all(memory) == Approx(100));
}

TEST_CASE("no byte is moved faster than the bandwidth, however many ports ask") {
  const int ports = GENERATE(1, 2, 7, 40);
  MemorySystem memory(ports, MemoryRates{3, 20, 8});
  double hbm_bytes = 0;
  double all_bytes = 0;
  for (int sm = 0; sm < ports; ++sm) {
    for (int i = 0; i < 5; ++i) {
      const bool miss = (sm + i) % 3 != 0;
      const std::int64_t bytes = 100 + 37 * ((sm * 5 + i) % 11);
      memory.submit(0, sm, bytes, miss, i);
      all_bytes += static_cast<double>(bytes);
      hbm_bytes += miss ? static_cast<double>(bytes) : 0;
    }
  }
  const double end = end_of_all(memory);
  CHECK(end * 8 >= hbm_bytes * (1 - 1e-9));
  CHECK(end * 20 >= all_bytes * (1 - 1e-9));
  CHECK(end * 3 * ports >= all_bytes * (1 - 1e-9));
}

TEST_CASE("a multicast part moves at the port's rate over the receivers, since each port takes all parts") {
  MemorySystem memory(2, MemoryRates{10, 100, 100, 2});
  memory.submit(0, 0, 500, false, 0, true);
  memory.submit(0, 1, 500, false, 1, true);
  CHECK(end_of_all(memory) == Approx(100));  // 5 bytes per tick each
}

TEST_CASE("what limits a slow class leaves more to the others") {
  // L2 gives 9: the multicast flow takes 2 (its port's 4 over two receivers), the plain one its port's 4.
  MemorySystem memory(2, MemoryRates{4, 9, 100, 2});
  memory.submit(0, 0, 40, false, 1, true);
  memory.submit(0, 1, 40, false, 2);
  double end = 0;
  CHECK(memory.pop(end) == 2);
  CHECK(end == Approx(10));
  CHECK(memory.pop(end) == 1);
  CHECK(end == Approx(20));
}

TEST_CASE("what passes between others takes nothing from them and is taken off the bandwidth that was left") {
  MemorySystem memory(1, MemoryRates{2, 10, 10}, true);
  memory.submit(0, 0, 100, false, 1);
  memory.pass(30);
  double end = 0;
  CHECK(memory.pop(end) == 1);
  CHECK(end == Approx(50));
  CHECK(memory.totals(50).l2_unused == Approx(50 * 10 - 100 - 30));
}
