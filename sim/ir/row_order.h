// SPDX-License-Identifier: Apache-2.0
// A fixed order of the tokens of an n-D layout in boxes, known before the kernel runs: dilation classes one after another, in
// each the tiles in row-major order, in each tile its tokens in row-major order, every axis padded to whole tiles. `place` is a
// position in that order, `row` a token of the layout in row-major order. Or a list of rows, which may stand in it several times:
// what a kernel gathers.
//
//   RowOrder({4, 6}, {1, 1}, {2, 2}): places 4..7 are rows 2, 3, 8, 9
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
  // Rows, or kPadding, of so many.
  RowOrder(std::vector<std::int32_t> listed, std::int64_t rows);
  [[nodiscard]] bool is_list() const { return listed_ != nullptr; }
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
  // Not of a list.
  [[nodiscard]] std::int64_t place(std::int64_t row) const;

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
};

}  // namespace attnsim::ir
