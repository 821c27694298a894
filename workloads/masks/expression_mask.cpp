// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/expression_mask.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "workloads/masks/integer.h"
#include "workloads/masks/rectangle.h"
#include "workloads/masks/runs.h"

namespace attnsim {

namespace {

constexpr std::int64_t kCountedArea = 4096;  // pairs looked at one by one rather than halved once more
constexpr std::int64_t kKeyUnit = 128;       // of counts over keys that are no whole tiles
constexpr std::int64_t kFirstPiece = 8;      // KV tiles behind the prefix
constexpr int kMostNewTiles = 8;             // of a prefix, per row of tiles
constexpr std::size_t kMostRemembered = 200000;

}  // namespace

class RectangleCounter {
  // Size of the rectangle and of its tiles, then the signature.
  using Key = std::vector<std::int64_t>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      std::uint64_t h = 0x9e3779b97f4a7c15U;
      for (const std::int64_t v : key) {
        h ^= static_cast<std::uint64_t>(v);
        h *= 0xff51afd7ed558ccdU;
        h ^= h >> 32;
      }
      return static_cast<std::size_t>(h);
    }
  };

  // Of consecutive KV tiles, numbered from the first of them.
  struct Summary {
    std::int64_t kept = 0;
    std::vector<TileRun> runs;
  };

 public:
  RectangleCounter(const MaskTest& test, std::int64_t kv_len) : test_(test), kv_len_(kv_len) {}

  std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) {
    const std::lock_guard lock(mutex_);
    const Summary all = row(queries, ceil_div(kv_len_, tile_kv), tile_kv);
    last_ = {};
    if (!all.runs.empty()) {
      last_ = {queries, {all.runs.front().first * tile_kv, std::min(kv_len_, (all.runs.back().last() + 1) * tile_kv)}, all.kept};
    }
    return all.runs;
  }

  std::int64_t kept(Range queries, Range keys) {
    const std::lock_guard lock(mutex_);
    const bool same_queries = queries.begin == last_.queries.begin && queries.end == last_.queries.end;
    if (same_queries && keys.begin <= last_.keys.begin && keys.end >= last_.keys.end) return last_.kept;
    std::int64_t sum = 0;
    // Rows by pieces of a unit, so that tall rectangles meet what wide ones have left.
    for (std::int64_t q = queries.begin; q < queries.end; q += kKeyUnit) {
      sum += count({{q, std::min(q + kKeyUnit, queries.end)}, keys});
    }
    return sum;
  }

 private:
  // Largest power of two below n > 1.
  static std::int64_t half_of(std::int64_t n) {
    std::int64_t half = 1;
    while (2 * half < n) half *= 2;
    return half;
  }

  // Of a whole row of tiles. What lies far before the diagonal is often the same keys for all queries that come later, or none: the row
  // before knows them. What is behind them is taken in pieces that grow.
  Summary row(Range queries, std::int64_t tiles_of_row, std::int64_t tile_kv) {
    if (prefix_.rows != queries.end - queries.begin || prefix_.tile_kv != tile_kv || !holds_prefix(queries, prefix_.tiles, tile_kv))
      prefix_ = {queries.end - queries.begin, tile_kv, 0, Verdict::none, {}, {}};
    extend_prefix(queries, tiles_of_row, tile_kv);
    if (prefix_.tiles == 0) return tiles(queries, 0, tiles_of_row, tile_kv);
    Summary made = prefix_.summary;
    std::int64_t piece = kFirstPiece;
    for (std::int64_t at = prefix_.tiles; at < tiles_of_row; piece *= 2) {
      if (test_.classify({queries, {at * tile_kv, kv_len_}}) == Verdict::none) break;
      const std::int64_t count_of = std::min(piece, tiles_of_row - at);
      append(made, tiles(queries, at, count_of, tile_kv), at);
      at += count_of;
    }
    return made;
  }

  static void append(Summary& to, const Summary& more, std::int64_t first) {
    to.kept += more.kept;
    for (TileRun run : more.runs) {
      run.first += first;
      append_run(to.runs, run);
    }
  }

  // Whether the first `tiles_of` tiles of these queries are what the prefix says of them.
  bool holds_prefix(Range queries, std::int64_t tiles_of, std::int64_t tile_kv) {
    if (tiles_of == 0) return true;
    const Rectangle r{queries, {0, tiles_of * tile_kv}};
    const Verdict verdict = test_.classify(r);
    return verdict == prefix_.verdict && (verdict == Verdict::none || test_.signature(r) == prefix_.open);
  }

  void extend_prefix(Range queries, std::int64_t tiles_of_row, std::int64_t tile_kv) {
    for (int i = 0; i < kMostNewTiles && prefix_.tiles + 1 < tiles_of_row; ++i) {
      const Rectangle r{queries, {0, (prefix_.tiles + 1) * tile_kv}};
      const Verdict verdict = test_.classify(r);
      if (verdict == Verdict::all || (verdict == Verdict::open && !test_.is_by_key(r))) return;
      prefix_.verdict = verdict;
      if (verdict == Verdict::open) prefix_.open = test_.signature(r);
      append(prefix_.summary, tiles(queries, prefix_.tiles, 1, tile_kv), prefix_.tiles);
      ++prefix_.tiles;
    }
  }

  Summary tiles(Range queries, std::int64_t begin, std::int64_t count_of, std::int64_t tile_kv) {
    const Rectangle r{queries, {begin * tile_kv, std::min((begin + count_of) * tile_kv, kv_len_)}};
    Summary made;
    switch (test_.classify(r)) {
      case Verdict::none: return made;
      case Verdict::all: {
        const std::int64_t whole = r.columns() / tile_kv;
        made.kept = r.area();
        append_run(made.runs, 0, whole, false);
        append_run(made.runs, whole, count_of, true);
        return made;
      }
      case Verdict::open: break;
    }
    std::optional<Key> key = key_of(r, tile_kv);
    if (key) {
      const auto known = summaries_.find(*key);
      if (known != summaries_.end()) return known->second;
    }
    if (count_of == 1) {
      made.kept = count(r);
      if (made.kept > 0) append_run(made.runs, {0, 1, made.kept < r.rows() * tile_kv});
    } else {
      const std::int64_t half = half_of(count_of);
      made = tiles(queries, begin, half, tile_kv);
      append(made, tiles(queries, begin + half, count_of - half, tile_kv), half);
    }
    if (key) {
      if (summaries_.size() > kMostRemembered) summaries_.clear();
      summaries_.emplace(std::move(*key), made);
    }
    return made;
  }

  std::int64_t count(const Rectangle& r) {
    if (r.rows() <= 0 || r.columns() <= 0) return 0;
    const Verdict verdict = test_.classify(r);
    if (verdict != Verdict::open) return verdict == Verdict::all ? r.area() : 0;
    std::optional<Key> key = key_of(r, 0);
    if (key) {
      const auto known = counts_.find(*key);
      if (known != counts_.end()) return known->second;
    }
    std::int64_t kept = 0;
    if (r.area() <= kCountedArea) {
      kept = test_.count_pairs(r);
    } else if (r.columns() >= r.rows()) {
      const std::int64_t middle = r.keys.begin + half_of(r.columns());
      kept = count({r.queries, {r.keys.begin, middle}}) + count({r.queries, {middle, r.keys.end}});
    } else {
      const std::int64_t middle = r.queries.begin + half_of(r.rows());
      kept = count({{r.queries.begin, middle}, r.keys}) + count({{middle, r.queries.end}, r.keys});
    }
    if (key) {
      if (counts_.size() > kMostRemembered) counts_.clear();
      counts_.emplace(std::move(*key), kept);
    }
    return kept;
  }

  // Of a rectangle just classified.
  std::optional<Key> key_of(const Rectangle& r, std::int64_t tile_kv) {
    const std::optional<Key>& open = test_.signature(r);
    if (!open) return std::nullopt;
    Key key{r.rows(), r.columns(), tile_kv};
    key.insert(key.end(), open->begin(), open->end());
    return key;
  }

  // Tiles from the first on that hold the same keys for every query of a row of `rows` queries, or none of them.
  struct Prefix {
    std::int64_t rows = 0;
    std::int64_t tile_kv = 0;
    std::int64_t tiles = 0;
    Verdict verdict = Verdict::none;
    std::optional<std::vector<std::int64_t>> open;  // signature
    Summary summary;
  };

  struct Last {
    Range queries;
    Range keys;
    std::int64_t kept = 0;
  };

  std::mutex mutex_;
  RectangleTest test_;
  std::int64_t kv_len_;
  Prefix prefix_;
  Last last_;                                            // row_tiles() asks for the pairs of the runs that it has just been given
  std::unordered_map<Key, Summary, KeyHash> summaries_;  // looked up only
  std::unordered_map<Key, std::int64_t, KeyHash> counts_;
};

ExpressionMask::ExpressionMask(MaskTest test, std::int64_t q_len, std::int64_t kv_len)
    : Mask(q_len, kv_len), test_(std::move(test)), counter_(std::make_unique<RectangleCounter>(test_, kv_len)) {}
ExpressionMask::~ExpressionMask() = default;

bool ExpressionMask::keeps(std::int64_t q, std::int64_t k) const {
  return holds(test_, q, k);
}

std::vector<TileRun> ExpressionMask::runs(Range queries, std::int64_t tile_kv) const {
  return queries.empty() ? std::vector<TileRun>{} : counter_->runs(queries, tile_kv);
}

std::int64_t ExpressionMask::kept(Range queries, Range keys) const {
  return queries.empty() || keys.empty() ? 0 : counter_->kept(queries, keys);
}

}  // namespace attnsim
