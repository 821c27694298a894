// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "validation/host/workspace.h"

namespace attnsim::host {

namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Heads of one group (up to kDecodeTileQ of them) over some of the keys.
struct RowTile {
  std::int64_t batch = 0;
  std::int64_t kv_head = 0;
  std::int64_t first_head = 0;
  int rows = 0;
};

RowTile row_tile(const bench::Shape& shape, std::int64_t index) {
  const std::int64_t group = shape.q_heads / shape.kv_heads;
  const std::int64_t tiles = ceil_div(group, kDecodeTileQ);
  RowTile tile;
  tile.batch = index / tiles / shape.kv_heads;
  tile.kv_head = index / tiles % shape.kv_heads;
  const std::int64_t within = index % tiles * kDecodeTileQ;
  tile.first_head = tile.kv_head * group + within;
  tile.rows = static_cast<int>(std::min<std::int64_t>(kDecodeTileQ, group - within));
  return tile;
}

struct Partial {
  float* o = nullptr;
  float* m = nullptr;
  float* l = nullptr;
};

template <class Tally>
void attend(const Kernels& kernels, Workspace::Part& part, const bench::Shape& shape, const Tensors& tensors, const RowTile& tile,
            KeyRange keys, const Partial& out, Tally& tally) {
  const int d = shape.head_dim;
  const std::size_t stride = static_cast<std::size_t>(shape.kv_heads) * static_cast<std::size_t>(d);
  const std::size_t base = static_cast<std::size_t>(tile.batch * shape.kv_len) * stride + static_cast<std::size_t>(tile.kv_head * d);
  const float* q = tensors.q + (tile.batch * shape.q_heads + tile.first_head) * d;
  const auto scale = static_cast<float>(std::numbers::log2e / std::sqrt(static_cast<double>(d)));
  std::fill_n(out.o, static_cast<std::size_t>(tile.rows) * static_cast<std::size_t>(d), 0.0F);
  std::fill_n(out.m, tile.rows, kNothing);
  std::fill_n(out.l, tile.rows, 0.0F);
  float* s = part.s.data();
  for (std::int64_t key = keys.begin; key < keys.end; key += kDecodeTileKv) {
    const auto valid = static_cast<int>(std::min<std::int64_t>(kDecodeTileKv, keys.end - key));
    const std::size_t at = base + static_cast<std::size_t>(key) * stride;
    const bool more = key + 2 * kDecodeTileKv <= keys.end;
    const std::size_t next = at + static_cast<std::size_t>(kDecodeTileKv) * stride;
    kernels.scores(q, tile.rows, d, tensors.k + at, stride, valid, kDecodeTileKv, s, kDecodeTileKv, more ? tensors.k + next : nullptr);
    for (int r = 0; r < tile.rows && valid < kDecodeTileKv; ++r)
      std::fill_n(s + r * kDecodeTileKv + valid, kDecodeTileKv - valid, kNothing);
    kernels.softmax(s, kDecodeTileKv, tile.rows, kDecodeTileKv, scale, out.m, out.l, part.alpha.data());
    kernels.scale_rows(out.o, static_cast<std::size_t>(d), tile.rows, d, part.alpha.data());
    kernels.values(s, kDecodeTileKv, tile.rows, tensors.v + at, stride, valid, d, out.o, static_cast<std::size_t>(d),
                   more ? tensors.v + next : nullptr);
    tally.add(&Tally::kv_tiles, 1);
    tally.add(&Tally::tensor_flops, 4.0 * tile.rows * valid * d);
    tally.add(&Tally::exp_count, static_cast<double>(tile.rows) * kDecodeTileKv);
    tally.add(&Tally::l2_bytes, 2.0 * valid * d * sizeof(float));
  }
  tally.add(&Tally::l2_bytes, static_cast<double>(tile.rows) * d * sizeof(float));
}

// Rows of the output from `count` partial results that lie one after another.
void merge(const bench::Shape& shape, const Tensors& tensors, const RowTile& tile, const Partial& parts, std::int64_t count) {
  const auto d = static_cast<std::size_t>(shape.head_dim);
  for (int r = 0; r < tile.rows; ++r) {
    const auto row = [&](std::int64_t split) { return static_cast<std::size_t>(split * kDecodeTileQ + r); };
    const float scale = static_cast<float>(std::numbers::log2e / std::sqrt(static_cast<double>(shape.head_dim)));
    float most = kNothing;
    for (std::int64_t i = 0; i < count; ++i) most = std::max(most, parts.m[row(i)]);
    float* to = tensors.o + (tile.batch * shape.q_heads + tile.first_head + r) * shape.head_dim;
    std::fill_n(to, d, 0.0F);
    if (most == kNothing) continue;
    float sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const float factor = std::exp2((parts.m[row(i)] - most) * scale);
      sum += parts.l[row(i)] * factor;
      for (std::size_t x = 0; x < d; ++x) to[x] += parts.o[row(i) * d + x] * factor;
    }
    for (std::size_t x = 0; x < d; ++x) to[x] /= sum;
  }
}

}  // namespace

std::int64_t decode_splits(const bench::Shape& shape, int threads) {
  const std::int64_t group = shape.q_heads / shape.kv_heads;
  const std::int64_t tiles = shape.batch * shape.kv_heads * ceil_div(group, kDecodeTileQ);
  return std::max<std::int64_t>(1, std::min(ceil_div(shape.kv_len, kKeysPerSplit), threads / tiles));
}

namespace {

template <class Tally>
void run(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape, const Tensors& tensors,
         std::vector<Tally>& tallies) {
  const std::int64_t group = shape.q_heads / shape.kv_heads;
  const std::int64_t tiles = shape.batch * shape.kv_heads * ceil_div(group, kDecodeTileQ);
  const std::int64_t splits = decode_splits(shape, pool.size());
  const KeyRange keys = visible_keys(shape, 0);
  const std::int64_t steps = ceil_div(ceil_div(keys.end - keys.begin, kDecodeTileKv), splits);
  Workspace::Splits& partial = workspace.splits();
  const auto d = static_cast<std::size_t>(shape.head_dim);
  Counter counter(tiles * splits);
  pool.run([&](int thread) {
    Workspace::Part& part = workspace.part(thread);
    Tally& tally = tallies[static_cast<std::size_t>(thread)];
    // Partial results are written and read once; O is written once, by the merge.
    const auto merged = [&](const RowTile& tile, const Partial& parts, std::int64_t count) {
      merge(shape, tensors, tile, parts, count);
      tally.add(&Tally::l2_bytes, static_cast<double>(tile.rows) * shape.head_dim * sizeof(float));
      if (count > 1) tally.add(&Tally::l2_bytes, 2.0 * static_cast<double>(count) * tile.rows * (shape.head_dim + 2) * sizeof(float));
    };
    for (std::int64_t item = counter.draw(); item >= 0; item = counter.draw()) {
      const RowTile tile = row_tile(shape, item / splits);
      const std::int64_t split = item % splits;
      KeyRange mine;
      mine.begin = std::min(keys.end, keys.begin + split * steps * kDecodeTileKv);
      mine.end = std::min(keys.end, mine.begin + steps * kDecodeTileKv);
      if (splits == 1) {
        const Partial own{part.o.data(), part.m.data(), part.l.data()};
        attend(kernels, part, shape, tensors, tile, mine, own, tally);
        merged(tile, own, 1);
        continue;
      }
      const auto first = static_cast<std::size_t>(item / splits * splits) * kDecodeTileQ;
      const std::size_t row = first + static_cast<std::size_t>(split) * kDecodeTileQ;
      attend(kernels, part, shape, tensors, tile, mine, {partial.o.data() + row * d, partial.m.data() + row, partial.l.data() + row},
             tally);
      std::atomic<int>& arrived = partial.arrived[static_cast<std::size_t>(item / splits)];
      if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 < splits) continue;
      arrived.store(0, std::memory_order_relaxed);
      merged(tile, {partial.o.data() + first * d, partial.m.data() + first, partial.l.data() + first}, splits);
    }
  });
}

}  // namespace

void decode(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape, const Tensors& tensors) {
  run(kernels, pool, workspace, shape, tensors, workspace.no_tallies());
}

Counts decode_counts(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape, const Tensors& tensors) {
  std::vector<Counts> tallies(static_cast<std::size_t>(pool.size()));
  run(kernels, pool, workspace, shape, tensors, tallies);
  return sum(tallies);
}

}  // namespace attnsim::host
