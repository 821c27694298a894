// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/group_rows.h"

#include <algorithm>
#include <array>
#include <optional>

#include "sim/core/error.h"

namespace attnsim::bounds {

namespace {

constexpr std::size_t kAxes = 3;  // the missing ones come first and have one token
using Coordinates = std::array<std::int64_t, kAxes>;

// Tokens of one dilation class and how many boxes hold each, as differences until they are summed up.
class ClassTokens {
 public:
  ClassTokens(const ir::RowOrder& order, std::int64_t number) : order_(order), missing_(kAxes - order.tile().size()) {
    for (std::size_t a = kAxes; a-- > missing_;) {
      const std::size_t axis = a - missing_;
      residue_[a] = number % order.dilation()[axis];
      number /= order.dilation()[axis];
      tokens_[a] = (order.length()[axis] - residue_[a] + order.dilation()[axis] - 1) / order.dilation()[axis];
    }
    pitch_ = {(tokens_[1] + 1) * (tokens_[2] + 1), tokens_[2] + 1, 1};
    boxes_.assign(static_cast<std::size_t>((tokens_[0] + 1) * pitch_[0]), 0);
  }

  // Tiles [begin, end) of the class, of one line along the last axis.
  void add_line(std::int64_t begin, std::int64_t end) {
    Coordinates low{}, high{1, 1, 1};
    std::int64_t outer = begin / order_.grid().back();
    for (std::size_t a = kAxes - 1; a-- > missing_;) {
      const std::size_t axis = a - missing_;
      low[a] = order_.tile_begin(axis, residue_[a], outer % order_.grid()[axis]);
      high[a] = low[a] + order_.tile()[axis];
      outer /= order_.grid()[axis];
    }
    const std::size_t last = order_.tile().size() - 1;
    const std::int64_t first = begin % order_.grid().back();
    const std::int64_t count = end - begin;
    const std::int64_t tiles = order_.groups()[last].tiles;
    for (std::int64_t at = first; at < first + count;) {
      const std::int64_t next = std::min(first + count, (at / tiles + 1) * tiles);
      low[kAxes - 1] = order_.tile_begin(last, residue_[kAxes - 1], at);
      high[kAxes - 1] = low[kAxes - 1] + (next - at) * order_.tile()[last];
      add_box(low, high);
      at = next;
    }
  }

  void append_rows(std::vector<Interval>& rows) {
    for (std::size_t a = 0; a < kAxes; ++a)
      for (std::size_t i = static_cast<std::size_t>(pitch_[a]); i < boxes_.size(); ++i)
        if (static_cast<std::int64_t>(i) / pitch_[a] % (tokens_[a] + 1) != 0) boxes_[i] += boxes_[i - static_cast<std::size_t>(pitch_[a])];
    for (std::int64_t i = 0; i < tokens_[0]; ++i)
      for (std::int64_t j = 0; j < tokens_[1]; ++j)
        for (std::int64_t k = 0; k < tokens_[2]; ++k)
          if (boxes_[static_cast<std::size_t>(i * pitch_[0] + j * pitch_[1] + k)] > 0) append(rows, row_of({i, j, k}));
  }

 private:
  void add_box(const Coordinates& low, Coordinates high) {
    for (std::size_t a = 0; a < kAxes; ++a) {
      high[a] = std::min(high[a], tokens_[a]);
      if (low[a] >= high[a]) return;
    }
    for (unsigned corner = 0; corner < 1U << kAxes; ++corner) {
      std::int64_t at = 0;
      int sign = 1;
      for (std::size_t a = 0; a < kAxes; ++a) {
        const bool behind = (corner >> a & 1U) != 0;
        at += (behind ? high[a] : low[a]) * pitch_[a];
        if (behind) sign = -sign;
      }
      boxes_[static_cast<std::size_t>(at)] += sign;
    }
  }

  [[nodiscard]] std::int64_t row_of(const Coordinates& x) const {
    std::int64_t row = 0;
    for (std::size_t a = missing_; a < kAxes; ++a)
      row = row * order_.length()[a - missing_] + x[a] * order_.dilation()[a - missing_] + residue_[a];
    return row;
  }

  static void append(std::vector<Interval>& rows, std::int64_t row) {
    if (!rows.empty() && rows.back().end == row)
      ++rows.back().end;
    else
      rows.push_back({row, row + 1});
  }

  const ir::RowOrder& order_;
  std::size_t missing_;
  Coordinates residue_{};
  Coordinates tokens_{1, 1, 1};
  Coordinates pitch_{};
  std::vector<std::int32_t> boxes_;
};

}  // namespace

std::vector<Interval> group_rows(const ir::RowOrder& order, const std::vector<Interval>& places) {
  require(order.tile().size() <= kAxes, "a layout has up to three axes");
  std::vector<Interval> rows;
  std::int64_t at_class = -1;
  std::optional<ClassTokens> tokens;
  const auto finish = [&] {
    if (tokens) tokens->append_rows(rows);
    tokens.reset();
  };
  for (const Interval& interval : places) {
    std::int64_t tile = interval.begin / order.tile_volume();
    const std::int64_t end = (std::min(interval.end, order.places()) + order.tile_volume() - 1) / order.tile_volume();
    while (tile < end) {
      const std::int64_t of_class = tile / order.tiles_per_class();
      if (of_class != at_class) {
        finish();
        tokens.emplace(order, of_class);
        at_class = of_class;
      }
      const std::int64_t line = std::min(end, (tile / order.grid().back() + 1) * order.grid().back());
      tokens->add_line(tile % order.tiles_per_class(), tile % order.tiles_per_class() + line - tile);
      tile = line;
    }
    const std::int64_t behind = std::max(interval.begin, order.places());
    if (behind < interval.end) {
      finish();
      rows.push_back({order.row(behind), order.row(behind) + interval.end - behind});
    }
  }
  finish();
  return rows;
}

}  // namespace attnsim::bounds
