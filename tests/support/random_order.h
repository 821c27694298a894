// SPDX-License-Identifier: Apache-2.0
// Random orders of layouts of one to three axes whose tiles come in groups that begin anywhere and overlap.
#pragma once

#include <utility>
#include <vector>

#include "sim/ir/row_order.h"
#include "tests/support/draw.h"

namespace attnsim::test {

inline ir::RowOrder random_groups(Draw& draw) {
  ir::RowOrder::Extents length, dilation, tile;
  std::vector<ir::RowOrder::TileGroups> groups;
  const std::int64_t rank = draw.integer(1, 3);
  for (std::int64_t a = 0; a < rank; ++a) {
    length.push_back(draw.integer(3, 14));
    dilation.push_back(draw.integer(1, 3));
    tile.push_back(draw.integer(1, 4));
    ir::RowOrder::TileGroups& axis = groups.emplace_back();
    axis.tiles = draw.integer(1, 3);
    const std::int64_t count = draw.integer(1, 3);
    for (std::int64_t r = 0; r < dilation.back(); ++r) {
      const std::int64_t tokens = (length.back() - r + dilation.back() - 1) / dilation.back();
      ir::RowOrder::Extents& begins = axis.begins.emplace_back();
      for (std::int64_t g = 0; g < count; ++g) begins.push_back(draw.integer(0, tokens - 1));
    }
  }
  return {std::move(length), std::move(dilation), std::move(tile), std::move(groups)};
}

}  // namespace attnsim::test
