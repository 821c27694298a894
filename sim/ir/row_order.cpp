// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/row_order.h"

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
    const std::int64_t counted = tile % grid_[a] * tile_[a] + inside % tile_[a];
    const std::int64_t x = counted * dilation_[a] + residues % dilation_[a];
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
  require(!listed_, "a row may stand in a list several times");
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

}  // namespace attnsim::ir
