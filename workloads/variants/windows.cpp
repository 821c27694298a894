// SPDX-License-Identifier: Apache-2.0
// Windows and what is added to them: sinks, strides, global tokens, powers of two. Positions are those among the keys: query q
// stands at p = q + kv_len - q_len.
#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

constexpr std::int64_t kSinks = 4;
constexpr std::int64_t kSinkWindow = 1020;

std::vector<HeadMask> sinks(const Problem& problem, std::int64_t entry) {
  const Expression p = position(problem, entry);
  const Expression seen = p - key() < integer_param(problem, "window", kSinkWindow) || key() < integer_param(problem, "sinks", kSinks);
  return for_all_heads(problem, entry, MaskTest{{key() <= p, seen}, {}, {}});
}

constexpr std::int64_t kDilatedKeys = 256;
constexpr std::int64_t kDilation = 4;

std::vector<HeadMask> dilated(const Problem& problem, std::int64_t entry) {
  const Expression p = position(problem, entry);
  const std::int64_t dilation = count_param(problem, "dilation", kDilation);
  const std::int64_t keys = count_param(problem, "keys", kDilatedKeys);
  return for_all_heads(problem, entry, MaskTest{{key() <= p, p - key() < keys * dilation, (p - key()) % dilation == 0}, {}, {}});
}

constexpr std::int64_t kDilatedBlock = 128;
constexpr std::int64_t kBlocks = 8;

std::vector<HeadMask> block_dilated(const Problem& problem, std::int64_t entry) {
  const Expression p = position(problem, entry);
  const std::int64_t block = count_param(problem, "block", kDilatedBlock);
  const std::int64_t dilation = count_param(problem, "dilation", kDilation);
  const std::int64_t blocks = count_param(problem, "blocks", kBlocks);
  const Expression distance = p / block - key() / block;
  return for_all_heads(problem, entry, MaskTest{{key() <= p, distance < blocks * dilation && distance % dilation == 0}, {}, {}});
}

constexpr std::int64_t kGlobal = 64;
constexpr std::int64_t kGlobalWindow = 1024;

std::vector<HeadMask> global_window(const Problem& problem, std::int64_t entry) {
  const Expression p = position(problem, entry);
  const std::int64_t tokens = integer_param(problem, "global", kGlobal);
  const Expression near = absolute(p - key()) <= integer_param(problem, "window", kGlobalWindow);
  return for_all_heads(problem, entry, MaskTest{{key() < tokens || p < tokens || near}, {}, {}});
}

constexpr std::int64_t kPowerBlock = 256;
constexpr std::int64_t kPowerWindow = 5;

std::vector<HeadMask> power(const Problem& problem, std::int64_t entry) {
  const Expression p = position(problem, entry);
  const std::int64_t block = count_param(problem, "block", kPowerBlock);
  const Expression distance = p / block - key() / block;
  const Expression seen = key() < block || distance < integer_param(problem, "window", kPowerWindow) || power_of_two(distance);
  return for_all_heads(problem, entry, MaskTest{{key() <= p, seen}, {}, {}});
}

}  // namespace

Variant attention_sinks_variant() {
  return tile_list("attention-sinks", "causal attention to the first tokens and a window: StreamingLLM",
                   "Xiao et al., Efficient Streaming Language Models with Attention Sinks, arXiv 2309.17453",
                   {{"sinks", kSinks, "first keys, which every query sees", {}},
                    {"window", kSinkWindow, "latest keys that a query sees, its own included", {}}},
                   sinks);
}

Variant dilated_window_variant() {
  return tile_list(
      "dilated-window", "causal attention to every dilation-th of the keys behind the query",
      "Child et al., Sparse Transformers, arXiv 1904.10509; Beltagy et al., Longformer, arXiv 2004.05150",
      {{"keys", kDilatedKeys, "keys that a query sees, its own included", {}}, {"dilation", kDilation, "distance between two of them", {}}},
      dilated);
}

Variant block_dilated_window_variant() {
  return tile_list("block-dilated-window", "causal attention to every dilation-th of the blocks of keys behind the query's",
                   "Child et al., Sparse Transformers, arXiv 1904.10509; Ding et al., LongNet, arXiv 2307.02486",
                   {{"block", kDilatedBlock, "tokens per block", {}},
                    {"blocks", kBlocks, "blocks that a query sees, its own included", {}},
                    {"dilation", kDilation, "distance between two of them, in blocks", {}}},
                   block_dilated);
}

Variant global_window_variant() {
  return tile_list("global-window", "attention to a window on both sides, and of and to global tokens at the start",
                   "Beltagy et al., Longformer, arXiv 2004.05150; Zaheer et al., Big Bird, arXiv 2007.14062 (without its random blocks)",
                   {{"global", kGlobal, "first tokens, which see all and are seen by all", {}},
                    {"window", kGlobalWindow, "keys seen on either side of the query", {}}},
                   global_window, "A4-");
}

Variant power_attention_variant() {
  return tile_list(
      "power-attention", "causal attention to the first block, a window of blocks, and the blocks at distances that are powers of two",
      "Chen et al., PowerAttention, arXiv 2503.03588",
      {{"block", kPowerBlock, "tokens per block", {}}, {"window", kPowerWindow, "latest blocks that a query sees, its own included", {}}},
      power, "A6-");
}

}  // namespace attnsim
