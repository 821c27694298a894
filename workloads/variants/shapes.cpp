// SPDX-License-Identifier: Apache-2.0
// Systems whose attention kernel is a known one on another shape: fewer or other tokens, heads, channels.
#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "workloads/masks/band.h"
#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

std::vector<HeadMask> dense(const Problem& problem, std::int64_t entry) {
  return for_all_heads(problem, std::make_shared<BandMask>(Band{}, problem.q_len_of(entry), problem.kv_len_of(entry)));
}

std::vector<HeadMask> causal(const Problem& problem, std::int64_t entry) {
  const Band band{shift_of(problem, entry), -kUnbounded, 0};
  return for_all_heads(problem, std::make_shared<BandMask>(band, problem.q_len_of(entry), problem.kv_len_of(entry)));
}

void set_tokens(Problem& p, std::int64_t tokens) {
  p.q_len = {tokens};
  p.kv_len = {tokens};
}

// The shapes below are those of a whole sequence of equal entries.
std::int64_t only_length(const Problem& p) {
  if (p.q_len.size() != 1 || p.kv_len != p.q_len) {
    throw ConfigError(ConfigIssue{"", "/shape/q_len", "", "must be one length, of queries and keys alike", "", ""});
  }
  return p.q_len.front();
}

Problem falcon(const Problem& problem) {
  Problem p = problem;
  const std::int64_t patches = only_length(p);
  const std::int64_t crops = count_param(problem, "crops", 10);
  const std::int64_t registers = count_param(problem, "registers", 64);
  if (text_param(problem, "part", "crops") == "crops") {
    p.batch *= crops;
    set_tokens(p, patches + registers);
  } else {
    set_tokens(p, crops * registers);
  }
  return p;
}

Problem block_transformer(const Problem& problem) {
  Problem p = problem;
  const std::int64_t tokens = only_length(p);
  const std::int64_t block = count_param(problem, "block", 4);
  const std::int64_t prefix = integer_param(problem, "prefix", 2);
  if (tokens % block != 0) {
    bad_param("block", std::to_string(block), fmt::format("does not divide the {} tokens", tokens));
  }
  if (text_param(problem, "part", "blocks") == "blocks") {
    set_tokens(p, tokens / block);
  } else {
    p.batch *= tokens / block;
    set_tokens(p, prefix + block);
  }
  return p;
}

Problem shvit(const Problem& problem) {
  Problem p = problem;
  p.q_heads = p.kv_heads = 1;
  p.head_dim_qk = count_param(problem, "qk_dim", 16);
  p.head_dim_v = count_param(problem, "channels", 48);
  return p;
}

Problem pruned(const Problem& problem) {
  Problem p = problem;
  const std::int64_t kept = integer_param(problem, "kept_heads", 0);
  if (kept == 0) return p;
  const bool fits = kept <= p.q_heads && (p.kv_heads == p.q_heads || kept % p.kv_heads == 0);
  if (!fits) bad_param("kept_heads", std::to_string(kept), fmt::format("can't be kept of {} query and {} KV heads", p.q_heads, p.kv_heads));
  if (p.kv_heads == p.q_heads) p.kv_heads = kept;
  p.q_heads = kept;
  return p;
}

Problem minimum(const Problem& problem) {
  Problem p = problem;
  if (text_param(problem, "form", "merged") == "merged") p.head_dim_qk = p.q_heads * p.head_dim_v;
  return p;
}

Problem mindeye(const Problem& problem) {
  Problem p = problem;
  set_tokens(p, 257 + 1 + 257);
  p.q_heads = 12;
  p.kv_heads = count_param(problem, "kv_heads", 1);
  if (p.q_heads % p.kv_heads != 0) bad_param("kv_heads", std::to_string(p.kv_heads), "does not divide 12 heads", "1, 2, 3, 4, 6, 12");
  p.head_dim_qk = p.head_dim_v = 64;
  return p;
}

Variant reshaped(std::string_view name, std::string_view description, std::string_view paper, std::vector<ParamSpec> params,
                 std::vector<HeadMask> (*masks)(const Problem&, std::int64_t), Problem (*reshape)(const Problem&),
                 std::string_view claims) {
  Variant v = tile_list(name, description, paper, std::move(params), masks, claims);
  v.reshape = reshape;
  return v;
}

}  // namespace

Variant falcon_variant() {
  return reshaped(
      "falcon",
      "vision encoder with register tokens: self-attention of a crop's patches (q_len) and registers, or of the registers of all "
      "crops of an image",
      "Zhang et al., FALCON, arXiv 2501.16297",
      {{"part", std::string("crops"), "which of the two attentions of a layer", {"crops", "registers"}},
       {"crops", std::int64_t{10}, "crops per image", {}},
       {"registers", std::int64_t{64}, "register tokens per crop", {}}},
      dense, falcon, "A16-");
}

Variant block_transformer_variant() {
  return reshaped("block-transformer",
                  "causal attention of one embedding per block, or of each block's tokens and its prefix among themselves",
                  "Ho et al., Block Transformer, arXiv 2406.02657",
                  {{"part", std::string("blocks"), "which of the two decoders", {"blocks", "tokens"}},
                   {"block", std::int64_t{4}, "tokens per block", {}},
                   {"prefix", std::int64_t{2}, "prefix tokens before a block's own", {}}},
                  causal, block_transformer, "block-");
}

Variant shvit_variant() {
  return reshaped(
      "shvit", "one head over a part of the channels, with short queries and keys", "Yun and Ro, SHViT, arXiv 2401.16456",
      {{"qk_dim", std::int64_t{16}, "size of queries and keys", {}}, {"channels", std::int64_t{48}, "channels that attend", {}}}, dense,
      shvit, "shvit-");
}

Variant pruned_heads_variant() {
  return reshaped("pruned-heads", "dense attention of the heads that pruning keeps", "Dutta et al., VTrans, arXiv 2406.05276",
                  {{"kept_heads", std::int64_t{0}, "query heads kept; 0: all", {}}}, dense, pruned, "vtrans-");
}

Variant minimum_transformer_variant() {
  return reshaped("minimum-transformer",
                  "attention with one matrix in place of those of queries and keys: keys are the tokens themselves, as wide as the model",
                  "Bermeitinger et al., Reducing the Transformer Architecture to a Minimum, arXiv 2410.13732",
                  {{"form", std::string("merged"), "merged: keys of q_heads x head_dim; separate: as usual", {"merged", "separate"}}},
                  dense, minimum, "mini-");
}

Variant symmetric_attention_variant() {
  Variant v = tile_list("symmetric-attention",
                        "attention with a symmetric similarity T T^T: keys are the queries themselves, one projection and one tensor",
                        "Bermeitinger et al., Reducing the Transformer Architecture to a Minimum, arXiv 2410.13732", {}, dense, "mini-");
  v.k_is_q = true;
  return v;
}

Variant mindeye_prior_variant() {
  return reshaped("mindeye-prior", "the diffusion prior's attention: 515 tokens, 12 heads of 64, in both directions",
                  "Scotti et al., MindEye, arXiv 2305.18274", {{"kv_heads", std::int64_t{1}, "key and value heads", {}}}, dense, mindeye,
                  "A18-");
}

}  // namespace attnsim
