// SPDX-License-Identifier: Apache-2.0
// How many KV ranges a library cuts a decode call into.
#pragma once

#include <cstdint>

#include "workloads/schedule.h"

namespace attnsim {

struct SplitInput {
  std::int64_t row_tiles = 1;     // CTAs of the whole call before splitting: batch x heads x query tiles
  std::int64_t total_blocks = 1;  // KV blocks of the whole call: sum over row tiles, windows ignored
  std::int64_t blocks = 1;        // KV blocks of one row tile, windows ignored
  std::int64_t kv_len = 1;
  std::int64_t batch = 1;
  std::int64_t sms = 1;
};

//   fa2     smallest count whose wave efficiency over 2 x SMs slots is >= 0.85 of the best; 1 when 80 % of the slots are taken
//   fa3     ceil(blocks / ceil(1.1 x total blocks / SMs)); 1 for more than 992 batch entries
//   trtllm  min(ceil(kv_len / 512), SMs / row tiles), kv_len: what the window leaves of it
// Never more than schedule.max_splits, never less than 1.
[[nodiscard]] std::int64_t split_count(const Schedule& schedule, const SplitInput& input);

}  // namespace attnsim
