// SPDX-License-Identifier: Apache-2.0
// L2 over blocks of rows of global tensors. A block is at most 64 rows and about 16 KiB, and knows which of its rows are present:
// other rows of a block never hit. Of four blocks drawn at random the one unused longest leaves: sets of few ways, so that a
// loop over somewhat more than the capacity still finds part of it, as on hardware, where strict LRU would find nothing.
#pragma once

#include <cstdint>
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
  // Full of lines that nobody reads, of which so many are dirty: as after a buffer that was written to clear it.
  void fill(double dirty_share);

  // Rows [row, row + rows) of a tensor's slab, of each the bytes [begin, begin + bytes), in whole column parts; bytes 0: all. A write makes
  // its bytes present and dirty without fetching them.
  L2Outcome access(ir::TensorId tensor, std::int64_t slab, std::int64_t row, std::int64_t rows, bool write, std::int64_t begin = 0,
                   std::int64_t bytes = 0) {
    const auto t = static_cast<std::size_t>(tensor);
    L2Outcome outcome;
    if (parts_[t] == 1 && begin < row_bytes_[t] && shared_[t].tensor == ir::kNone) {  // rows are not divided
      access_part(tensor, slab, row, rows, write, outcome);
    } else {
      outcome = access_divided(tensor, slab, row, rows, write, begin, bytes);
    }
    return outcome;
  }

 private:
  struct Block {
    std::uint64_t key = 0;
    std::uint64_t present = 0;  // bit i: row i
    std::uint64_t dirty = 0;
  };
  struct SharedMemory {
    ir::TensorId tensor = ir::kNone;
    std::int64_t rows = 1;      // of one of its slabs
    std::int64_t own_rows = 1;  // of a slab of the tensor that shares it
    std::int64_t side_by_side = 1;
  };
  L2Outcome access_divided(ir::TensorId tensor, std::int64_t slab, std::int64_t row, std::int64_t rows, bool write, std::int64_t begin,
                           std::int64_t bytes);
  void access_part(ir::TensorId tensor, std::int64_t slab, std::int64_t row, std::int64_t rows, bool write, L2Outcome& outcome);
  L2Outcome access_shared(const SharedMemory& shared, std::int64_t row, std::int64_t rows, bool write);
  std::int32_t find_or_insert(std::uint64_t key) {
    std::int32_t index = index_.find(key);
    if (index < 0) index = insert(key);
    last_use_[static_cast<std::size_t>(index)] = ++uses_;
    return index;
  }
  std::int32_t insert(std::uint64_t key);
  [[nodiscard]] std::int32_t random_block();
  [[nodiscard]] std::int32_t pick_victim();
  [[nodiscard]] std::int64_t bytes_of(std::uint64_t key, std::uint64_t rows) const;
  std::int64_t evict();  // until what is used fits

  std::int64_t capacity_bytes_;
  std::int64_t used_bytes_ = 0;
  std::vector<std::int64_t> row_bytes_;   // by tensor, of one column part
  std::vector<std::int64_t> parts_;       // by tensor
  std::vector<std::int64_t> block_rows_;  // by tensor
  std::vector<int> block_shift_;          // their binary logarithm; -1: not whole
  std::vector<SharedMemory> shared_;      // by tensor
  // Block of a key, by open addressing: never iterated.
  class Index {
   public:
    [[nodiscard]] std::int32_t find(std::uint64_t key) const {  // -1: not there
      for (std::size_t at = home(key);; at = (at + 1) & (places_.size() - 1)) {
        if (places_[at].block < 0 || places_[at].key == key) return places_[at].block;
      }
    }
    void insert(std::uint64_t key, std::int32_t block);
    void erase(std::uint64_t key);
    void reserve(std::size_t more);
    [[nodiscard]] bool empty() const { return count_ == 0; }

   private:
    struct Place {
      std::uint64_t key = 0;
      std::int32_t block = -1;  // -1: free
    };
    [[nodiscard]] std::size_t home(std::uint64_t key) const {
      return static_cast<std::size_t>(key * 0x9e3779b97f4a7c15ULL >> 32) & (places_.size() - 1);
    }
    void resize(std::size_t places);
    std::vector<Place> places_ = std::vector<Place>(64);
    std::size_t count_ = 0;
  };
  Index index_;
  std::vector<Block> blocks_;
  std::vector<std::uint64_t> last_use_;  // of each; 0: a free place. Apart, since victims are drawn all over
  std::vector<std::int32_t> free_;
  std::uint64_t uses_ = 0;
  std::uint64_t draw_ = 0;
};

}  // namespace attnsim
