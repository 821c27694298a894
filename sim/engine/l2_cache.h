// SPDX-License-Identifier: Apache-2.0
// L2 as an LRU over blocks of rows of global tensors. A block is at most 64 rows and about 16 KiB, and knows which of its rows are
// present: other rows of a block never hit.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "sim/core/units.h"
#include "sim/ir/pipeline.h"

namespace attnsim {

struct L2Outcome {
  std::int64_t hit_bytes = 0;
  std::int64_t miss_bytes = 0;
  std::int64_t written_back_bytes = 0;  // dirty blocks that the access evicted
};

class L2Cache {
 public:
  L2Cache(Bytes capacity, const std::vector<ir::Tensor>& tensors);

  // Rows [row, row + rows) of a tensor's slab. A write makes its bytes present and dirty without fetching them.
  L2Outcome access(ir::TensorId tensor, std::int64_t slab, std::int64_t row, std::int64_t rows, bool write);

 private:
  struct Block {
    std::uint64_t key = 0;
    std::uint64_t present = 0;  // bit i: row i
    std::uint64_t dirty = 0;
    std::int32_t newer = -1;
    std::int32_t older = -1;
  };
  std::int32_t find_or_insert(std::uint64_t key);
  void unlink(std::int32_t index);
  void push_newest(std::int32_t index);
  [[nodiscard]] std::int64_t bytes_of(std::uint64_t key, std::uint64_t rows) const;
  std::int64_t evict_to_capacity();

  std::int64_t capacity_bytes_;
  std::int64_t used_bytes_ = 0;
  std::vector<std::int64_t> row_bytes_;   // by tensor
  std::vector<std::int64_t> block_rows_;  // by tensor
  std::unordered_map<std::uint64_t, std::int32_t> index_;
  std::vector<Block> blocks_;
  std::vector<std::int32_t> free_;
  std::int32_t newest_ = -1;
  std::int32_t oldest_ = -1;
};

}  // namespace attnsim
