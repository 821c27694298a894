// SPDX-License-Identifier: Apache-2.0
// How many KV ranges a library cuts a decode call into.
#pragma once

#include <cstdint>
#include <vector>

#include "workloads/schedule.h"

namespace attnsim {

struct SplitInput {
  std::int64_t row_tiles = 1;     // CTAs of the whole call before splitting: batch x heads x query tiles
  std::int64_t total_blocks = 1;  // KV blocks of the whole call: sum over row tiles, windows ignored
  std::int64_t blocks = 1;        // KV blocks of one row tile, windows ignored
  std::int64_t kv_len = 1;
  std::int64_t batch = 1;
  std::int64_t sms = 1;
  std::int64_t chunk = 1;  // keys of one range, for the rules that plan over all entries of the batch
};

// What a plan over the whole batch knows: FlashInfer makes one on the host, from all lengths.
struct PlanEntry {
  std::int64_t count = 1;  // batch entries like this
  std::int64_t rows = 1;   // queries times the group
  std::int64_t kv_len = 1;
};
struct PlanInput {
  std::vector<PlanEntry> entries;
  std::int64_t kv_heads = 1;
  std::int64_t tile_q = 64;
  std::int64_t page_tokens = 16;
  std::int64_t sms = 1;
  std::int64_t ctas_per_sm = 2;
};

// Keys of one range by FlashInfer's plan for paged prefill and decode: the smallest number of pages (at least 128 keys) with which all
// ranges of a KV head still are resident at once, by binary search (include/flashinfer/attention/scheduler.cuh).
[[nodiscard]] std::int64_t flashinfer_chunk(const PlanInput& input);
// The same by its plan for MLA: an equal share of all keys for every CTA, or pair of CTAs where the heads fill two tiles, rounded up to
// 32, 64, 128, 192 or a multiple of 256.
[[nodiscard]] std::int64_t flashinfer_mla_chunk(const PlanInput& input);

//   fa2     smallest count whose wave efficiency over 2 x SMs slots is >= 0.85 of the best; 1 when 80 % of the slots are taken
//   fa3     ceil(blocks / ceil(1.1 x total blocks / SMs)); 1 for more than 992 batch entries
//   trtllm  min(ceil(kv_len / 512), SMs / row tiles), kv_len: what the window leaves of it
//   cutlass_mla  w = min(blocks, SMs / row tiles), then ceil(blocks / ceil(blocks / w))
//   flashinfer, flashinfer_mla  ceil(kv_len / chunk)
// Never more than schedule.max_splits, never less than 1.
[[nodiscard]] std::int64_t split_count(const Schedule& schedule, const SplitInput& input);

}  // namespace attnsim
