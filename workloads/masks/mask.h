// SPDX-License-Identifier: Apache-2.0
// Which keys a query keeps, in one head of one batch entry: the index set of the tile-list family. One subclass per shape of index set
// (band, expression, block list, n-D neighbourhood), each with the closed forms that it has; none builds a q_len x kv_len matrix.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sim/ir/row_order.h"
#include "workloads/masks/expression.h"

namespace attnsim {

// KV tiles first, first + step, ... that a row tile visits. Partial tiles hold at least one pair that is kept and one that is not (the
// columns of a ragged last tile that do not exist count as not kept); full tiles keep every pair; absent tiles stand in no run.
struct TileRun {
  std::int64_t first = 0;
  std::int64_t count = 0;
  bool partial = false;
  std::int64_t step = 1;  // > 0
  [[nodiscard]] std::int64_t last() const { return first + (count - 1) * step; }
  friend bool operator==(const TileRun&, const TileRun&) = default;
};

// Half-open range.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  [[nodiscard]] bool empty() const { return begin >= end; }
};

// Key k is kept by query q when lower <= k - (q + shift) <= upper; kUnbounded: no such bound.
inline constexpr std::int64_t kUnbounded = INT64_MAX / 4;
struct Band {
  std::int64_t shift = 0;
  std::int64_t lower = -kUnbounded;
  std::int64_t upper = kUnbounded;
  [[nodiscard]] bool is_dense() const { return lower <= -kUnbounded && upper >= kUnbounded; }
  friend bool operator==(const Band&, const Band&) = default;
};

// Where the KV boxes of a query box begin: on a grid that all share, or at the first key that some of its queries keep.
enum class KvTiling : std::uint8_t { on_grid, from_first_key };

struct BoxedMask;

class Mask {
 public:
  Mask(std::int64_t q_len, std::int64_t kv_len) : q_len_(q_len), kv_len_(kv_len) {}
  virtual ~Mask() = default;
  [[nodiscard]] std::int64_t q_len() const { return q_len_; }
  [[nodiscard]] std::int64_t kv_len() const { return kv_len_; }

  // The definition; what tests compare everything else with. 0 <= q < q_len, 0 <= k < kv_len.
  [[nodiscard]] virtual bool keeps(std::int64_t q, std::int64_t k) const = 0;
  // KV tiles of `tile_kv` keys visited by the queries, ascending, neighbouring tiles of one kind in one run. Exact.
  [[nodiscard]] virtual std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const = 0;
  // The same into a list whose storage stays, for callers that go from tile to tile.
  virtual void put_runs(Range queries, std::int64_t tile_kv, std::vector<TileRun>& list) const { list = runs(queries, tile_kv); }
  // Kept (query, key) pairs in a rectangle. Exact.
  [[nodiscard]] virtual std::int64_t kept(Range queries, Range keys) const = 0;
  // What a kernel evaluates on partial tiles, for pairs that exist. Masks of one variant that differ by head or batch entry may
  // differ in constants and tables only.
  [[nodiscard]] virtual MaskTest test() const = 0;
  // The same of a kernel whose items are keys and whose trips are queries (the backward pass), still in terms of query and key.
  [[nodiscard]] virtual MaskTest test_by_key() const { return test(); }
  // What a kernel tests whose tiles hold so many queries by so many keys, and nothing that they do not visit.
  [[nodiscard]] virtual MaskTest test_in_tiles(std::int64_t queries, std::int64_t tile_kv) const;
  // Whether what one query visits says nothing about what the next one does.
  [[nodiscard]] virtual bool visits_at_random() const { return false; }
  // The band, where the mask is one: libraries have special kernels and split rules for bands.
  [[nodiscard]] virtual std::optional<Band> band() const { return std::nullopt; }
  // Axes of the layout whose tokens queries and keys are; 0: a plain sequence.
  [[nodiscard]] virtual std::size_t rank() const { return 0; }
  // Whether tensors already hold their tokens box by box, so that no kernel has to reorder them.
  [[nodiscard]] virtual bool held_in_boxes() const { return false; }
  // The same mask with queries and keys held box by box, one tile extent per axis. Only where rank() > 0.
  [[nodiscard]] virtual BoxedMask boxed(const std::vector<std::int64_t>& q_box, const std::vector<std::int64_t>& kv_box,
                                        KvTiling tiling) const;

 private:
  std::int64_t q_len_;
  std::int64_t kv_len_;
};

// Queries and keys of `mask` are places of the orders, then keys that belong to no place. Padding is not kept.
struct BoxedMask {
  std::shared_ptr<const Mask> mask;
  ir::RowOrder q;
  ir::RowOrder kv;
};

// Query heads [first_head, first_head + heads) of a batch entry that share a mask.
struct HeadMask {
  std::int64_t first_head = 0;
  std::int64_t heads = 1;
  std::shared_ptr<const Mask> mask;
};

}  // namespace attnsim
