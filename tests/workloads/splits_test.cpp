// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/splits.h"

#include <catch2/catch.hpp>

using namespace attnsim;

namespace {

Schedule schedule(SplitPolicy policy, int most = 128) {
  Schedule s;
  s.split = policy;
  s.max_splits = most;
  return s;
}

std::int64_t fa2(std::int64_t row_tiles, std::int64_t blocks) {
  return split_count(schedule(SplitPolicy::fa2), {.row_tiles = row_tiles, .blocks = blocks, .sms = 108});
}
std::int64_t fa3(std::int64_t batch, std::int64_t kv_heads, std::int64_t blocks) {
  const SplitInput in{
      .row_tiles = batch * kv_heads, .total_blocks = batch * kv_heads * blocks, .blocks = blocks, .batch = batch, .sms = 132};
  return split_count(schedule(SplitPolicy::fa3, 32), in);
}
std::int64_t trtllm(std::int64_t row_tiles, std::int64_t kv_len) {
  return split_count(schedule(SplitPolicy::trtllm), {.row_tiles = row_tiles, .kv_len = kv_len, .sms = 148});
}

}  // namespace

TEST_CASE("FA2 does not split once 80 % of two CTAs per SM are taken") {
  // 0.8 x 216 = 172.8
  CHECK(fa2(173, 1000) == 1);
  CHECK(fa2(172, 1000) > 1);
}

TEST_CASE("FA2 takes the smallest count within 85 % of the best wave efficiency") {
  // 8 row tiles, 64 blocks, 216 slots: counts that shrink the blocks per split are 1 to 8, 10, 11, 13, 16, 22, 32, 64; 27
  // would fill the slots but isn't one. Efficiencies: 16 -> 0.593, 22 -> 176 / 216 = 0.815, 32 -> 256 / 432, 64 -> 512 / 648.
  CHECK(fa2(8, 64) == 22);
  CHECK(fa2(1, 1) == 1);
  // One row tile, 8 blocks: counts 1, 2, 3, 4, 8; efficiency count / 216, and 4 is only half of 8.
  CHECK(fa2(1, 8) == 8);
}

TEST_CASE("FA3 spreads a tenth more blocks than there are over the SMs and stops at 32") {
  CHECK(fa3(1, 1, 1024) == 32);  // ceil(1126.4 / 132) = 9 blocks an SM, 114 splits
  CHECK(fa3(1, 8, 64) == 13);    // ceil(563.2 / 132) = 5, ceil(64 / 5)
  CHECK(fa3(64, 8, 64) == 1);    // ceil(36044.8 / 132) = 274 blocks an SM
  CHECK(fa3(4, 8, 16) == 4);     // ceil(563.2 / 132) = 5, ceil(16 / 5)
}

TEST_CASE("FA3 does not split more than 992 batch entries") {
  SplitInput in{.row_tiles = 1, .total_blocks = 1, .blocks = 64, .batch = 992, .sms = 132};
  CHECK(split_count(schedule(SplitPolicy::fa3, 32), in) == 32);
  in.batch = 993;
  CHECK(split_count(schedule(SplitPolicy::fa3, 32), in) == 1);
}

TEST_CASE("TensorRT-LLM splits by 512 keys as far as SMs are free") {
  CHECK(trtllm(1, 131072) == 128);  // 256 ranges, 148 SMs, the schedule's limit
  CHECK(trtllm(8, 8192) == 16);     // 16 ranges, 18 SMs a row tile
  CHECK(trtllm(8, 65536) == 18);
  CHECK(trtllm(149, 65536) == 1);
  CHECK(trtllm(1, 513) == 2);
}

TEST_CASE("no policy means no splits, and a fixed number is taken as it is") {
  CHECK(split_count(schedule(SplitPolicy::none), {}) == 1);
  Schedule s = schedule(SplitPolicy::fixed);
  s.fixed_splits = 7;
  CHECK(split_count(s, {}) == 7);
}

TEST_CASE("FlashInfer takes the smallest number of pages with which all ranges are resident at once") {
  PlanInput in{.entries = {{1, 8, 16384}}, .kv_heads = 8, .tile_q = 16, .page_tokens = 16, .sms = 108, .ctas_per_sm = 2};
  // 216 / 8 = 27 ranges a head; 1024 pages / 27 = 37.9: 38 pages.
  CHECK(flashinfer_chunk(in) == 38 * 16);
  in.entries = {{1, 8, 256}};  // 16 pages: never below 128 keys
  CHECK(flashinfer_chunk(in) == 128);
  in.entries = {{1, 8, 16384}, {1, 8, 100}};  // one range for the short entry: 26 are left, 1024 / 26 = 39.4
  CHECK(flashinfer_chunk(in) == 40 * 16);
  in.entries = {{64, 8, 4096}};  // more entries than CTAs: whole sequences
  CHECK(flashinfer_chunk(in) == 4096);
  in.page_tokens = 1;
  in.entries = {{1, 8, 16384}};
  CHECK(flashinfer_chunk(in) == 607);  // ceil(16384 / 27)
}

TEST_CASE("FlashInfer's plan for MLA shares all keys equally and rounds up") {
  PlanInput in{.entries = {{64, 64, 8192}}, .kv_heads = 1, .tile_q = 64, .sms = 132};
  CHECK(flashinfer_mla_chunk(in) == 4096);        // 524288 / 132 = 3971.9
  in.entries = {{64, 128, 8192}};                 // two CTAs share a sequence's keys: 66 of them
  CHECK(flashinfer_mla_chunk(in) == 7936 + 256);  // 7943.8
  in.entries = {{1, 16, 1024}};
  CHECK(flashinfer_mla_chunk(in) == 32);  // 7.8
  in.entries = {{1, 16, 8000}};
  CHECK(flashinfer_mla_chunk(in) == 192);  // 60.6
}

TEST_CASE("CUTLASS' plan for MLA gives every row tile its SMs and the ranges equal numbers of tiles") {
  const Schedule mla = schedule(SplitPolicy::cutlass_mla, 32);
  SplitInput in{.row_tiles = 2 * 32, .blocks = 64, .kv_len = 8192, .batch = 32, .sms = 148};
  CHECK(split_count(mla, in) == 2);  // 148 / 64
  in.row_tiles = 8;
  CHECK(split_count(mla, in) == 16);  // 18 wanted: four tiles each, and 64 / 4
  in.row_tiles = 2;
  CHECK(split_count(mla, in) == 32);  // 64 wanted
  in.row_tiles = 512;
  CHECK(split_count(mla, in) == 1);
}
