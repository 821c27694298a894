// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "workloads/masks/gna.h"

namespace attnsim {

std::int64_t GnaShape::tokens() const {
  std::int64_t n = 1;
  for (const GnaAxis& axis : axes) n *= axis.length;
  return n;
}

std::int64_t GnaShape::classes() const {
  std::int64_t n = 1;
  for (const GnaAxis& axis : axes) n *= axis.dilation;
  return n;
}

std::vector<AxisClass> GnaShape::class_axes(std::int64_t c) const {
  std::vector<AxisClass> out(axes.size());
  for (std::size_t a = axes.size(); a-- > 0;) {
    out[a] = axis_class(axes[a], c % axes[a].dilation);
    c /= axes[a].dilation;
  }
  return out;
}

std::int64_t volume(const TileShape& tile) {
  std::int64_t n = 1;
  for (const std::int64_t extent : tile) n *= extent;
  return n;
}

std::string text(const TileShape& tile) {
  std::string out;
  for (const std::int64_t extent : tile) out += (out.empty() ? "" : "x") + std::to_string(extent);
  return out;
}

TokenOrder::TokenOrder(const GnaShape& shape, TileShape tile) : tile_(std::move(tile)), classes_(shape.classes()) {
  for (std::size_t a = 0; a < shape.axes.size(); ++a) {
    length_.push_back(shape.axes[a].length);
    dilation_.push_back(shape.axes[a].dilation);
    const std::int64_t step = tile_[a] * dilation_[a];
    grid_.push_back((length_[a] + step - 1) / step);
  }
}

std::int64_t TokenOrder::token(std::int64_t place) const {
  std::int64_t inside = place % volume(tile_);
  std::int64_t tile = place / volume(tile_) % tiles_per_class();
  std::int64_t residues = place / volume(tile_) / tiles_per_class();
  std::int64_t token = 0;
  std::int64_t pitch = 1;
  for (std::size_t a = tile_.size(); a-- > 0;) {
    const std::int64_t counted = tile % grid_[a] * tile_[a] + inside % tile_[a];
    const std::int64_t x = counted * dilation_[a] + residues % dilation_[a];
    if (x >= length_[a]) return kPadding;
    token += x * pitch;
    pitch *= length_[a];
    inside /= tile_[a];
    tile /= grid_[a];
    residues /= dilation_[a];
  }
  return token;
}

std::int64_t TokenOrder::place(std::int64_t token) const {
  std::int64_t inside = 0, tile = 0, residues = 0;
  std::int64_t inside_pitch = 1, tile_pitch = 1, residue_pitch = 1;
  for (std::size_t a = tile_.size(); a-- > 0;) {
    const std::int64_t x = token % length_[a];
    const std::int64_t counted = x / dilation_[a];
    inside += counted % tile_[a] * inside_pitch;
    tile += counted / tile_[a] * tile_pitch;
    residues += x % dilation_[a] * residue_pitch;
    inside_pitch *= tile_[a];
    tile_pitch *= grid_[a];
    residue_pitch *= dilation_[a];
    token /= length_[a];
  }
  return (residues * tiles_per_class() + tile) * volume(tile_) + inside;
}

VisitCounts visit_counts(const GnaShape& shape, const TileShape& tile_q, const TileShape& tile_kv) {
  VisitCounts counts{1, 0, 0};
  for (std::size_t a = 0; a < shape.axes.size(); ++a) {
    const std::int64_t longest = axis_class(shape.axes[a], 0).tokens;
    counts.kv_tiles *= (longest + tile_kv[a] - 1) / tile_kv[a];
  }
  // Query tiles of a class are a product, so maxima and means multiply.
  double visited = 0;
  std::int64_t query_tiles = 0;
  for (std::int64_t c = 0; c < shape.classes(); ++c) {
    const std::vector<AxisClass> axes = shape.class_axes(c);
    std::int64_t most = 1;
    std::int64_t tiles = 1;
    double sum = 1;
    for (std::size_t a = 0; a < axes.size(); ++a) {
      std::int64_t axis_most = 0;
      std::int64_t axis_sum = 0;
      std::int64_t axis_count = 0;
      for (std::int64_t q = 0; q < axes[a].tokens; q += tile_q[a], ++axis_count) {
        const Range v = axis_tiles(axes[a], {q, q + tile_q[a]}, tile_kv[a]).visited;
        axis_most = std::max(axis_most, v.end - v.begin);
        axis_sum += v.end - v.begin;
      }
      most *= axis_most;
      sum *= static_cast<double>(axis_sum);
      tiles *= axis_count;
    }
    counts.most = std::max(counts.most, most);
    visited += sum;
    query_tiles += tiles;
  }
  counts.mean = visited / static_cast<double>(query_tiles);
  return counts;
}

}  // namespace attnsim
