// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/gna.h"

#include <algorithm>
#include <cstdint>

#include "workloads/masks/integer.h"

namespace attnsim {

namespace {

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

// Kept pairs of a query tile by KV tile.
class PairsPerTile {
 public:
  PairsPerTile(std::int64_t kv_len, std::int64_t tile_kv)
      : tile_(tile_kv), some_(static_cast<std::size_t>(ceil_div(kv_len, tile_kv)), 0), from_(some_.size() + 1, 0) {}
  // Keys of one tile.
  void add(std::int64_t tile, std::int64_t pairs) {
    some_[static_cast<std::size_t>(tile)] += pairs;
    low_ = std::min(low_, tile);
    high_ = std::max(high_, tile + 1);
  }
  void add_to_each(std::int64_t first, std::int64_t end, std::int64_t pairs) {
    if (first >= end) return;
    from_[static_cast<std::size_t>(first)] += pairs;
    from_[static_cast<std::size_t>(end)] -= pairs;
    low_ = std::min(low_, first);
    high_ = std::max(high_, end);
  }
  void add_keys(std::int64_t begin, std::int64_t end, std::int64_t pairs_per_key) {
    for (std::int64_t k = begin; k < end; ++k) add(k / tile_, pairs_per_key);
  }
  // Tiles with pairs, first to last.
  template <class Visit>
  void for_each(Visit&& visit) const {
    std::int64_t each = 0;
    for (std::int64_t t = low_; t < high_; ++t) {
      each += from_[static_cast<std::size_t>(t)];
      const std::int64_t pairs = each + some_[static_cast<std::size_t>(t)];
      if (pairs > 0) visit(t, pairs);
    }
  }
  [[nodiscard]] std::int64_t tile() const { return tile_; }

 private:
  std::int64_t tile_;
  std::vector<std::int64_t> some_;
  std::vector<std::int64_t> from_;  // what each tile from here on has more
  std::int64_t low_ = INT64_MAX;
  std::int64_t high_ = 0;
};

// So many keys in a row hold two neighbours of one line, of which no query of a dilated axis keeps both.
constexpr std::int64_t kBreaks = 3;

// What queries [begin, end) of one line keep of any line that the outer axes let them see.
class LinePairs {
 public:
  LinePairs(const GnaAxis& axis, Range queries, std::int64_t tile_kv)
      : dilation_(axis.dilation), by_key_(axis.dilation > 1 && tile_kv < std::max(axis.dilation, kBreaks)) {
    for (std::int64_t q = queries.begin; q < queries.end; ++q) {
      const AxisKeys keys = axis_keys(axis, q);
      if (keys_.empty() || !(keys_.back() == keys)) {  // neighbours mostly keep the same keys
        keys_.push_back(keys);
        weights_.push_back(0);
      }
      ++weights_.back();
      low_ = std::min(low_, keys.begin);
      high_ = std::max(high_, keys.end);
      all_begin_ = std::max(all_begin_, keys.begin);
      all_end_ = std::min(all_end_, keys.end);
    }
    queries_ = queries.end - queries.begin;
    if (dilation_ > 1) {
      merge();
    } else if (keys_.size() > 1 && high_ - low_ <= kTabulated) {
      below_.assign(static_cast<std::size_t>(high_ - low_ + 2), 0);
      for (std::size_t g = 0; g < keys_.size(); ++g) {
        below_[static_cast<std::size_t>(keys_[g].begin - low_ + 1)] += weights_[g];
        below_[static_cast<std::size_t>(keys_[g].end - low_ + 1)] -= weights_[g];
      }
      for (int pass = 0; pass < 2; ++pass)  // queries per key, then pairs below a key
        for (std::size_t x = 1; x < below_.size(); ++x) below_[x] += below_[x - 1];
    }
  }

  // `base`: the first key of the line.
  void add_to(PairsPerTile& pairs, std::int64_t base) const {
    const std::int64_t tile = pairs.tile();
    if (by_key_) {
      for (std::size_t g = 0; g < keys_.size(); ++g)
        for (std::int64_t x = keys_[g].begin; x < keys_[g].end; x += keys_[g].step) pairs.add((base + x) / tile, weights_[g]);
      return;
    }
    if (dilation_ > 1) {  // a tile longer than the dilation has a key wherever a window passes through it
      for (const Range& r : merged_) pairs.add_to_each((base + r.begin) / tile, (base + r.end - 1) / tile + 1, 1);
      return;
    }
    for (std::int64_t x = low_; x < high_;) {
      const std::int64_t t = (base + x) / tile;
      const std::int64_t next = (t + 1) * tile - base;
      if (x >= all_begin_ && (base + x) % tile == 0 && next <= all_end_) {
        const std::int64_t whole = (all_end_ - x) / tile;
        pairs.add_to_each(t, t + whole, tile * queries_);
        x += whole * tile;
        continue;
      }
      const std::int64_t end = std::min(next, high_);
      pairs.add(t, below(end) - below(x));
      x = end;
    }
  }

 private:
  static constexpr std::int64_t kTabulated = 4096;

  [[nodiscard]] std::int64_t below(std::int64_t x) const {
    if (!below_.empty()) return below_[static_cast<std::size_t>(x - low_)];
    std::int64_t n = 0;
    for (std::size_t g = 0; g < keys_.size(); ++g) n += weights_[g] * (std::clamp(x, keys_[g].begin, keys_[g].end) - keys_[g].begin);
    return n;
  }
  void merge() {
    std::vector<Range> windows;
    for (const AxisKeys& k : keys_) windows.push_back({k.begin, k.end});
    std::sort(windows.begin(), windows.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
    for (const Range& w : windows) {
      if (!merged_.empty() && w.begin <= merged_.back().end)
        merged_.back().end = std::max(merged_.back().end, w.end);
      else
        merged_.push_back(w);
    }
  }

  std::int64_t dilation_;
  bool by_key_;
  std::int64_t queries_ = 0;
  std::vector<AxisKeys> keys_;  // that differ, and how many queries keep them
  std::vector<std::int64_t> weights_;
  std::int64_t low_ = INT64_MAX, high_ = 0;           // some query keeps
  std::int64_t all_begin_ = 0, all_end_ = INT64_MAX;  // all queries keep
  std::vector<Range> merged_;                         // windows of dilated queries
  std::vector<std::int64_t> below_;                   // pairs with keys below low_ + index
};

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
  const std::int64_t tile_q = queries.end - queries.begin;
  PairsPerTile pairs(kv_len(), tile_kv);
  for (std::int64_t k = shape_.tokens(); k < kv_len(); ++k) pairs.add_keys(k, k + 1, tile_q);
  const GnaAxis& last = shape_.axes.back();
  for (std::int64_t q = queries.begin; q < queries.end;) {  // queries of one line of the layout differ on the last axis alone
    const std::int64_t begin = q % last.length;
    const std::int64_t end = std::min(last.length, begin + queries.end - q);
    const std::vector<AxisKeys> keys = query_keys(shape_, q);
    const LinePairs line(last, {begin, end}, tile_kv);
    const AxisKeys one{0, 1, 1};
    const AxisKeys& outer = keys.size() == 3 ? keys[0] : one;
    const AxisKeys& middle = keys.size() >= 2 ? keys[keys.size() - 2] : one;
    const std::int64_t rows = keys.size() >= 2 ? shape_.axes[keys.size() - 2].length : 1;
    for (std::int64_t i = outer.begin; i < outer.end; i += outer.step) {
      for (std::int64_t j = middle.begin; j < middle.end; j += middle.step) line.add_to(pairs, (i * rows + j) * last.length);
    }
    q += end - begin;
  }
  const std::int64_t whole = tile_kv * tile_q;
  const bool marked = last.dilation > 1 && tile_kv >= kBreaks;  // tiles of the layout's tokens are, not counted
  pairs.for_each([&](std::int64_t tile, std::int64_t kept_pairs) {
    const Range keys{tile * tile_kv, (tile + 1) * tile_kv};
    bool partial = kept_pairs != whole;
    if (marked && keys.begin < shape_.tokens()) partial = keys.end <= shape_.tokens() || kept(queries, keys) != whole;
    add_run(out, tile, tile + 1, partial);
  });
  return out;
}

BoxedMask GnaMask::boxed(const TileShape& q_box, const TileShape& kv_box, KvTiling tiling) const {
  const auto mask = std::make_shared<GnaTileMask>(shape_, q_box, kv_box, tiling);
  return {mask, mask->q_order(), mask->kv_order()};
}

namespace {

ir::RowOrder kv_order_of(const GnaShape& shape, const TileShape& tile_q, const TileShape& tile_kv, KvTiling tiling) {
  return tiling == KvTiling::on_grid ? shape.order(tile_kv) : shape.order_from_first_keys(tile_q, tile_kv);
}

}  // namespace

GnaTileMask::GnaTileMask(GnaShape shape, const TileShape& tile_q, const TileShape& tile_kv, KvTiling tiling)
    : Mask(shape.order(tile_q).places(), kv_order_of(shape, tile_q, tile_kv, tiling).places() + shape.extra_keys),
      shape_(std::move(shape)),
      q_order_(shape_.order(tile_q)),
      kv_order_(kv_order_of(shape_, tile_q, tile_kv, tiling)) {
  for (std::int64_t c = 0; c < shape_.classes(); ++c) classes_.push_back(shape_.class_axes(c));
}

bool GnaTileMask::keeps(std::int64_t q, std::int64_t k) const {
  const std::int64_t query = q_order_.row(q);
  if (query == ir::RowOrder::kPadding) return false;
  if (k >= kv_order_.places()) return true;
  if (kv_order_.has_groups() && !owns(q, k)) return false;
  const std::int64_t key = kv_order_.row(k);
  return key != ir::RowOrder::kPadding && GnaMask(shape_).keeps(query, key);
}

// Of one class: the KV tile on every axis is one of the query tile's.
bool GnaTileMask::owns(std::int64_t q, std::int64_t k) const {
  std::int64_t q_tile = q / volume(q_order_.tile()) % q_order_.tiles_per_class();
  std::int64_t kv_tile = k / volume(kv_order_.tile()) % kv_order_.tiles_per_class();
  for (std::size_t a = q_order_.tile().size(); a-- > 0;) {
    if (kv_tile % kv_order_.grid()[a] / kv_order_.groups()[a].tiles != q_tile % q_order_.grid()[a]) return false;
    q_tile /= q_order_.grid()[a];
    kv_tile /= kv_order_.grid()[a];
  }
  return true;
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
    grid[a + missing] = kv_order_.grid()[a];
    if (kv_order_.has_groups()) {
      const AxisTiles tiles = tiles_from_first_key(axes[a], box[a], extent);
      const std::int64_t own = box[a].begin / q_order_.tile()[a] * kv_order_.groups()[a].tiles;
      visited[a + missing] = {own, own + tiles.visited.end};
      full[a + missing] = {own + tiles.dense.begin, own + tiles.dense.end};
      continue;
    }
    const AxisTiles tiles = axis_tiles(axes[a], box[a], extent);
    visited[a + missing] = tiles.visited;
    full[a + missing] = {tiles.dense.begin, std::max(tiles.dense.begin, std::min(tiles.dense.end, axes[a].tokens / extent))};
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
