// SPDX-License-Identifier: Apache-2.0
// A fixed order of the tokens of an n-D layout in boxes, known before the kernel runs: dilation classes one after another, in
// each the tiles in row-major order, in each tile its tokens in row-major order, every axis padded to whole tiles. `place` is a
// position in that order, `row` a token of the layout in row-major order. Or tiles that begin anywhere: on every axis groups of so
// many tiles in a row, each group from a token of its own on, so that a token may stand in several (what query tiles visit that start
// their KV tiles at their first key). Or a list of rows, which may stand in it several times: what a kernel gathers.
//
//   RowOrder({4, 6}, {1, 1}, {2, 2}): places 4..7 are rows 2, 3, 8, 9
//   RowOrder({8}, {1}, {2}, {{.tiles = 2, .begins = {{0, 3}}}}): places 0..7 are rows 0, 1, 2, 3, 3, 4, 5, 6
//   RowOrder({0, 2, 3, -1, 1, 2}, 4): place 4 is row 1, place 3 padding
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace attnsim::ir {

class RowOrder {
 public:
  using Extents = std::vector<std::int64_t>;
  // One entry per axis each, all >= 1.
  RowOrder(Extents length, Extents dilation, Extents tile);
  // Of one axis: every group has so many tiles, begins[residue][group] is its first token, counted in the class. As many groups in each
  // class.
  struct TileGroups {
    std::int64_t tiles = 1;
    std::vector<Extents> begins;
  };
  RowOrder(Extents length, Extents dilation, Extents tile, std::vector<TileGroups> groups);
  // Rows, or kPadding, of so many.
  RowOrder(std::vector<std::int32_t> listed, std::int64_t rows);
  [[nodiscard]] bool is_list() const { return listed_ != nullptr; }
  [[nodiscard]] bool has_groups() const { return groups_ != nullptr; }
  [[nodiscard]] const std::vector<TileGroups>& groups() const { return *groups_; }  // one per axis
  [[nodiscard]] const Extents& length() const { return length_; }
  [[nodiscard]] const Extents& tile() const { return tile_; }
  [[nodiscard]] const Extents& dilation() const { return dilation_; }
  [[nodiscard]] const Extents& grid() const { return grid_; }  // tiles per axis of a class
  [[nodiscard]] std::int64_t tile_volume() const { return tile_volume_; }
  [[nodiscard]] std::int64_t tiles_per_class() const { return tiles_per_class_; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t places() const {
    return classes_ * tiles_per_class_ * tile_volume_;
  }  // padding included; of a list its length
  static constexpr std::int64_t kPadding = -1;
  // Row at a place, or kPadding. Rows behind those of the layout follow the last place, in their order.
  [[nodiscard]] std::int64_t row(std::int64_t place) const;
  // Where every row stands once.
  [[nodiscard]] std::int64_t place(std::int64_t row) const;
  // First token of a tile on an axis, counted in the class.
  [[nodiscard]] std::int64_t tile_begin(std::size_t axis, std::int64_t residue, std::int64_t number) const {
    if (!groups_) return number * tile_[axis];
    const TileGroups& groups = (*groups_)[axis];
    return groups.begins[static_cast<std::size_t>(residue)][static_cast<std::size_t>(number / groups.tiles)] +
           number % groups.tiles * tile_[axis];
  }
  // First place of the whole tile, in the order of the same boxes without groups, in which the tile of a place begins: groups that
  // overlap hold the same tiles by it.
  [[nodiscard]] std::int64_t whole_tile(std::int64_t place) const;

 private:
  Extents length_;
  Extents dilation_;
  Extents tile_;
  Extents grid_;
  std::int64_t classes_ = 1;
  std::int64_t tile_volume_ = 1;
  std::int64_t tiles_per_class_ = 1;
  std::int64_t rows_ = 1;
  std::shared_ptr<const std::vector<std::int32_t>> listed_;
  std::shared_ptr<const std::vector<TileGroups>> groups_;
  Extents whole_grid_;  // beside groups: tiles per axis without them
};

}  // namespace attnsim::ir
