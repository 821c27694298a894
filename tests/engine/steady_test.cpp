// SPDX-License-Identifier: Apache-2.0
// What is left out of a play because it goes on as before, against plays of all of it and figures by hand.
#include <catch2/catch.hpp>

#include "sim/engine/sliding_queue.h"
#include "sim/engine/steadiness.h"
#include "tests/support/draw.h"
#include "tests/support/toy_machine.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

// Marks after amounts of work that took so many ticks each.
std::vector<machine::Progress> marks_of(const std::vector<double>& ticks) {
  std::vector<machine::Progress> marks(1);
  for (const double t : ticks) {
    marks.push_back(marks.back());
    marks.back().ticks += t;
    marks.back().l2_bytes += 1000;
  }
  return marks;
}

MachineResult played(const ir::Kernel& kernel, int sms, bool leave_out) {
  const Chip chip = toy_chip();
  MachineConfig config = toy_config();
  config.sms = sms;
  config.leave_out_waves = leave_out;
  config.leave_out_trips = leave_out;
  config.start_offsets = false;
  config.count_work = false;
  return play(select_instructions(kernel, chip), {}, chip, config);
}

}  // namespace

TEST_CASE("a play is steady where its halves take the same time and the spread allows for what follows") {
  CHECK(machine::steady_amounts(marks_of({100, 100, 100}), 10) == 0);  // may agree by chance
  CHECK(machine::steady_amounts(marks_of({100, 100, 100, 100}), 1000) == 4);
  CHECK(machine::steady_amounts(marks_of({150, 100, 100, 100, 100}), 1000) == 4);  // the first belongs to the start
  CHECK(machine::steady_amounts(marks_of({100, 104, 108, 112}), 10) == 0);         // drifts by more than 1 %
  // Deviation 10 of 100 over 4 amounts: 5.8 of the mean of 100, times the amounts that follow, against 0.3 % of the whole.
  CHECK(machine::steady_amounts(marks_of({90, 110, 90, 110}), 100) == 0);
  CHECK(machine::steady_amounts(marks_of({90, 110, 90, 110}), 0.2) == 4);
}

TEST_CASE("a play is not steady while what comes from HBM or is owed to it changes") {
  std::vector<machine::Progress> marks = marks_of({100, 100, 100, 100});
  for (std::size_t i = 0; i < marks.size(); ++i) marks[i].hbm_bytes = 500.0 * static_cast<double>(i);
  CHECK(machine::steady_amounts(marks, 10) == 4);
  marks[4].hbm_bytes += 100;
  CHECK(machine::steady_amounts(marks, 10) == 0);
  marks[4].hbm_bytes -= 100;
  marks[4].owed_ticks = 50;
  CHECK(machine::steady_amounts(marks, 10) == 0);
}

TEST_CASE("a long loop of constant service times takes as long with trips left out") {
  for (const int items : {1, 3, 7}) {
    const ir::Kernel kernel = kernel_of({{exp_of(0)}}, 500, items);
    const MachineResult all = played(kernel, 3, false);
    const MachineResult part = played(kernel, 3, true);
    CAPTURE(items);
    CHECK(part.ticks == all.ticks);
    CHECK(part.resident_cycles == Approx(all.resident_cycles));
    CHECK(part.cta_cycles == Approx(all.cta_cycles));
    CHECK(part.drain_ticks == all.drain_ticks);
  }
}

TEST_CASE("many equal waves take as long with some of them left out, and end as they would") {
  for (const auto& [policy, items] : {std::pair{ir::GridPolicy::persistent_static, 40},
                                      {ir::GridPolicy::persistent_static, 43},
                                      {ir::GridPolicy::persistent_dynamic, 41},
                                      {ir::GridPolicy::one_item_per_cta, 41},
                                      {ir::GridPolicy::one_item_per_cta, 80}}) {
    ir::Kernel kernel = kernel_of({{exp_of(0)}}, 2, items);
    kernel.grid.policy = policy;
    const MachineResult all = played(kernel, 4, false);
    const MachineResult part = played(kernel, 4, true);
    CAPTURE(items, static_cast<int>(policy));
    CHECK(part.ticks == all.ticks);
    CHECK(part.ctas == all.ctas);
    CHECK(part.resident_cycles == Approx(all.resident_cycles));
    CHECK(part.cta_cycles == Approx(all.cta_cycles));
    CHECK(part.drain_ticks == all.drain_ticks);
    for (std::size_t i = 0; i < kWaitCount; ++i) CHECK(part.wait_cycles[i] == Approx(all.wait_cycles[i]));
  }
}

TEST_CASE("a sliding queue gives back what it was given, in order, equal ones in the order of arrival") {
  struct Entry {
    std::int64_t key = 0;
    int age = 0;
    bool before(const Entry& other) const { return key < other.key; }
  };
  Draw draw(3);
  SlidingQueue<Entry> queue;
  std::vector<Entry> expected;
  for (int i = 0; i < 3000; ++i) {
    if (draw.chance(0.55)) {
      const Entry entry{draw.integer(0, 40) + i / 10, i};
      queue.push(entry);
      expected.insert(std::upper_bound(expected.begin(), expected.end(), entry, [](const Entry& a, const Entry& b) { return a.before(b); }),
                      entry);
    } else if (!expected.empty()) {
      REQUIRE(queue.top().age == expected.front().age);
      queue.pop();
      expected.erase(expected.begin());
    }
    REQUIRE(queue.size() == expected.size());
  }
}
