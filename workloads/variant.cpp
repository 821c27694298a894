// SPDX-License-Identifier: Apache-2.0
#include "workloads/variant.h"

#include "sim/core/error.h"
#include "workloads/masks/band.h"
#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

const ParamSpec& quantize_spec() {
  static const ParamSpec spec{
      "quantize",
      std::string("none"),
      "8-bit products: A comes in bf16 and is brought to 8 bits first, by a scale that is known (static), by one of each "
      "row (token) or by one of the whole matrix, whose largest element a kernel finds first (tensor)",
      {"none", "static", "token", "tensor"}};
  return spec;
}

const ParamSpec& alignment_spec() {
  static const ParamSpec spec{"alignment",
                              std::string("bottom-right"),
                              "where the diagonal ends when q_len and kv_len differ: bottom-right lets the last query see the last key",
                              {"top-left", "bottom-right"}};
  return spec;
}

std::int64_t aligned_shift(const Problem& problem, std::int64_t entry) {
  return text_param(problem, "alignment", "bottom-right") == "top-left" ? 0 : shift_of(problem, entry);
}

std::vector<HeadMask> banded(const Problem& problem, std::int64_t entry, const Band& band) {
  return for_all_heads(problem, std::make_shared<BandMask>(band, problem.q_len_of(entry), problem.kv_len_of(entry)));
}

std::vector<HeadMask> dense_masks(const Problem& problem, std::int64_t entry) {
  return banded(problem, entry, {});
}

std::vector<HeadMask> causal_masks(const Problem& problem, std::int64_t entry) {
  return banded(problem, entry, {aligned_shift(problem, entry), -kUnbounded, 0});
}

std::vector<HeadMask> window_masks(const Problem& problem, std::int64_t entry) {
  const std::int64_t left = integer_param(problem, "left", 1023);
  const std::int64_t right = integer_param(problem, "right", 0);
  return banded(problem, entry, {aligned_shift(problem, entry), left < 0 ? -kUnbounded : -left, right < 0 ? kUnbounded : right});
}

const std::vector<Variant>& table() {
  static const std::vector<Variant> rows{
      {"dense", "tile-list", "softmax attention, every query sees every key", "Vaswani et al., arXiv 1706.03762", {}, dense_masks},
      {"causal",
       "tile-list",
       "softmax attention, a query sees the keys up to its own position",
       "Vaswani et al., arXiv 1706.03762",
       {alignment_spec()},
       causal_masks},
      {"sliding-window",
       "tile-list",
       "softmax attention, a query sees `left` keys before and `right` keys after its own position",
       "Beltagy et al., arXiv 2004.05150; Jiang et al., arXiv 2310.06825",
       {{"left", std::int64_t{1023}, "keys kept before the query's own; -1: all", {}},
        {"right", std::int64_t{0}, "keys kept after the query's own; -1: all, 0: causal", {}},
        alignment_spec()},
       window_masks},
      masked_variant(),
      block_sparse_variant(),
      selected_blocks_variant(),
      document_variant(),
      prefix_lm_variant(),
      prefix_lm_document_variant(),
      block_causal_document_variant(),
      causal_blockwise_variant(),
      shared_question_variant(),
      attention_sinks_variant(),
      dilated_window_variant(),
      block_dilated_window_variant(),
      global_window_variant(),
      power_attention_variant(),
      s2_attention_variant(),
      moa_variant(),
      group_position_variant(),
      falcon_variant(),
      block_transformer_variant(),
      shvit_variant(),
      pruned_heads_variant(),
      minimum_transformer_variant(),
      symmetric_attention_variant(),
      mindeye_prior_variant(),
      {"mla-decode",
       "tile-list",
       "multi-head latent attention, absorbed: one cache tensor whose first head_dim_v columns are V and all of whose columns are K "
       "(DeepSeek: head_dim_qk 576, head_dim_v 512, 128 query heads, 1 KV head); a query sees the keys up to its own position",
       "DeepSeek-V2, arXiv 2405.04434; FlashMLA",
       {alignment_spec()},
       causal_masks,
       ShapeKind::attention,
       nullptr,
       "",
       false,
       true},
      gna_variant(),
      na_variant(),
      {"gemm",
       "gemm",
       "matrix product C = A B of m x k by k x n, as a linear layer runs it",
       "Dongarra et al., A Set of Level 3 Basic Linear Algebra Subprograms, 1990",
       {quantize_spec()},
       nullptr,
       ShapeKind::gemm},
      {"softmax", "rowwise", "softmax of m rows of n columns", "Milakov and Gimelshein, arXiv 1805.02867", {}, nullptr, ShapeKind::rows},
      {"layernorm",
       "rowwise",
       "layer norm of m rows of n columns, without scale and shift",
       "Ba et al., arXiv 1607.06450",
       {},
       nullptr,
       ShapeKind::rows},
  };
  return rows;
}

}  // namespace

Problem kernel_problem(const Variant& variant, const Problem& problem) {
  return variant.reshape == nullptr ? problem : variant.reshape(problem);
}

std::optional<Band> common_band(const Variant& variant, const Problem& problem) {
  const std::vector<HeadMask> masks = variant.masks(kernel_problem(variant, problem), 0);
  if (masks.empty()) return std::nullopt;
  const std::optional<Band> first = masks.front().mask->band();
  for (const HeadMask& head : masks) {
    if (head.mask->band() != first) return std::nullopt;
  }
  return first;
}

std::span<const Variant> variants() {
  return table();
}

const Variant& variant(const std::string& name) {
  std::vector<std::string> names;
  std::string allowed;
  for (const Variant& v : table()) {
    if (v.name == name) return v;
    names.emplace_back(v.name);
    allowed += (allowed.empty() ? "" : ", ") + std::string(v.name);
  }
  throw ConfigError(ConfigIssue{"", "/variant", "\"" + name + "\"", "is no variant", allowed, nearest_name(name, names)});
}

}  // namespace attnsim
