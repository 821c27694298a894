// SPDX-License-Identifier: Apache-2.0
// Attention pipelines and chips for property tests: hand-set, or drawn from a seed.
//   AttentionSpec spec; spec.q_len = 256; ir::Pipeline p = attention_pipeline(spec);
//   Draw draw(seed); p = attention_pipeline(random_attention(draw)); Chip chip = random_chip(draw);
#pragma once

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "tests/support/draw.h"

namespace attnsim::test {

// Key k is kept by query q when lower <= k - q <= upper.
struct AttentionSpec {
  std::int64_t heads = 2;
  std::int64_t group = 1;  // query heads per KV head
  std::int64_t q_len = 128;
  std::int64_t kv_len = 128;
  int head_dim = 64;
  int head_dim_padded = 64;
  int tile_q = 64;
  int tile_kv = 64;
  std::int64_t lower = -(INT64_C(1) << 40);
  std::int64_t upper = INT64_C(1) << 40;
  bool specialised = false;  // a producer with TMA and consumers with wgmma, else one agent with cp.async and mma.sync
  int consumers = 1;         // specialised only; each owns tile_q / consumers rows
  int stages = 2;            // specialised only
  bool overlap = false;      // specialised only: PV lags one trip behind QK^T
  bool mask_all_tiles = false;
  bool descending = false;
  int splits = 1;                  // > 1: partial outputs and a combine kernel
  bool heads_as_families = false;  // one family per head instead of one for all
  ir::Grid grid;
};

[[nodiscard]] bool keeps(const AttentionSpec& spec, std::int64_t q, std::int64_t k);
[[nodiscard]] std::int64_t kept_pairs(const AttentionSpec& spec);  // of one head, by counting
[[nodiscard]] ir::Pipeline attention_pipeline(const AttentionSpec& spec);

// y = exp2(x) on row tiles: no matrix product anywhere.
[[nodiscard]] ir::Pipeline elementwise_pipeline(std::int64_t slabs, std::int64_t rows, int cols, int tile_rows);

[[nodiscard]] AttentionSpec random_attention(Draw& draw);
[[nodiscard]] Chip round_chip();  // round numbers, sm_90 instructions; launch and latencies zero
[[nodiscard]] Chip random_chip(Draw& draw);

}  // namespace attnsim::test
