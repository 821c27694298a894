// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "validation/host/workspace.h"

namespace attnsim::host {

namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// One query tile of one head.
template <class Tally>
class QueryTile {
 public:
  QueryTile(const Kernels& kernels, Workspace::Part& part, const bench::Shape& shape, const Tensors& tensors, Tally& tally)
      : kernels_(kernels), part_(part), shape_(shape), tensors_(tensors), tally_(tally), d_(shape.head_dim) {
    cols_ = static_cast<int>(ceil_div(d_, kernels.block_cols)) * kernels.block_cols;
    scale_ = static_cast<float>(std::numbers::log2e / std::sqrt(static_cast<double>(d_)));
  }

  void run(std::int64_t batch, std::int64_t head, std::int64_t tile) {
    batch_ = batch;
    head_ = head;
    first_ = tile * kTileQ;
    rows_ = static_cast<int>(std::min<std::int64_t>(kTileQ, shape_.q_len - first_));
    padded_ = static_cast<int>(ceil_div(rows_, kernels_.block_rows)) * kernels_.block_rows;
    load_q();
    for (int r = 0; r < rows_; ++r) visible_[static_cast<std::size_t>(r)] = visible_keys(shape_, first_ + r);
    const KeyRange keys{visible_.front().begin, last().end};
    for (std::int64_t t = keys.begin / kTileKv; t * kTileKv < keys.end; ++t) {
      if (keeps_tile(shape_, tile, t)) visit(t * kTileKv);
    }
    store_o();
  }

 private:
  [[nodiscard]] std::size_t q_stride() const { return static_cast<std::size_t>(shape_.q_heads) * static_cast<std::size_t>(d_); }
  [[nodiscard]] std::size_t kv_stride() const { return static_cast<std::size_t>(shape_.kv_heads) * static_cast<std::size_t>(d_); }
  [[nodiscard]] std::size_t q_offset() const {
    return static_cast<std::size_t>(batch_ * shape_.q_len + first_) * q_stride() + static_cast<std::size_t>(head_ * d_);
  }

  void load_q() {
    for (int r = 0; r < padded_; ++r) {
      float* row = part_.q.data() + static_cast<std::size_t>(r) * static_cast<std::size_t>(d_);
      if (r < rows_)
        std::memcpy(row, tensors_.q + q_offset() + static_cast<std::size_t>(r) * q_stride(), static_cast<std::size_t>(d_) * sizeof(float));
      else
        std::fill_n(row, d_, 0.0F);
      part_.m.data()[r] = kNothing;
      part_.l.data()[r] = 0;
    }
    std::fill_n(part_.o.data(), static_cast<std::size_t>(padded_) * static_cast<std::size_t>(cols_), 0.0F);
    tally_.add(&Tally::l2_bytes, static_cast<double>(rows_ * d_) * sizeof(float));
  }

  void visit(std::int64_t key) {
    const auto valid = static_cast<int>(std::min<std::int64_t>(kTileKv, shape_.kv_len - key));
    const std::int64_t kv_head = head_ / (shape_.q_heads / shape_.kv_heads);
    const std::size_t at = static_cast<std::size_t>(batch_ * shape_.kv_len + key) * kv_stride() + static_cast<std::size_t>(kv_head * d_);
    float* s = part_.s.data();
    const auto d = static_cast<std::size_t>(d_);
    const auto cols = static_cast<std::size_t>(cols_);
    kernels_.pack_transposed(tensors_.k + at, kv_stride(), valid, kTileKv, d_, part_.k.data());
    kernels_.product(part_.q.data(), d, padded_, d_, part_.k.data(), kTileKv, s, kTileKv, false);
    mask(key, valid);
    kernels_.softmax(s, kTileKv, padded_, kTileKv, scale_, part_.m.data(), part_.l.data(), part_.alpha.data());
    kernels_.scale_rows(part_.o.data(), cols, padded_, cols_, part_.alpha.data());
    kernels_.pack(tensors_.v + at, kv_stride(), valid, kTileKv, d_, part_.v.data());
    kernels_.product(s, kTileKv, padded_, kTileKv, part_.v.data(), cols_, part_.o.data(), cols, true);
    tally_.add(&Tally::kv_tiles, 1);
    tally_.add(&Tally::tensor_flops, 2.0 * padded_ * kTileKv * (d_ + cols_));
    tally_.add(&Tally::exp_count, static_cast<double>(padded_) * kTileKv);
    tally_.add(&Tally::l2_bytes, 2.0 * valid * d_ * sizeof(float));
  }

  [[nodiscard]] const KeyRange& last() const { return visible_[static_cast<std::size_t>(rows_ - 1)]; }

  void mask(std::int64_t key, int valid) {
    const KeyRange& first = visible_.front();
    if (std::max(first.begin, last().begin) <= key && std::min(first.end, last().end) >= key + kTileKv && valid == kTileKv) return;
    for (int r = 0; r < rows_; ++r) {
      const KeyRange& keys = visible_[static_cast<std::size_t>(r)];
      kernels_.keep(part_.s.data() + static_cast<std::size_t>(r) * kTileKv, kTileKv,
                    static_cast<int>(std::clamp<std::int64_t>(keys.begin - key, 0, kTileKv)),
                    static_cast<int>(std::clamp<std::int64_t>(keys.end - key, 0, kTileKv)));
    }
  }

  void store_o() {
    for (int r = 0; r < rows_; ++r) {
      const float* row = part_.o.data() + static_cast<std::size_t>(r) * static_cast<std::size_t>(cols_);
      const float factor = part_.m.data()[r] == kNothing ? 0 : 1 / part_.l.data()[r];
      float* to = tensors_.o + q_offset() + static_cast<std::size_t>(r) * q_stride();
      for (int x = 0; x < d_; ++x) to[x] = row[x] * factor;
    }
    tally_.add(&Tally::l2_bytes, static_cast<double>(rows_ * d_) * sizeof(float));
  }

  const Kernels& kernels_;
  Workspace::Part& part_;
  const bench::Shape& shape_;
  const Tensors& tensors_;
  Tally& tally_;
  int d_;
  int cols_ = 0;  // head_dim padded to blocks of columns
  float scale_ = 1;
  std::int64_t batch_ = 0;
  std::int64_t head_ = 0;
  std::int64_t first_ = 0;  // query
  int rows_ = 0;
  int padded_ = 0;                          // rows padded to register blocks
  std::array<KeyRange, kTileQ> visible_{};  // of each row
};

template <class Tally>
void run(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape, const Tensors& tensors,
         std::vector<Tally>& tallies) {
  const std::int64_t tiles = ceil_div(shape.q_len, kTileQ);
  Counter counter(shape.batch * shape.q_heads * tiles);
  pool.run([&](int thread) {
    QueryTile tile(kernels, workspace.part(thread), shape, tensors, tallies[static_cast<std::size_t>(thread)]);
    for (std::int64_t item = counter.draw(); item >= 0; item = counter.draw()) {
      const std::int64_t slab = item / tiles;
      tile.run(slab / shape.q_heads, slab % shape.q_heads, tiles - 1 - item % tiles);
    }
  });
}

}  // namespace

void prefill(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape, const Tensors& tensors) {
  run(kernels, pool, workspace, shape, tensors, workspace.no_tallies());
}

Counts prefill_counts(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape, const Tensors& tensors) {
  std::vector<Counts> tallies(static_cast<std::size_t>(pool.size()));
  run(kernels, pool, workspace, shape, tensors, tallies);
  return sum(tallies);
}

}  // namespace attnsim::host
