// SPDX-License-Identifier: Apache-2.0
// The attention kernels of the host backend, FP32. Tensors as bench::Shape says: Q and O [batch, q_len, q_heads, head_dim], K and V
// [batch, kv_len, kv_heads, head_dim], row-major.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "validation/bench/backend.h"
#include "validation/host/kernels.h"
#include "validation/host/pool.h"

namespace attnsim::host {

inline constexpr int kTileQ = 96;         // query rows of a tile: a multiple of every register block
inline constexpr int kTileKv = 128;       // keys of a tile
inline constexpr int kDecodeTileQ = 8;    // heads of a group that share a pass over the keys
inline constexpr int kDecodeTileKv = 64;  // keys of a step
inline constexpr int kKeysPerSplit = 512;
inline constexpr int kMaxHeadDim = 128;

// What a kernel counts when it is compiled to count; kCounts false: every call is empty. One per thread.
template <bool kCounts_>
struct Tally {
  static constexpr bool kCounts = kCounts_;
  double kv_tiles = 0;      // of prefill kTileKv keys per query tile, of decode a step
  double tensor_flops = 0;  // products, padded rows and columns included
  double exp_count = 0;     // scores of the softmax, padding included
  double l2_bytes = 0;      // of Q, K, V read and O written; partial results too
  void add(double Tally::*what, double amount) {
    if constexpr (kCounts) this->*what += amount;
  }
};
using Counts = Tally<true>;

struct Tensors {
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  float* o = nullptr;
};

// Keys [begin, end) that a query sees.
struct KeyRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
[[nodiscard]] KeyRange visible_keys(const bench::Shape& shape, std::int64_t query);
// mask "block-sparse": whether a KV tile is computed for a query tile. The first KV tile always is; every head has the same list.
[[nodiscard]] bool keeps_tile(const bench::Shape& shape, std::int64_t q_tile, std::int64_t kv_tile);

[[nodiscard]] Counts sum(const std::vector<Counts>& threads);

// Memory that the kernels work in, one part per thread; made before the timing starts.
class Workspace {
 public:
  Workspace(int threads, const bench::Shape& shape);
  ~Workspace();
  struct Part;
  [[nodiscard]] Part& part(int thread) { return *parts_[static_cast<std::size_t>(thread)]; }
  struct Splits;
  [[nodiscard]] Splits& splits() { return *splits_; }
  [[nodiscard]] std::vector<Tally<false>>& no_tallies() { return no_tallies_; }  // one per thread

 private:
  std::vector<std::unique_ptr<Part>> parts_;
  std::unique_ptr<Splits> splits_;
  std::vector<Tally<false>> no_tallies_;
};

// FlashAttention-2 class: query tiles drawn from a counter, the last (longest when causal) first; K transposed and V copied into
// panels, S = Q K^T and O += P V by register blocks, online softmax between them.
void prefill(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape, const Tensors& tensors);
[[nodiscard]] Counts prefill_counts(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape,
                                    const Tensors& tensors);
// One query token: the heads of a group read each key once; free threads split the keys; the last split of a row tile merges.
void decode(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape, const Tensors& tensors);
[[nodiscard]] Counts decode_counts(const Kernels& kernels, Pool& pool, Workspace& workspace, const bench::Shape& shape,
                                   const Tensors& tensors);
// Parts that the keys of one row tile are split into: one per 512 keys, as far as threads are free.
[[nodiscard]] std::int64_t decode_splits(const bench::Shape& shape, int threads);

// Straight-line double precision, one query at a time: what every kernel is checked against.
void reference(const bench::Shape& shape, const Tensors& tensors, std::vector<double>& o);

}  // namespace attnsim::host
