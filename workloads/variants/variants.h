// SPDX-License-Identifier: Apache-2.0
// Variants that have a file of their own; the visible table in workloads/variant.cpp calls these.
#pragma once

#include "workloads/variant.h"

namespace attnsim {

// masked.cpp
[[nodiscard]] Variant masked_variant();
// block_sparse.cpp
[[nodiscard]] Variant block_sparse_variant();
// selected_blocks.cpp
[[nodiscard]] Variant selected_blocks_variant();
// windows.cpp
[[nodiscard]] Variant attention_sinks_variant();
[[nodiscard]] Variant dilated_window_variant();
[[nodiscard]] Variant block_dilated_window_variant();
[[nodiscard]] Variant global_window_variant();
[[nodiscard]] Variant power_attention_variant();
// documents.cpp
[[nodiscard]] Variant document_variant();
[[nodiscard]] Variant prefix_lm_variant();
[[nodiscard]] Variant prefix_lm_document_variant();
[[nodiscard]] Variant block_causal_document_variant();
[[nodiscard]] Variant causal_blockwise_variant();
[[nodiscard]] Variant shared_question_variant();
[[nodiscard]] Variant group_position_variant();
// shapes.cpp
[[nodiscard]] Variant falcon_variant();
[[nodiscard]] Variant block_transformer_variant();
[[nodiscard]] Variant shvit_variant();
[[nodiscard]] Variant pruned_heads_variant();
[[nodiscard]] Variant minimum_transformer_variant();
[[nodiscard]] Variant symmetric_attention_variant();
[[nodiscard]] Variant mindeye_prior_variant();
// gna.cpp
[[nodiscard]] Variant gna_variant();
[[nodiscard]] Variant na_variant();
// by_head.cpp
[[nodiscard]] Variant s2_attention_variant();
[[nodiscard]] Variant moa_variant();

}  // namespace attnsim
