// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/row_order.h"

#include <catch2/catch.hpp>

#include "sim/core/error.h"
#include "tests/support/random_order.h"

using namespace attnsim;
using attnsim::ir::RowOrder;

TEST_CASE("row order: tiles in groups that begin anywhere") {
  // 8 tokens, tiles of 2 in groups of 2: from token 0 and from token 3.
  const RowOrder line({8}, {1}, {2}, {{2, {{0, 3}}}});
  std::vector<std::int64_t> rows;
  for (std::int64_t place = 0; place < line.places() + 2; ++place) rows.push_back(line.row(place));
  CHECK(rows == std::vector<std::int64_t>{0, 1, 2, 3, 3, 4, 5, 6, 8, 9});
  CHECK_THROWS(line.place(3));
  // 3 x 4 tokens, tiles of 2 x 2: the rows begin at 2, so that their tile is half padding; the columns at 1.
  const RowOrder box({3, 4}, {1, 1}, {2, 2}, {{1, {{2}}}, {1, {{1}}}});
  rows.clear();
  for (std::int64_t place = 0; place < box.places(); ++place) rows.push_back(box.row(place));
  CHECK(rows == std::vector<std::int64_t>{9, 10, RowOrder::kPadding, RowOrder::kPadding});
  // 7 tokens of dilation 2: class 0 from its token 1 on, class 1 from its token 2 on.
  const RowOrder dilated({7}, {2}, {2}, {{1, {{1}, {2}}}});
  rows.clear();
  for (std::int64_t place = 0; place < dilated.places(); ++place) rows.push_back(dilated.row(place));
  CHECK(rows == std::vector<std::int64_t>{2, 4, 5, RowOrder::kPadding});
  CHECK_THROWS_AS(RowOrder({7}, {2}, {2}, {{1, {{1}}}}), Invariant);
}

TEST_CASE("row order: a tile that begins anywhere counts as the whole tile in which it begins") {
  const RowOrder line({8}, {1}, {2}, {{2, {{0, 3}}}});
  CHECK(line.whole_tile(2) == 2);
  CHECK(line.whole_tile(4) == 2);  // tokens 3, 4
  CHECK(line.whole_tile(6) == 4);  // tokens 5, 6
  CHECK(line.whole_tile(9) == 9);  // behind the layout: one behind 8 places
  test::Draw draw(3);
  for (int i = 0; i < 200; ++i) {
    const RowOrder groups = test::random_groups(draw);
    const RowOrder grid(groups.length(), groups.dilation(), groups.tile());
    for (std::int64_t place = 0; place < groups.places(); place += groups.tile_volume()) {
      const std::int64_t first = groups.row(place);
      if (first == RowOrder::kPadding) continue;
      const std::int64_t tile = groups.whole_tile(place);
      REQUIRE(tile == grid.place(first) - grid.place(first) % grid.tile_volume());
      REQUIRE(grid.whole_tile(grid.place(first)) == tile);
    }
  }
}
