// SPDX-License-Identifier: Apache-2.0
// Blocks of pairs that are kept whole, in any pattern. A row of blocks is kept as a bitmap or as the gaps and lengths of its runs,
// whichever is shorter: 8192 x 8192 blocks of a million tokens take at most 8 MiB a head.
#pragma once

#include "workloads/masks/mask.h"

namespace attnsim {

// Kept blocks, by block row, ascending.
class BlockPattern {
 public:
  BlockPattern(std::int64_t block_rows, std::int64_t block_columns);
  // Rows in order, from 0; runs ascending, apart from each other, inside the columns.
  void add_row(const std::vector<Range>& runs);
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(begin_.size()) - 1; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }
  [[nodiscard]] std::vector<Range> row(std::int64_t r) const;
  [[nodiscard]] bool keeps(std::int64_t row, std::int64_t column) const;
  [[nodiscard]] std::int64_t bytes() const { return static_cast<std::int64_t>(data_.size() + begin_.size() * sizeof(std::int64_t)); }

 private:
  std::int64_t columns_;
  std::vector<std::uint8_t> data_;
  std::vector<std::int64_t> begin_{0};  // of each row in data_
};

// Where blocks of tokens begin and end: all of one size but the last, or each of its own.
class BlockEdges {
 public:
  BlockEdges(std::int64_t block, std::int64_t tokens);
  explicit BlockEdges(const std::vector<std::int64_t>& sizes);
  [[nodiscard]] std::int64_t blocks() const;
  [[nodiscard]] std::int64_t block_of(std::int64_t token) const;
  [[nodiscard]] std::int64_t begin(std::int64_t block) const;
  [[nodiscard]] std::int64_t end(std::int64_t block) const { return begin(block + 1); }

 private:
  std::int64_t block_ = 0;  // 0: by edges
  std::int64_t tokens_ = 0;
  std::shared_ptr<const std::vector<std::int64_t>> edges_;
};

class BlockMask : public Mask {
 public:
  // Block (r, c) holds the queries of block r and the keys of block c. Causal: a query sees none behind its own position, the queries
  // being the last tokens.
  BlockMask(std::shared_ptr<const BlockPattern> pattern, BlockEdges queries, BlockEdges keys, bool causal, std::int64_t q_len,
            std::int64_t kv_len);
  [[nodiscard]] bool keeps(std::int64_t q, std::int64_t k) const override;
  [[nodiscard]] std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const override;
  [[nodiscard]] std::int64_t kept(Range queries, Range keys) const override;
  // Where tiles cut blocks, the kernel looks up a bit per pair (Expression pair_value(0)).
  [[nodiscard]] MaskTest test() const override;

 private:
  std::shared_ptr<const BlockPattern> pattern_;
  BlockEdges queries_;
  BlockEdges keys_;
  bool causal_;
};

}  // namespace attnsim
