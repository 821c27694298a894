// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/l2_cache.h"

#include <algorithm>
#include <bit>

namespace attnsim {

namespace {

constexpr std::int64_t kBlockBytes = 16 * 1024;
constexpr std::int64_t kMostRows = 64;  // bits of a row mask
constexpr int kVictimCandidates = 4;    // blocks of which the one unused longest leaves

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
    const std::int64_t row_bytes = std::max<std::int64_t>(1, tensor.cols * ir::bits_of(tensor.dtype) / 8 / tensor.column_parts);
    row_bytes_.push_back(row_bytes);
    parts_.push_back(tensor.column_parts);
    const std::int64_t rows = std::clamp<std::int64_t>(kBlockBytes / row_bytes, 1, kMostRows);
    block_rows_.push_back(rows);
    block_shift_.push_back(std::has_single_bit(static_cast<std::uint64_t>(rows)) ? std::countr_zero(static_cast<std::uint64_t>(rows)) : -1);
    SharedMemory shared;
    if (tensor.same_memory != ir::kNone) {
      const ir::Tensor& other = tensors[static_cast<std::size_t>(tensor.same_memory)];
      shared = {tensor.same_memory, other.rows, tensor.rows, tensor.cols / other.cols};
    }
    shared_.push_back(shared);
  }
}

void L2Cache::fill(double dirty_share) {
  const auto other = static_cast<ir::TensorId>(row_bytes_.size());  // none of the pipeline's, and never accessed
  row_bytes_.push_back(kBlockBytes / kMostRows);
  const auto blocks = static_cast<std::size_t>((capacity_bytes_ - used_bytes_) / kBlockBytes);
  blocks_.reserve(blocks_.size() + blocks);
  last_use_.reserve(last_use_.size() + blocks);
  index_.reserve(blocks);
  double dirty = 0;  // blocks that are owed
  for (std::size_t block = 0; block < blocks; ++block) {
    dirty += dirty_share;
    const std::int32_t index = find_or_insert(block_key(other, 0, static_cast<std::int64_t>(block)));
    blocks_[static_cast<std::size_t>(index)].present = ~std::uint64_t{0};
    if (dirty < 1) continue;
    blocks_[static_cast<std::size_t>(index)].dirty = ~std::uint64_t{0};
    dirty -= 1;
  }
  used_bytes_ += static_cast<std::int64_t>(blocks) * kBlockBytes;
}

L2Outcome L2Cache::access_shared(const SharedMemory& shared, std::int64_t row, std::int64_t rows, bool write) {
  L2Outcome sum;
  for (std::int64_t r = row; r < row + rows; ++r) {
    for (std::int64_t i = 0; i < shared.side_by_side; ++i) {
      const L2Outcome one = access(shared.tensor, r / shared.rows * shared.side_by_side + i, r % shared.rows, 1, write);
      sum.hit_bytes += one.hit_bytes;
      sum.miss_bytes += one.miss_bytes;
      sum.written_back_bytes += one.written_back_bytes;
    }
  }
  return sum;
}

L2Outcome L2Cache::access_divided(ir::TensorId tensor, std::int64_t slab, std::int64_t row, std::int64_t rows, bool write,
                                  std::int64_t begin, std::int64_t bytes) {
  L2Outcome outcome;
  const auto t = static_cast<std::size_t>(tensor);
  if (shared_[t].tensor != ir::kNone) return access_shared(shared_[t], slab * shared_[t].own_rows + row, rows, write);
  const std::int64_t first = begin / row_bytes_[t];
  const std::int64_t end = bytes == 0 ? parts_[t] : std::min(parts_[t], (begin + bytes + row_bytes_[t] - 1) / row_bytes_[t]);
  for (std::int64_t part = first; part < end; ++part) access_part(tensor, slab * parts_[t] + part, row, rows, write, outcome);
  return outcome;
}

void L2Cache::access_part(ir::TensorId tensor, std::int64_t slab, std::int64_t row, std::int64_t rows, bool write, L2Outcome& outcome) {
  const auto t = static_cast<std::size_t>(tensor);
  const std::int64_t end = row + rows;
  while (row < end) {
    const std::int64_t block = block_shift_[t] >= 0 ? row >> block_shift_[t] : row / block_rows_[t];
    const std::int64_t next = std::min(end, (block + 1) * block_rows_[t]);
    const std::int32_t index = find_or_insert(block_key(tensor, slab, block));
    Block& entry = blocks_[static_cast<std::size_t>(index)];
    const std::uint64_t touched = rows_mask(row - block * block_rows_[t], next - row);
    const std::int64_t touched_bytes = (next - row) * row_bytes_[t];
    const std::int64_t added = entry.present == 0 ? touched_bytes : bytes_of(entry.key, touched & ~entry.present);
    entry.present |= touched;
    used_bytes_ += added;
    if (write) {
      entry.dirty |= touched;
    } else {
      outcome.miss_bytes += added;
      outcome.hit_bytes += touched_bytes - added;
    }
    if (used_bytes_ > capacity_bytes_) outcome.written_back_bytes += evict();
    row = next;
  }
}

void L2Cache::Index::insert(std::uint64_t key, std::int32_t block) {
  if (2 * (count_ + 1) > places_.size()) resize(2 * places_.size());
  std::size_t at = home(key);
  while (places_[at].block >= 0) at = (at + 1) & (places_.size() - 1);
  places_[at] = {key, block};
  ++count_;
}

// What follows moves up, so that no search ends too early.
void L2Cache::Index::erase(std::uint64_t key) {
  const std::size_t mask = places_.size() - 1;
  std::size_t hole = home(key);
  while (places_[hole].key != key || places_[hole].block < 0) hole = (hole + 1) & mask;
  for (std::size_t at = (hole + 1) & mask; places_[at].block >= 0; at = (at + 1) & mask) {
    if (((at - home(places_[at].key)) & mask) < ((at - hole) & mask)) continue;  // its home lies behind the hole
    places_[hole] = places_[at];
    hole = at;
  }
  places_[hole].block = -1;
  --count_;
}

void L2Cache::Index::reserve(std::size_t more) {
  std::size_t places = places_.size();
  while (2 * (count_ + more + 1) > places) places *= 2;
  if (places > places_.size()) resize(places);
}

void L2Cache::Index::resize(std::size_t places) {
  std::vector<Place> old(places);
  old.swap(places_);
  for (const Place& place : old) {
    if (place.block < 0) continue;
    std::size_t at = home(place.key);
    while (places_[at].block >= 0) at = (at + 1) & (places_.size() - 1);
    places_[at] = place;
  }
}

std::int32_t L2Cache::insert(std::uint64_t key) {
  auto index = static_cast<std::int32_t>(blocks_.size());
  if (free_.empty()) {
    blocks_.emplace_back();
    last_use_.push_back(0);
  } else {
    index = free_.back();
    free_.pop_back();
  }
  blocks_[static_cast<std::size_t>(index)] = Block{key, 0, 0};
  index_.insert(key, index);
  return index;
}

// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators").
std::int32_t L2Cache::random_block() {
  draw_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = draw_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<std::int32_t>((z ^ (z >> 31)) % blocks_.size());
}

std::int32_t L2Cache::pick_victim() {
  std::int32_t victim = -1;
  for (int candidates = 0; candidates < kVictimCandidates;) {
    const std::int32_t block = random_block();
    const std::uint64_t used = last_use_[static_cast<std::size_t>(block)];
    if (used == 0) continue;
    if (victim < 0 || used < last_use_[static_cast<std::size_t>(victim)]) victim = block;
    ++candidates;
  }
  return victim;
}

std::int64_t L2Cache::bytes_of(std::uint64_t key, std::uint64_t rows) const {
  return rows == 0 ? 0 : std::popcount(rows) * row_bytes_[static_cast<std::size_t>(key >> 56)];
}

std::int64_t L2Cache::evict() {
  std::int64_t written_back = 0;
  while (used_bytes_ > capacity_bytes_ && !index_.empty()) {
    const std::int32_t victim = pick_victim();
    const Block block = blocks_[static_cast<std::size_t>(victim)];
    index_.erase(block.key);
    free_.push_back(victim);
    last_use_[static_cast<std::size_t>(victim)] = 0;
    used_bytes_ -= bytes_of(block.key, block.present);
    written_back += bytes_of(block.key, block.dirty);
  }
  return written_back;
}

}  // namespace attnsim
