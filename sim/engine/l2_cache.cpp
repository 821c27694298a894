// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/l2_cache.h"

#include <algorithm>
#include <bit>

namespace attnsim {

namespace {

constexpr std::int64_t kBlockBytes = 16 * 1024;
constexpr std::int64_t kMostRows = 64;  // bits of a row mask

std::uint64_t block_key(ir::TensorId tensor, std::int64_t slab, std::int64_t block) {
  return (static_cast<std::uint64_t>(tensor) << 56) | (static_cast<std::uint64_t>(slab) << 24) | static_cast<std::uint64_t>(block);
}

std::uint64_t rows_mask(std::int64_t first, std::int64_t count) {
  const std::uint64_t low = count >= kMostRows ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  return low << first;
}

}  // namespace

L2Cache::L2Cache(Bytes capacity, const std::vector<ir::Tensor>& tensors) : capacity_bytes_(capacity.count()) {
  for (const ir::Tensor& tensor : tensors) {
    const std::int64_t row_bytes = std::max<std::int64_t>(1, tensor.cols * ir::bits_of(tensor.dtype) / 8);
    row_bytes_.push_back(row_bytes);
    block_rows_.push_back(std::clamp<std::int64_t>(kBlockBytes / row_bytes, 1, kMostRows));
  }
}

L2Outcome L2Cache::access(ir::TensorId tensor, std::int64_t slab, std::int64_t row, std::int64_t rows, bool write) {
  L2Outcome outcome;
  const auto t = static_cast<std::size_t>(tensor);
  const std::int64_t end = row + rows;
  while (row < end) {
    const std::int64_t block = row / block_rows_[t];
    const std::int64_t next = std::min(end, (block + 1) * block_rows_[t]);
    const std::int32_t index = find_or_insert(block_key(tensor, slab, block));
    Block& entry = blocks_[static_cast<std::size_t>(index)];
    const std::uint64_t touched = rows_mask(row - block * block_rows_[t], next - row);
    const std::int64_t added = bytes_of(entry.key, touched & ~entry.present);
    entry.present |= touched;
    used_bytes_ += added;
    if (write) {
      entry.dirty |= touched;
    } else {
      outcome.miss_bytes += added;
      outcome.hit_bytes += bytes_of(entry.key, touched) - added;
    }
    outcome.written_back_bytes += evict_to_capacity();
    row = next;
  }
  return outcome;
}

std::int32_t L2Cache::find_or_insert(std::uint64_t key) {
  const auto found = index_.find(key);
  std::int32_t index = -1;
  if (found != index_.end()) {
    index = found->second;
    unlink(index);
  } else {
    if (free_.empty()) {
      index = static_cast<std::int32_t>(blocks_.size());
      blocks_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    blocks_[static_cast<std::size_t>(index)] = Block{key, 0, 0, -1, -1};
    index_.emplace(key, index);
  }
  push_newest(index);
  return index;
}

void L2Cache::unlink(std::int32_t index) {
  const Block& block = blocks_[static_cast<std::size_t>(index)];
  (block.newer >= 0 ? blocks_[static_cast<std::size_t>(block.newer)].older : newest_) = block.older;
  (block.older >= 0 ? blocks_[static_cast<std::size_t>(block.older)].newer : oldest_) = block.newer;
}

void L2Cache::push_newest(std::int32_t index) {
  Block& block = blocks_[static_cast<std::size_t>(index)];
  block.newer = -1;
  block.older = newest_;
  if (newest_ >= 0) blocks_[static_cast<std::size_t>(newest_)].newer = index;
  newest_ = index;
  if (oldest_ < 0) oldest_ = index;
}

std::int64_t L2Cache::bytes_of(std::uint64_t key, std::uint64_t rows) const {
  return std::popcount(rows) * row_bytes_[static_cast<std::size_t>(key >> 56)];
}

std::int64_t L2Cache::evict_to_capacity() {
  std::int64_t written_back = 0;
  while (used_bytes_ > capacity_bytes_ && oldest_ >= 0) {
    const std::int32_t victim = oldest_;
    const Block block = blocks_[static_cast<std::size_t>(victim)];
    unlink(victim);
    index_.erase(block.key);
    free_.push_back(victim);
    used_bytes_ -= bytes_of(block.key, block.present);
    written_back += bytes_of(block.key, block.dirty);
  }
  return written_back;
}

}  // namespace attnsim
