// SPDX-License-Identifier: Apache-2.0
// Kernels that only move data beside attention.
#pragma once

#include "sim/ir/pipeline.h"
#include "workloads/variant.h"

namespace attnsim {

// Lays out work tiles before a variable-length kernel: one thread per batch entry reads its lengths and writes its tile count
// (FlashAttention-3 hopper/flash_prepare_scheduler.cu: 31 entries a warp, 32 warps a CTA).
[[nodiscard]] ir::Kernel prepare_kernel(ir::PipelineBuilder& pipeline, const Problem& problem, ir::TensorId metadata);

// The K and V that attention reads, where the call writes all of them; kNone where most were there before.
struct WrittenCache {
  ir::TensorId k = ir::kNone;
  ir::TensorId v = ir::kNone;
};

// Writes the new tokens' K and V rows to the cache: one CTA per token with min(512, kv_heads x head_dim) threads, which looks
// up the slot, then copies K, then V (vLLM's reshape_and_cache). Where a page holds its tokens head by head, a warp copies K and V of
// one head after another: with more heads than warps in so many rounds.
[[nodiscard]] ir::Kernel kv_cache_write_kernel(ir::PipelineBuilder& pipeline, const Problem& problem, const WrittenCache& cache,
                                               bool by_head);

}  // namespace attnsim
