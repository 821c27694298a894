// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/splits.h"

#include <algorithm>
#include <vector>

#include "sim/core/error.h"
#include "workloads/masks/integer.h"

namespace attnsim {

namespace {

// flash_attn csrc/flash_attn/flash_api.cpp, num_splits_heuristic.
std::int64_t fa2_splits(const SplitInput& in, std::int64_t most) {
  const std::int64_t slots = 2 * in.sms;
  if (10 * in.row_tiles >= 8 * slots) return 1;
  most = std::min({most, slots, in.blocks});
  // A count that leaves as many blocks per split as the count before it only adds an empty split.
  const auto eligible = [&](std::int64_t s) { return s == 1 || ceil_div(in.blocks, s) != ceil_div(in.blocks, s - 1); };
  const auto efficiency = [&](std::int64_t s) {
    const double waves = static_cast<double>(in.row_tiles * s) / static_cast<double>(slots);
    return waves / static_cast<double>(ceil_div(in.row_tiles * s, slots));
  };
  double best = 0;
  for (std::int64_t s = 1; s <= most; ++s) {
    if (eligible(s)) best = std::max(best, efficiency(s));
  }
  for (std::int64_t s = 1; s <= most; ++s) {
    if (eligible(s) && efficiency(s) >= 0.85 * best) return s;
  }
  return 1;
}

// flash_attn hopper/flash_prepare_scheduler.cu: a tenth more blocks than there are, spread over the SMs; its scheduler keeps
// one warp lane per batch entry (992 of them).
std::int64_t fa3_splits(const SplitInput& in, std::int64_t most) {
  constexpr std::int64_t kMostBatch = 992;
  if (in.batch > kMostBatch) return 1;
  const std::int64_t blocks_per_sm = std::max<std::int64_t>(1, ceil_div(11 * in.total_blocks, 10 * in.sms));
  return std::min(ceil_div(in.blocks, blocks_per_sm), most);
}

// TensorRT-LLM generation kernels, as the decode rows of B200 show it.
std::int64_t trtllm_splits(const SplitInput& in, std::int64_t most) {
  constexpr std::int64_t kKeysPerSplit = 512;
  return std::min({ceil_div(in.kv_len, kKeysPerSplit), in.sms / in.row_tiles, most});
}

// CUTLASS examples/77_blackwell_fmha/device/sm100_mla.hpp and FlashInfer's CuTe DSL port: as many as leave every row tile its SMs, then no
// more than have the same number of KV tiles each.
std::int64_t cutlass_mla_splits(const SplitInput& in, std::int64_t most) {
  const std::int64_t wanted = std::min(in.blocks, std::max<std::int64_t>(1, in.sms / in.row_tiles));
  return std::min(ceil_div(in.blocks, ceil_div(in.blocks, wanted)), most);
}

// Ranges of one KV head over the whole batch.
std::int64_t ranges(const PlanInput& in, std::int64_t pages_per_range) {
  std::int64_t n = 0;
  for (const PlanEntry& e : in.entries) {
    const std::int64_t pages = std::max<std::int64_t>(1, ceil_div(e.kv_len, in.page_tokens));
    n += e.count * ceil_div(e.rows, in.tile_q) * ceil_div(pages, pages_per_range);
  }
  return n;
}

}  // namespace

std::int64_t flashinfer_chunk(const PlanInput& in) {
  constexpr std::int64_t kLeastKeys = 128;
  const std::int64_t most = in.sms * in.ctas_per_sm / in.kv_heads;
  std::int64_t low = std::max<std::int64_t>(1, kLeastKeys / in.page_tokens);
  std::int64_t high = 1;
  for (const PlanEntry& e : in.entries) high = std::max(high, ceil_div(e.kv_len, in.page_tokens));
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (ranges(in, middle) > most) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low * in.page_tokens;
}

std::int64_t flashinfer_mla_chunk(const PlanInput& in) {
  constexpr std::int64_t kRowsOfCta = 64;
  std::int64_t rows = 0;
  std::int64_t entries = 0;
  for (const PlanEntry& e : in.entries) {
    rows += e.count * e.rows;
    entries += e.count;
  }
  const std::int64_t ctas = rows / entries > kRowsOfCta ? 2 : 1;
  std::int64_t keys = 0;
  for (const PlanEntry& e : in.entries) keys += e.count * ceil_div(e.rows, kRowsOfCta * ctas) * e.kv_len;
  const std::int64_t share = std::max<std::int64_t>(1, ceil_div(keys, in.sms / ctas));
  if (share <= 8) return 32;
  if (share <= 16) return 64;
  if (share <= 32) return 128;
  if (share <= 64) return 192;
  return ceil_div(share, 256) * 256;
}

std::int64_t split_count(const Schedule& schedule, const SplitInput& input) {
  const std::int64_t most = schedule.max_splits;
  switch (schedule.split) {
    case SplitPolicy::none: return 1;
    case SplitPolicy::fixed: return std::max<std::int64_t>(1, schedule.fixed_splits);
    case SplitPolicy::fa2: return std::max<std::int64_t>(1, fa2_splits(input, most));
    case SplitPolicy::fa3: return std::max<std::int64_t>(1, fa3_splits(input, most));
    case SplitPolicy::trtllm: return std::max<std::int64_t>(1, trtllm_splits(input, most));
    case SplitPolicy::cutlass_mla: return std::max<std::int64_t>(1, cutlass_mla_splits(input, most));
    case SplitPolicy::flashinfer:
    case SplitPolicy::flashinfer_mla: return std::clamp<std::int64_t>(ceil_div(input.kv_len, input.chunk), 1, most);
    case SplitPolicy::stream_k: break;  // no count: families/stream_k.h
  }
  throw Invariant("unknown split policy");
}

}  // namespace attnsim
