// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/row_order.h"

#include <algorithm>

#include "sim/core/error.h"

namespace attnsim::ir {

RowOrder::RowOrder(Extents length, Extents dilation, Extents tile)
    : length_(std::move(length)), dilation_(std::move(dilation)), tile_(std::move(tile)) {
  require(length_.size() == dilation_.size() && length_.size() == tile_.size(),
          "a row order has as many dilations and tile extents as axes");
  for (std::size_t a = 0; a < length_.size(); ++a) {
    const std::int64_t step = tile_[a] * dilation_[a];
    grid_.push_back((length_[a] + step - 1) / step);
    classes_ *= dilation_[a];
    tile_volume_ *= tile_[a];
    tiles_per_class_ *= grid_[a];
    rows_ *= length_[a];
  }
}

RowOrder::RowOrder(Extents length, Extents dilation, Extents tile, std::vector<TileGroups> groups)
    : RowOrder(std::move(length), std::move(dilation), std::move(tile)) {
  require(groups.size() == tile_.size(), "a row order has groups of tiles on all axes or none");
  whole_grid_ = grid_;
  tiles_per_class_ = 1;
  for (std::size_t a = 0; a < groups.size(); ++a) {
    require(groups[a].tiles >= 1 && groups[a].begins.size() == static_cast<std::size_t>(dilation_[a]),
            "every class has its groups of tiles");
    for (const Extents& begins : groups[a].begins)
      require(begins.size() == groups[a].begins.front().size(), "every class has as many groups of tiles");
    grid_[a] = static_cast<std::int64_t>(groups[a].begins.front().size()) * groups[a].tiles;
    tiles_per_class_ *= grid_[a];
  }
  groups_ = std::make_shared<const std::vector<TileGroups>>(std::move(groups));
}

RowOrder::RowOrder(std::vector<std::int32_t> listed, std::int64_t rows)
    : tile_volume_(static_cast<std::int64_t>(listed.size())),
      rows_(rows),
      listed_(std::make_shared<const std::vector<std::int32_t>>(std::move(listed))) {}

std::int64_t RowOrder::row(std::int64_t place) const {
  if (place >= places()) return rows_ + place - places();
  if (listed_) return (*listed_)[static_cast<std::size_t>(place)];
  std::int64_t inside = place % tile_volume_;
  std::int64_t tile = place / tile_volume_ % tiles_per_class_;
  std::int64_t residues = place / tile_volume_ / tiles_per_class_;
  std::int64_t row = 0;
  std::int64_t pitch = 1;
  for (std::size_t a = tile_.size(); a-- > 0;) {
    const std::int64_t residue = residues % dilation_[a];
    const std::int64_t x = (tile_begin(a, residue, tile % grid_[a]) + inside % tile_[a]) * dilation_[a] + residue;
    if (x >= length_[a]) return kPadding;
    row += x * pitch;
    pitch *= length_[a];
    inside /= tile_[a];
    tile /= grid_[a];
    residues /= dilation_[a];
  }
  return row;
}

std::int64_t RowOrder::place(std::int64_t row) const {
  require(!listed_ && !groups_, "a row may stand in lists and groups several times");
  if (row >= rows_) return places() + row - rows_;
  std::int64_t inside = 0, tile = 0, residues = 0;
  std::int64_t inside_pitch = 1, tile_pitch = 1, residue_pitch = 1;
  for (std::size_t a = tile_.size(); a-- > 0;) {
    const std::int64_t x = row % length_[a];
    const std::int64_t counted = x / dilation_[a];
    inside += counted % tile_[a] * inside_pitch;
    tile += counted / tile_[a] * tile_pitch;
    residues += x % dilation_[a] * residue_pitch;
    inside_pitch *= tile_[a];
    tile_pitch *= grid_[a];
    residue_pitch *= dilation_[a];
    row /= length_[a];
  }
  return (residues * tiles_per_class_ + tile) * tile_volume_ + inside;
}

std::int64_t RowOrder::whole_tile(std::int64_t place) const {
  if (!groups_) return place - place % tile_volume_;
  const std::int64_t classes_before = place / tile_volume_ / tiles_per_class_;
  std::int64_t whole_per_class = 1;
  for (const std::int64_t tiles : whole_grid_) whole_per_class *= tiles;
  if (place >= places()) return classes_ * whole_per_class * tile_volume_ + place - places();
  std::int64_t residues = classes_before;
  std::int64_t tile = place / tile_volume_ % tiles_per_class_;
  std::int64_t whole = 0;
  std::int64_t pitch = 1;
  for (std::size_t a = tile_.size(); a-- > 0;) {
    const std::int64_t begin = tile_begin(a, residues % dilation_[a], tile % grid_[a]);
    whole += std::min(begin / tile_[a], whole_grid_[a] - 1) * pitch;
    pitch *= whole_grid_[a];
    tile /= grid_[a];
    residues /= dilation_[a];
  }
  return (classes_before * whole_per_class + whole) * tile_volume_;
}

}  // namespace attnsim::ir
