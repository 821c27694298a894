// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/block_mask.h"

#include <algorithm>

#include "sim/core/error.h"
#include "workloads/masks/integer.h"
#include "workloads/masks/runs.h"

namespace attnsim {

namespace {

// A row's first byte.
constexpr std::uint8_t kRuns = 0;
constexpr std::uint8_t kBitmap = 1;

// Seven bits a byte, the lowest first; the highest bit says that more follow.
void put_number(std::vector<std::uint8_t>& out, std::int64_t value) {
  while (value >= 128) {
    out.push_back(static_cast<std::uint8_t>(value % 128 + 128));
    value /= 128;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

std::int64_t take_number(const std::vector<std::uint8_t>& data, std::size_t& at) {
  std::int64_t value = 0;
  std::int64_t unit = 1;
  for (;; unit *= 128) {
    const std::uint8_t byte = data[at++];
    value += byte % 128 * unit;
    if (byte < 128) return value;
  }
}

// Keys covered by `weight` queries from here on.
struct Step {
  std::int64_t at = 0;
  std::int64_t weight = 0;
};

class TileCollector {
 public:
  TileCollector(std::int64_t rows, std::int64_t tile_kv) : rows_(rows), tile_kv_(tile_kv) {}

  // Ascending.
  void add(Range keys, std::int64_t weight) {
    const std::int64_t first = keys.begin / tile_kv_;
    const std::int64_t last = (keys.end - 1) / tile_kv_;
    if (first == last) return add_to(first, weight * (keys.end - keys.begin));
    add_to(first, weight * ((first + 1) * tile_kv_ - keys.begin));
    if (last > first + 1) {
      flush();
      append_run(runs_, first + 1, last, weight < rows_);
    }
    add_to(last, weight * (keys.end - last * tile_kv_));
  }
  std::vector<TileRun> take() {
    flush();
    return std::move(runs_);
  }

 private:
  void add_to(std::int64_t tile, std::int64_t pairs) {
    if (tile != tile_) flush();
    tile_ = tile;
    pairs_ += pairs;
  }
  void flush() {
    if (pairs_ > 0) append_run(runs_, {tile_, 1, pairs_ < rows_ * tile_kv_});
    pairs_ = 0;
  }

  std::int64_t rows_;
  std::int64_t tile_kv_;
  std::int64_t tile_ = -1;
  std::int64_t pairs_ = 0;
  std::vector<TileRun> runs_;
};

}  // namespace

BlockPattern::BlockPattern(std::int64_t block_rows, std::int64_t block_columns) : columns_(block_columns) {
  begin_.reserve(static_cast<std::size_t>(block_rows) + 1);
}

void BlockPattern::add_row(const std::vector<Range>& runs) {
  std::vector<std::uint8_t> row{kRuns};
  std::int64_t before = 0;
  for (const Range& run : runs) {
    require(run.begin >= before && !run.empty() && run.end <= columns_, "runs of a block row are out of order");
    put_number(row, run.begin - before);
    put_number(row, run.end - run.begin);
    before = run.end;
  }
  const auto bitmap_bytes = static_cast<std::size_t>((columns_ + 7) / 8);
  if (row.size() > bitmap_bytes + 1) {
    row.assign(bitmap_bytes + 1, 0);
    row[0] = kBitmap;
    for (const Range& run : runs) {
      for (std::int64_t c = run.begin; c < run.end; ++c) {
        std::uint8_t& byte = row[static_cast<std::size_t>(1 + c / 8)];
        byte = static_cast<std::uint8_t>(byte | (1U << (c % 8)));
      }
    }
  }
  data_.insert(data_.end(), row.begin(), row.end());
  begin_.push_back(static_cast<std::int64_t>(data_.size()));
}

std::vector<Range> BlockPattern::row(std::int64_t r) const {
  std::vector<Range> runs;
  auto at = static_cast<std::size_t>(begin_.at(static_cast<std::size_t>(r)));
  const auto end = static_cast<std::size_t>(begin_.at(static_cast<std::size_t>(r) + 1));
  if (data_[at++] == kRuns) {
    std::int64_t before = 0;
    while (at < end) {
      const std::int64_t begin = before + take_number(data_, at);
      before = begin + take_number(data_, at);
      runs.push_back({begin, before});
    }
    return runs;
  }
  for (std::int64_t c = 0; c < columns_; ++c) {
    if ((data_[at + static_cast<std::size_t>(c / 8)] >> (c % 8) & 1) == 0) continue;
    if (!runs.empty() && runs.back().end == c) {
      ++runs.back().end;
    } else {
      runs.push_back({c, c + 1});
    }
  }
  return runs;
}

bool BlockPattern::keeps(std::int64_t row_number, std::int64_t column) const {
  const std::vector<Range> runs = row(row_number);
  return std::any_of(runs.begin(), runs.end(), [&](const Range& run) { return run.begin <= column && column < run.end; });
}

BlockEdges::BlockEdges(std::int64_t block, std::int64_t tokens) : block_(block), tokens_(tokens) {}

BlockEdges::BlockEdges(const std::vector<std::int64_t>& sizes) {
  std::vector<std::int64_t> edges{0};
  for (const std::int64_t size : sizes) edges.push_back(edges.back() + size);
  tokens_ = edges.back();
  edges_ = std::make_shared<const std::vector<std::int64_t>>(std::move(edges));
}

std::int64_t BlockEdges::blocks() const {
  return edges_ ? static_cast<std::int64_t>(edges_->size()) - 1 : ceil_div(tokens_, block_);
}

std::int64_t BlockEdges::block_of(std::int64_t token) const {
  return edges_ ? std::upper_bound(edges_->begin(), edges_->end(), token) - edges_->begin() - 1 : token / block_;
}

std::int64_t BlockEdges::begin(std::int64_t block) const {
  return edges_ ? edges_->at(static_cast<std::size_t>(block)) : std::min(block * block_, tokens_);
}

BlockMask::BlockMask(std::shared_ptr<const BlockPattern> pattern, BlockEdges queries, BlockEdges keys, bool causal, std::int64_t q_len,
                     std::int64_t kv_len)
    : Mask(q_len, kv_len), pattern_(std::move(pattern)), queries_(std::move(queries)), keys_(std::move(keys)), causal_(causal) {
  require(pattern_->rows() == queries_.blocks() && pattern_->columns() == keys_.blocks(), "a block pattern of other lengths");
}

bool BlockMask::keeps(std::int64_t q, std::int64_t k) const {
  return (!causal_ || k <= q + kv_len() - q_len()) && pattern_->keeps(queries_.block_of(q), keys_.block_of(k));
}

namespace {

// Cover of a rectangle: kept keys with the number of its queries that keep them, ascending. A query sees keys up to its own + shift.
template <class Visit>
void cover(const BlockPattern& pattern, const BlockEdges& of_queries, const BlockEdges& of_keys, std::int64_t shift, Range queries,
           Visit&& visit) {
  std::vector<Step> steps;
  const auto add = [&](std::int64_t begin, std::int64_t end, std::int64_t weight) {
    if (begin >= end) return;
    steps.push_back({begin, weight});
    steps.push_back({end, -weight});
  };
  for (std::int64_t q = queries.begin; q < queries.end;) {
    const std::int64_t block = of_queries.block_of(q);
    const std::int64_t next = std::min(of_queries.end(block), queries.end);
    for (const Range& run : pattern.row(block)) {
      const std::int64_t begin = of_keys.begin(run.begin);
      const std::int64_t end = of_keys.begin(run.end);
      const std::int64_t seen_by_all = std::clamp(q + shift + 1, begin, end);
      add(begin, seen_by_all, next - q);
      if (seen_by_all == end) continue;
      for (std::int64_t row = q + 1; row < next; ++row) add(seen_by_all, std::clamp(row + shift + 1, seen_by_all, end), 1);
    }
    q = next;
  }
  std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.at < b.at; });
  std::int64_t weight = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    weight += steps[i].weight;
    const std::int64_t end = i + 1 < steps.size() ? steps[i + 1].at : steps[i].at;
    if (weight > 0 && end > steps[i].at) visit(Range{steps[i].at, end}, weight);
  }
}

}  // namespace

std::vector<TileRun> BlockMask::runs(Range queries, std::int64_t tile_kv) const {
  TileCollector tiles(queries.end - queries.begin, tile_kv);
  const std::int64_t shift = causal_ ? kv_len() - q_len() : kUnbounded;
  cover(*pattern_, queries_, keys_, shift, queries, [&](Range keys, std::int64_t weight) { tiles.add(keys, weight); });
  return tiles.take();
}

std::int64_t BlockMask::kept(Range queries, Range keys) const {
  std::int64_t pairs = 0;
  const std::int64_t shift = causal_ ? kv_len() - q_len() : kUnbounded;
  cover(*pattern_, queries_, keys_, shift, queries, [&](Range covered, std::int64_t weight) {
    const std::int64_t length = std::min(covered.end, keys.end) - std::max(covered.begin, keys.begin);
    pairs += weight * std::max<std::int64_t>(length, 0);
  });
  return pairs;
}

MaskTest BlockMask::test() const {
  MaskTest test;
  test.all_of = {pair_value(0)};
  test.pairs.push_back([mask = *this](std::int64_t q, std::int64_t k) { return mask.keeps(q, k); });
  return test;
}

}  // namespace attnsim
