// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/distribution.h"

#include <catch2/catch.hpp>
#include <limits>

#include "sim/value/counter_rng.h"
#include "tests/support/toy_machine.h"

using namespace attnsim;

namespace {

ItemCost cost_of(double shared, double alone) {
  ItemCost cost;
  cost.shared_ticks = shared;
  cost.alone_ticks = alone;
  return cost;
}

ir::Kernel grid_of(std::size_t tiles, std::int64_t slabs) {
  ir::Kernel kernel;
  ir::ItemFamily family;
  family.slab_count = slabs;
  family.tiles.resize(tiles);
  kernel.families.push_back(family);
  return kernel;
}

double duration(const ItemCost& cost, std::size_t k, int slots) {
  if (slots == 1) return cost.alone_ticks;
  return cost.alone_ticks + (cost.shared_ticks * slots - cost.alone_ticks) * static_cast<double>(k - 1) / (slots - 1);
}

// One end after the other: an SM's items progress at 1 / duration(k); the next item goes where a place is free first.
double item_by_item(const std::vector<const ItemCost*>& items, int sms, int slots) {
  struct Running {
    double left;
    const ItemCost* cost;
  };
  struct Sm {
    double now = 0;
    std::vector<Running> running;
  };
  std::vector<Sm> all(static_cast<std::size_t>(sms));
  std::size_t next = 0;
  for (int place = 0; place < sms * slots && next < items.size(); ++place)
    all[static_cast<std::size_t>(place % sms)].running.push_back({1, items[next++]});
  double end = 0;
  while (true) {
    Sm* first = nullptr;
    std::size_t which = 0;
    double soonest = std::numeric_limits<double>::infinity();
    for (Sm& sm : all) {
      for (std::size_t i = 0; i < sm.running.size(); ++i) {
        const double at = sm.now + sm.running[i].left * duration(*sm.running[i].cost, sm.running.size(), slots);
        if (at >= soonest) continue;
        soonest = at;
        first = &sm;
        which = i;
      }
    }
    if (first == nullptr) return end;
    for (Running& r : first->running) r.left -= (soonest - first->now) / duration(*r.cost, first->running.size(), slots);
    first->now = soonest;
    end = std::max(end, soonest);
    first->running.erase(first->running.begin() + static_cast<std::ptrdiff_t>(which));
    if (next < items.size()) first->running.push_back({1, items[next++]});
  }
}

}  // namespace

TEST_CASE("the makespan of a grid is that of its items placed one after the other") {
  value::CounterRng rng(7);
  for (int round = 0; round < 200; ++round) {
    const int sms = 1 + static_cast<int>(rng.below(9));
    const int slots = 1 + static_cast<int>(rng.below(4));
    // All different, so that no two places are free at the same time.
    std::vector<ItemCost> kinds;
    for (std::uint64_t i = rng.below(150); i > 0; --i) {
      const double shared = 1000 + 500 * rng.symmetric();
      kinds.push_back(cost_of(shared, slots == 1 ? shared : shared * (1 + (slots - 1) * (0.5 + 0.4 * rng.symmetric()))));
    }
    CostTable table{{}};
    for (const ItemCost& kind : kinds) table[0].push_back(&kind);
    const ir::Kernel kernel = grid_of(kinds.size(), 1);
    const std::vector<const ItemCost*>& items = table[0];
    CAPTURE(round, sms, slots, items.size());
    // With many items for each place the classes stand for their mean.
    const double error = items.size() > 40 * static_cast<std::size_t>(sms * slots) ? 1e-3 : 0;
    CHECK(makespan(kernel, table, sms, slots) == Approx(item_by_item(items, sms, slots)).epsilon(error).margin(1e-6));
  }
}

TEST_CASE("equal items make whole waves") {
  const ItemCost cost = cost_of(500, 500);
  const CostTable table{{&cost}};
  for (const int items : {1, 7, 8, 9, 16, 1001}) {
    CHECK(makespan(grid_of(1, items), table, 8, 1) == Approx(500.0 * ((items + 7) / 8)));
  }
}

TEST_CASE("what follows a first wave of equal items goes to an SM of its own each, in clusters and later to the SM that is free first") {
  const ItemCost cost = cost_of(100, 150);  // 200 side by side, 150 alone
  const CostTable table{{&cost}};
  ir::Kernel kernel = grid_of(1, 6);
  CHECK(makespan(kernel, table, 2, 2) == 200 + 150);
  kernel.families[0].slab_count = 10;
  CHECK(makespan(kernel, table, 2, 2) == 200 + 200 + 200);
  kernel.families[0].slab_count = 6;
  kernel.grid.cluster = 2;
  CHECK(makespan(kernel, table, 2, 2) == 200 + 200);
}

TEST_CASE("of a grid of very many items the beginning may be spread evenly") {
  const int sms = 3;
  std::vector<ItemCost> kinds;
  for (int i = 1; i <= 50; ++i) kinds.push_back(cost_of(10.0 * i, 10.0 * i));
  CostTable table{{}};
  for (const ItemCost& kind : kinds) table[0].push_back(&kind);
  for (const std::int64_t slabs : {52, 61, 77, 100}) {
    for (const auto fastest : {ir::Fastest::tiles, ir::Fastest::slabs}) {
      for (const auto order : {ir::TileOrder::ascending, ir::TileOrder::descending}) {
        ir::Kernel kernel = grid_of(kinds.size(), slabs);
        kernel.grid.fastest = fastest;
        kernel.grid.tile_order = order;
        std::vector<const ItemCost*> items;
        const ir::ItemSequence sequence(kernel);
        for (std::int64_t i = 0; i < sequence.size(); ++i) {
          items.push_back(&kinds[static_cast<std::size_t>(sequence.at(i).tile - kernel.families[0].tiles.data())]);
        }
        const double exact = item_by_item(items, sms, 1);
        REQUIRE(exact > 400 * kinds.back().shared_ticks);
        CHECK(makespan(kernel, table, sms, 1) == Approx(exact).epsilon(0.001));
      }
    }
  }
}

TEST_CASE("runs of a grid name its items in grid order") {
  ir::Kernel kernel;
  for (const std::int64_t slabs : {5, 2}) {
    ir::ItemFamily family;
    family.slab_count = slabs;
    family.tiles.resize(3);
    kernel.families.push_back(family);
  }
  for (const auto fastest : {ir::Fastest::tiles, ir::Fastest::slabs}) {
    for (const auto order : {ir::TileOrder::ascending, ir::TileOrder::descending}) {
      for (const std::int64_t section : {0, 2}) {
        kernel.grid.fastest = fastest;
        kernel.grid.tile_order = order;
        kernel.grid.section_slabs = section;
        const ir::ItemSequence sequence(kernel);
        std::int64_t position = 0;
        each_run(kernel, [&](std::size_t family, std::size_t tile, std::int64_t count) {
          for (; count > 0; --count) REQUIRE(sequence.at(position++).tile == &kernel.families[family].tiles[tile]);
        });
        CHECK(position == sequence.size());
      }
    }
  }
}

TEST_CASE("CTAs with lists of their own that find no room follow on the SM that is free first") {
  ir::Kernel kernel = grid_of(7, 1);
  kernel.grid.policy = ir::GridPolicy::lists;
  kernel.grid.lists = {{0, 1}, {2}, {3}, {4, 5}, {6}};  // 30, 30, 40, 110 and 70 ticks
  std::vector<ItemCost> kinds;
  for (const double ticks : {10, 20, 30, 40, 50, 60, 70}) kinds.push_back(cost_of(ticks, ticks));
  CostTable costs(1);
  for (const ItemCost& kind : kinds) costs[0].push_back(&kind);
  MachineConfig config = test::toy_config();
  config.ctas_per_sm = 1;
  const auto on = [&](int sms) {
    config.sms = sms;
    return distribute(kernel, costs, config, true).ticks;
  };
  CHECK(on(5) == 110);
  CHECK(on(3) == 140);  // 30 + 110, 30 + 70, 40
  CHECK(on(2) == 140);  // 30 + 40 + 70, 30 + 110
  CHECK(on(1) == 280);
}
