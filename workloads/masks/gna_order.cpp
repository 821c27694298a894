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

ir::RowOrder GnaShape::order(const std::vector<std::int64_t>& tile) const {
  std::vector<std::int64_t> length;
  std::vector<std::int64_t> dilation;
  for (const GnaAxis& axis : axes) {
    length.push_back(axis.length);
    dilation.push_back(axis.dilation);
  }
  return {length, dilation, tile};
}

ir::RowOrder GnaShape::order_from_first_keys(const std::vector<std::int64_t>& tile_q, const std::vector<std::int64_t>& tile_kv) const {
  const ir::RowOrder grid = order(tile_kv);
  const ir::RowOrder queries = order(tile_q);
  std::vector<ir::RowOrder::TileGroups> groups(axes.size());
  for (std::size_t a = 0; a < axes.size(); ++a) {
    for (std::int64_t residue = 0; residue < axes[a].dilation; ++residue) {
      const AxisClass axis = axis_class(axes[a], residue);
      ir::RowOrder::Extents& begins = groups[a].begins.emplace_back();
      for (std::int64_t i = 0; i < queries.grid()[a]; ++i) {
        const Range tile{i * tile_q[a], (i + 1) * tile_q[a]};
        begins.push_back(first_key(axis, tile));
        groups[a].tiles = std::max(groups[a].tiles, dynamic_tiles(axis, tile, tile_kv[a]));
      }
    }
  }
  return {grid.length(), grid.dilation(), tile_kv, std::move(groups)};
}

VisitCounts visit_counts(const GnaShape& shape, const TileShape& tile_q, const TileShape& tile_kv, KvTiling tiling) {
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
        const Range tile{q, q + tile_q[a]};
        const Range v = (tiling == KvTiling::on_grid ? axis_tiles : tiles_from_first_key)(axes[a], tile, tile_kv[a]).visited;
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
