// SPDX-License-Identifier: Apache-2.0
// Kernels that only move data beside attention.
#pragma once

#include "sim/ir/pipeline.h"
#include "workloads/variant.h"

namespace attnsim {

// Writes the new tokens' K and V rows to the cache: one CTA per token with min(512, kv_heads x head_dim) threads, which looks
// up the slot, then copies K, then V (vLLM's reshape_and_cache).
[[nodiscard]] ir::Kernel kv_cache_write_kernel(ir::PipelineBuilder& pipeline, const Problem& problem);

}  // namespace attnsim
