// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/gna.h"

#include <algorithm>

namespace attnsim {

namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

void add_run(std::vector<TileRun>& runs, std::int64_t first, std::int64_t end, bool partial) {
  if (first >= end) return;
  if (!runs.empty() && runs.back().partial == partial && runs.back().first + runs.back().count == first) {
    runs.back().count += end - first;
  } else {
    runs.push_back({first, end - first, partial});
  }
}

// Kept keys of one query on one axis of the layout: begin, begin + step, ... below end.
struct AxisKeys {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t step = 1;
  friend bool operator==(const AxisKeys&, const AxisKeys&) = default;
  [[nodiscard]] std::int64_t count() const { return ceil_div(end - begin, step); }
  [[nodiscard]] std::int64_t below(std::int64_t x) const {
    return std::clamp<std::int64_t>(ceil_div(std::max(x, begin) - begin, step), 0, count());
  }
  [[nodiscard]] bool has(std::int64_t x) const { return x >= begin && x < end && (x - begin) % step == 0; }
};

AxisKeys axis_keys(const GnaAxis& axis, std::int64_t q) {
  const std::int64_t residue = q % axis.dilation;
  const Range keys = kept_keys(axis_class(axis, residue), q / axis.dilation);
  return {keys.begin * axis.dilation + residue, (keys.end - 1) * axis.dilation + residue + 1, axis.dilation};
}

std::vector<AxisKeys> query_keys(const GnaShape& shape, std::int64_t q) {
  std::vector<AxisKeys> keys(shape.axes.size());
  for (std::size_t a = shape.axes.size(); a-- > 0;) {
    keys[a] = axis_keys(shape.axes[a], q % shape.axes[a].length);
    q /= shape.axes[a].length;
  }
  return keys;
}

// Kept tokens before `end` in row-major order.
std::int64_t tokens_below(const GnaShape& shape, const std::vector<AxisKeys>& keys, std::int64_t end) {
  if (end <= 0) return 0;
  std::int64_t inner = 1;
  for (const AxisKeys& k : keys) inner *= k.count();
  if (end >= shape.tokens()) return inner;
  std::int64_t pitch = shape.tokens();
  std::int64_t n = 0;
  for (std::size_t a = 0; a < keys.size(); ++a) {
    pitch /= shape.axes[a].length;
    inner /= keys[a].count();
    const std::int64_t x = end / pitch;
    end %= pitch;
    n += keys[a].below(x) * inner;
    if (!keys[a].has(x)) break;
  }
  return n;
}

}  // namespace

GnaMask::GnaMask(GnaShape shape) : Mask(shape.tokens(), shape.tokens() + shape.extra_keys), shape_(std::move(shape)) {}

bool GnaMask::keeps(std::int64_t q, std::int64_t k) const {
  if (k >= shape_.tokens()) return true;
  for (std::size_t a = shape_.axes.size(); a-- > 0;) {
    const std::int64_t length = shape_.axes[a].length;
    if (!axis_keys(shape_.axes[a], q % length).has(k % length)) return false;
    q /= length;
    k /= length;
  }
  return true;
}

std::int64_t GnaMask::kept(Range queries, Range keys) const {
  std::int64_t n = 0;
  const std::int64_t extra = std::max<std::int64_t>(0, keys.end - std::max(keys.begin, shape_.tokens()));
  for (std::int64_t q = queries.begin; q < queries.end; ++q) {
    const std::vector<AxisKeys> kept = query_keys(shape_, q);
    n += extra + std::max<std::int64_t>(0, tokens_below(shape_, kept, keys.end) - tokens_below(shape_, kept, keys.begin));
  }
  return n;
}

std::vector<TileRun> GnaMask::runs(Range queries, std::int64_t tile_kv) const {
  std::vector<TileRun> out;
  if (queries.empty()) return out;
  std::vector<std::int64_t> kept(static_cast<std::size_t>(ceil_div(kv_len(), tile_kv)), 0);
  for (std::int64_t k = shape_.tokens(); k < kv_len(); ++k) kept[static_cast<std::size_t>(k / tile_kv)] += queries.end - queries.begin;
  const std::int64_t line = shape_.axes.back().length;
  const auto count = [&](const std::vector<AxisKeys>& keys, std::int64_t weight) {
    const AxisKeys& last = keys.back();
    const AxisKeys one{0, 1, 1};
    const AxisKeys& outer = keys.size() == 3 ? keys[0] : one;
    const AxisKeys& middle = keys.size() >= 2 ? keys[keys.size() - 2] : one;
    const std::int64_t rows = keys.size() >= 2 ? shape_.axes[keys.size() - 2].length : 1;
    for (std::int64_t i = outer.begin; i < outer.end; i += outer.step) {
      for (std::int64_t j = middle.begin; j < middle.end; j += middle.step) {
        for (std::int64_t x = last.begin; x < last.end; x += last.step)
          kept[static_cast<std::size_t>(((i * rows + j) * line + x) / tile_kv)] += weight;
      }
    }
  };
  // Neighbours mostly keep the same keys.
  std::vector<AxisKeys> same = query_keys(shape_, queries.begin);
  std::int64_t weight = 0;
  for (std::int64_t q = queries.begin; q < queries.end; ++q) {
    std::vector<AxisKeys> keys = query_keys(shape_, q);
    if (keys != same) {
      count(same, weight);
      same = std::move(keys);
      weight = 0;
    }
    ++weight;
  }
  count(same, weight);
  const std::int64_t whole = tile_kv * (queries.end - queries.begin);
  for (std::size_t t = 0; t < kept.size(); ++t) {
    const auto index = static_cast<std::int64_t>(t);
    if (kept[t] > 0) add_run(out, index, index + 1, kept[t] != whole);
  }
  return out;
}

BoxedMask GnaMask::boxed(const TileShape& q_box, const TileShape& kv_box) const {
  const auto mask = std::make_shared<GnaTileMask>(shape_, q_box, kv_box);
  return {mask, mask->q_order(), mask->kv_order()};
}

GnaTileMask::GnaTileMask(GnaShape shape, const TileShape& tile_q, const TileShape& tile_kv)
    : Mask(shape.order(tile_q).places(), shape.order(tile_kv).places() + shape.extra_keys),
      shape_(std::move(shape)),
      q_order_(shape_.order(tile_q)),
      kv_order_(shape_.order(tile_kv)) {
  for (std::int64_t c = 0; c < shape_.classes(); ++c) classes_.push_back(shape_.class_axes(c));
}

bool GnaTileMask::keeps(std::int64_t q, std::int64_t k) const {
  const std::int64_t query = q_order_.row(q);
  if (query == ir::RowOrder::kPadding) return false;
  if (k >= kv_order_.places()) return true;
  const std::int64_t key = kv_order_.row(k);
  return key != ir::RowOrder::kPadding && GnaMask(shape_).keeps(query, key);
}

std::vector<Range> GnaTileMask::query_box(std::int64_t first_place) const {
  std::int64_t tile = first_place / volume(q_order_.tile()) % q_order_.tiles_per_class();
  std::vector<Range> box(q_order_.tile().size());
  for (std::size_t a = box.size(); a-- > 0;) {
    const std::int64_t begin = tile % q_order_.grid()[a] * q_order_.tile()[a];
    box[a] = {begin, begin + q_order_.tile()[a]};
    tile /= q_order_.grid()[a];
  }
  return box;
}

std::vector<TileRun> GnaTileMask::runs(Range queries, std::int64_t tile_kv) const {
  const std::int64_t c = queries.begin / volume(q_order_.tile()) / q_order_.tiles_per_class();
  const std::vector<AxisClass>& axes = classes_[static_cast<std::size_t>(c)];
  const std::vector<Range> box = query_box(queries.begin);
  // Always three axes, the missing ones with one full tile.
  Range visited[3] = {{0, 1}, {0, 1}, {0, 1}};
  Range full[3] = {{0, 1}, {0, 1}, {0, 1}};
  std::int64_t grid[3] = {1, 1, 1};
  const std::size_t missing = 3 - axes.size();
  for (std::size_t a = 0; a < axes.size(); ++a) {
    const std::int64_t extent = kv_order_.tile()[a];
    const AxisTiles tiles = axis_tiles(axes[a], box[a], extent);
    visited[a + missing] = tiles.visited;
    full[a + missing] = {tiles.dense.begin, std::max(tiles.dense.begin, std::min(tiles.dense.end, axes[a].tokens / extent))};
    grid[a + missing] = kv_order_.grid()[a];
  }
  std::vector<TileRun> out;
  const std::int64_t base = c * kv_order_.tiles_per_class();
  const auto inside = [](Range r, std::int64_t x) { return r.begin <= x && x < r.end; };
  for (std::int64_t i = visited[0].begin; i < visited[0].end; ++i) {
    for (std::int64_t j = visited[1].begin; j < visited[1].end; ++j) {
      const std::int64_t line = base + (i * grid[1] + j) * grid[2];
      const bool whole = inside(full[0], i) && inside(full[1], j);
      const std::int64_t begin = line + (whole ? full[2].begin : visited[2].end);
      const std::int64_t end = std::max(begin, line + full[2].end);
      add_run(out, line + visited[2].begin, std::min(begin, line + visited[2].end), true);
      if (!whole) continue;
      add_run(out, begin, end, false);
      add_run(out, end, line + visited[2].end, true);
    }
  }
  const std::int64_t first_extra = kv_order_.places() / tile_kv;
  add_run(out, first_extra, first_extra + shape_.extra_keys / tile_kv, false);
  add_run(out, first_extra + shape_.extra_keys / tile_kv, first_extra + ceil_div(shape_.extra_keys, tile_kv), true);
  return out;
}

std::int64_t GnaTileMask::kept(Range queries, Range keys) const {
  const std::int64_t extra = std::max<std::int64_t>(0, keys.end - std::max(keys.begin, kv_order_.places()));
  const std::int64_t tile = volume(q_order_.tile());
  const std::int64_t extent = volume(kv_order_.tile());
  const auto whole_tile = [&](std::int64_t first_query) {
    const std::vector<AxisClass>& axes = classes_[static_cast<std::size_t>(first_query / tile / q_order_.tiles_per_class())];
    const std::vector<Range> box = query_box(first_query);
    std::int64_t pairs = 1;
    std::int64_t queries_of_tile = 1;
    for (std::size_t a = 0; a < axes.size(); ++a) {
      pairs *= kept_pairs(axes[a], box[a], {0, axes[a].tokens});
      queries_of_tile *= std::max<std::int64_t>(0, std::min(box[a].end, axes[a].tokens) - box[a].begin);
    }
    return pairs + queries_of_tile * extra;
  };
  // Whether the keys hold every place that the tile visits.
  const auto all_visited = [&](std::int64_t first_query) {
    std::int64_t begin = kv_order_.places();
    std::int64_t end = 0;
    for (const TileRun& run : runs({first_query, first_query + tile}, extent)) {
      begin = std::min(begin, run.first * extent);
      end = std::max(end, std::min((run.first + run.count) * extent, kv_order_.places()));
    }
    return keys.begin <= begin && end <= keys.end;
  };
  std::int64_t n = 0;
  for (std::int64_t q = queries.begin; q < queries.end;) {
    if (q % tile == 0 && q + tile <= queries.end && all_visited(q)) {
      n += whole_tile(q);
      q += tile;
      continue;
    }
    const std::int64_t token = q_order_.row(q);
    if (token != ir::RowOrder::kPadding) {
      n += extra;
      for (const TileRun& run : runs({q / tile * tile, (q / tile + 1) * tile}, extent)) {
        const std::int64_t begin = std::max(keys.begin, run.first * extent);
        const std::int64_t end = std::min({keys.end, (run.first + run.count) * extent, kv_order_.places()});
        for (std::int64_t k = begin; k < end; ++k) n += keeps(q, k) ? 1 : 0;
      }
    }
    ++q;
  }
  return n;
}

bool GnaTileMask::fully_block_sparse() const {
  for (const std::vector<AxisClass>& axes : classes_) {
    for (std::size_t a = 0; a < axes.size(); ++a) {
      if (!attnsim::fully_block_sparse(axes[a], q_order_.tile()[a], kv_order_.tile()[a])) return false;
    }
  }
  return true;
}

bool GnaTileMask::natten_fully_block_sparse() const {
  for (const std::vector<AxisClass>& axes : classes_) {
    for (std::size_t a = 0; a < axes.size(); ++a) {
      if (!attnsim::natten_fully_block_sparse(axes[a], q_order_.tile()[a], kv_order_.tile()[a])) return false;
    }
  }
  return true;
}

bool GnaTileMask::kv_padding() const {
  for (const std::vector<AxisClass>& axes : classes_) {
    for (std::size_t a = 0; a < axes.size(); ++a) {
      if (axes[a].tokens % kv_order_.tile()[a] != 0) return true;
    }
  }
  return false;
}

}  // namespace attnsim
