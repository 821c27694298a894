// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/l2_cache.h"

#include <catch2/catch.hpp>

#include "sim/engine/footprint.h"

using attnsim::Bytes;
using attnsim::L2Cache;
using attnsim::L2Outcome;

namespace {

// 64 rows of 256 bytes = one block of 16 KiB.
std::vector<attnsim::ir::Tensor> tensors() {
  attnsim::ir::Tensor t;
  t.slabs = 8;
  t.rows = 1024;
  t.cols = 128;
  t.dtype = attnsim::ir::DType::bf16;
  return {t, t};
}
constexpr std::int64_t kBlock = 16 * 1024;

}  // namespace

TEST_CASE("the first read of a tile misses and the second hits") {
  const auto t = tensors();
  L2Cache cache(Bytes(1 << 20), t);
  CHECK(cache.access(0, 0, 0, 128, false).miss_bytes == 2 * kBlock);
  const L2Outcome again = cache.access(0, 0, 0, 128, false);
  CHECK(again.hit_bytes == 2 * kBlock);
  CHECK(again.miss_bytes == 0);
}

TEST_CASE("slabs and tensors do not alias") {
  const auto t = tensors();
  L2Cache cache(Bytes(1 << 20), t);
  (void)cache.access(0, 0, 0, 64, false);
  CHECK(cache.access(0, 1, 0, 64, false).miss_bytes == kBlock);
  CHECK(cache.access(1, 0, 0, 64, false).miss_bytes == kBlock);
}

TEST_CASE("the block that was used longest ago is evicted") {
  const auto t = tensors();
  L2Cache cache(Bytes(2 * kBlock), t);
  (void)cache.access(0, 0, 0, 64, false);
  (void)cache.access(0, 1, 0, 64, false);
  (void)cache.access(0, 0, 0, 64, false);
  (void)cache.access(0, 2, 0, 64, false);  // evicts slab 1
  CHECK(cache.access(0, 0, 0, 64, false).hit_bytes == kBlock);
  CHECK(cache.access(0, 1, 0, 64, false).miss_bytes == kBlock);
}

TEST_CASE("a written block reaches HBM when it is evicted, once") {
  const auto t = tensors();
  L2Cache cache(Bytes(kBlock), t);
  CHECK(cache.access(0, 0, 0, 64, true).written_back_bytes == 0);
  CHECK(cache.access(0, 1, 0, 64, false).written_back_bytes == kBlock);
  CHECK(cache.access(0, 2, 0, 64, false).written_back_bytes == 0);
}

TEST_CASE("what a cleared L2 was written with reaches HBM as it makes room, and is never found") {
  constexpr std::int64_t kBlocks = 64;
  for (const double share : {0.0, 0.25, 0.5, 1.0}) {
    INFO(share);
    const auto t = tensors();
    L2Cache cache(Bytes(kBlocks * kBlock), t);
    cache.fill(share);
    L2Outcome sum;
    for (std::int64_t slab = 0; slab < 20; ++slab) {  // 16 blocks each: all that was there has left
      const L2Outcome one = cache.access(0, slab, 0, 1024, false);
      CHECK(one.hit_bytes == 0);
      sum.written_back_bytes += one.written_back_bytes;
    }
    CHECK(static_cast<double>(sum.written_back_bytes) == share * static_cast<double>(kBlocks * kBlock));
  }
}

TEST_CASE("a partly present block misses the rest") {
  const auto t = tensors();
  L2Cache cache(Bytes(1 << 20), t);
  CHECK(cache.access(0, 0, 0, 16, false).miss_bytes == kBlock / 4);
  const L2Outcome whole = cache.access(0, 0, 0, 64, false);
  CHECK(whole.hit_bytes == kBlock / 4);
  CHECK(whole.miss_bytes == 3 * kBlock / 4);
}

TEST_CASE("rows that were never read miss, although others of their block are present") {
  const auto t = tensors();
  L2Cache cache(Bytes(1 << 20), t);
  CHECK(cache.access(0, 0, 0, 32, false).miss_bytes == kBlock / 2);
  CHECK(cache.access(0, 0, 32, 32, false).miss_bytes == kBlock / 2);
  CHECK(cache.access(0, 0, 16, 32, false).hit_bytes == kBlock / 2);
}

TEST_CASE("rows written twice are written back once") {
  const auto t = tensors();
  L2Cache cache(Bytes(kBlock), t);
  (void)cache.access(0, 0, 0, 16, true);
  (void)cache.access(0, 0, 0, 16, true);
  CHECK(cache.access(0, 1, 0, 64, false).written_back_bytes == kBlock / 4);
}

TEST_CASE("a loop over a quarter more than the capacity finds some of it again, where strict LRU would find nothing") {
  const auto t = tensors();
  L2Cache cache(Bytes(64 * kBlock), t);
  L2Outcome last;
  for (int round = 0; round < 20; ++round) {
    last = {};
    for (std::int64_t block = 0; block < 80; ++block) {
      const L2Outcome one = cache.access(0, block / 16, block % 16 * 64, 64, false);
      last.hit_bytes += one.hit_bytes;
      last.miss_bytes += one.miss_bytes;
    }
  }
  CHECK(last.hit_bytes + last.miss_bytes == 80 * kBlock);
  CHECK(last.hit_bytes > 8 * kBlock);
  CHECK(last.hit_bytes <= 64 * kBlock);
}

TEST_CASE("rows written for all heads of a token are found again head by head") {
  auto t = tensors();
  // Two sequences of 512 tokens and two heads: slabs 0 and 1 are heads of the first sequence.
  t[0].slabs = 4;
  t[0].rows = 512;
  attnsim::ir::Tensor& cache_rows = t[1];
  cache_rows.slabs = 1024;
  cache_rows.rows = 1;
  cache_rows.cols = 256;
  cache_rows.same_memory = 0;
  CHECK(attnsim::touched_bytes({}, t) == 4.0 * 512 * 256);
  L2Cache cache(Bytes(1 << 20), t);
  (void)cache.access(1, 512 + 7, 0, 1, true);  // token 7 of the second sequence
  CHECK(cache.access(0, 2, 7, 1, false).hit_bytes == 256);
  CHECK(cache.access(0, 3, 7, 1, false).hit_bytes == 256);
  CHECK(cache.access(0, 0, 7, 1, false).miss_bytes == 256);
}

TEST_CASE("columns that are loaded in parts are present by parts") {
  auto t = tensors();
  t[0].column_parts = 4;  // of 64 bytes a row
  L2Cache cache(Bytes(1 << 20), t);
  CHECK(cache.access(0, 0, 0, 64, false, 64, 64).miss_bytes == kBlock / 4);
  CHECK(cache.access(0, 0, 0, 64, false, 0, 128).miss_bytes == kBlock / 4);
  const L2Outcome whole = cache.access(0, 0, 0, 64, false);
  CHECK(whole.hit_bytes == kBlock / 2);
  CHECK(whole.miss_bytes == kBlock / 2);
}
