// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/group_rows.h"

#include <catch2/catch.hpp>
#include <set>

#include "tests/support/chips.h"
#include "tests/support/random_order.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using attnsim::ir::RowOrder;

TEST_CASE("row order: rows of groups of tiles, each once") {
  test::Draw draw(4);
  for (int i = 0; i < 300; ++i) {
    const RowOrder order = test::random_groups(draw);
    std::vector<bounds::Interval> places;
    std::set<std::int64_t> expected;
    for (std::int64_t at = 0; at < order.places() + order.tile_volume();) {
      const std::int64_t begin = at + draw.integer(0, 2) * order.tile_volume();
      const std::int64_t end = begin + draw.integer(1, 5) * order.tile_volume();
      places.push_back({begin, end});
      for (std::int64_t place = begin; place < end; ++place)
        if (order.row(place) != RowOrder::kPadding) expected.insert(order.row(place));
      at = end + order.tile_volume();
    }
    std::set<std::int64_t> found;
    std::int64_t count = 0;
    for (const bounds::Interval& rows : bounds::group_rows(order, places)) {
      for (std::int64_t row = rows.begin; row < rows.end; ++row, ++count) found.insert(row);
    }
    REQUIRE(found == expected);
    REQUIRE(count == static_cast<std::int64_t>(found.size()));
  }
}

TEST_CASE("touched rows of KV tiles that overlap equal those of a walk over all items") {
  using Case = std::tuple<const char*, std::int64_t, const char*, const char*, const char*, std::int64_t>;
  const std::vector<Case> cases{
      {"300", 300, "70", "5", "1", 0}, {"23x19", 23 * 19, "9x5", "1x1", "2x1", 10}, {"9x8x11", 9 * 8 * 11, "3x3x4", "3x1x2", "1x2x1", 0}};
  for (const auto& [layout, tokens, window, stride, dilation, extra] : cases) {
    Problem problem;
    problem.batch = 1;
    problem.q_heads = problem.kv_heads = 2;
    problem.q_len = {tokens};
    problem.kv_len = {tokens + extra};
    problem.head_dim_qk = problem.head_dim_v = 64;
    problem.params = {{"layout", layout}, {"window", window}, {"stride", stride}, {"dilation", dilation}, {"extra_keys", extra}};
    const ir::Pipeline p = lower(variant("gna"), problem, load_schedule("natten-fna-sm80"), test::a100());
    const auto& kernel = std::get<ir::Kernel>(p.nodes()[0].work);
    const RowOrder& order = kernel.program.orders.back();
    REQUIRE(order.has_groups());
    std::set<std::int64_t> rows;
    for (const ir::RowTile& tile : kernel.families.front().tiles) {
      for (const ir::TripRun& run : tile.runs) {
        const std::int64_t end =
            std::min(run.first * order.tile_volume() + run.count * order.tile_volume(), kernel.families.front().loop_extent);
        for (std::int64_t place = run.first * order.tile_volume(); place < end; ++place)
          if (order.row(place) != RowOrder::kPadding) rows.insert(order.row(place));
      }
    }
    for (std::size_t t = 1; t <= 2; ++t) {
      const auto touch = bounds::touched_by(kernel, p.tensors());
      CHECK(bounds::union_bytes(touch[t].read, p.tensors()[t]) == Approx(2.0 * 2 * 64 * static_cast<double>(rows.size())));
    }
  }
}
