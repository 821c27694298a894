// SPDX-License-Identifier: Apache-2.0
// Blocks of pairs in any pattern: from a file, or drawn at a density.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "sim/core/error.h"
#include "workloads/masks/pattern_file.h"
#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

constexpr std::int64_t kSparseBlock = 128;
constexpr double kDensity = 0.2;

double number_param(const Problem& problem, const std::string& name, double fallback) {
  const auto it = problem.params.find(name);
  return it == problem.params.end() ? fallback : std::get<double>(it->second);
}

// splitmix64 of the block's number, as a part of 1.
double drawn(std::uint64_t seed, std::uint64_t number) {
  std::uint64_t z = seed * 0x9e3779b97f4a7c15U + number + 1;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

std::shared_ptr<const BlockPattern> random_pattern(std::int64_t rows, std::int64_t columns, double density, std::int64_t seed) {
  auto pattern = std::make_shared<BlockPattern>(rows, columns);
  for (std::int64_t r = 0; r < rows; ++r) {
    std::vector<Range> row;
    for (std::int64_t c = 0; c < columns; ++c) {
      if (drawn(static_cast<std::uint64_t>(seed), static_cast<std::uint64_t>(r * columns + c)) >= density) continue;
      if (!row.empty() && row.back().end == c) {
        ++row.back().end;
      } else {
        row.push_back({c, c + 1});
      }
    }
    pattern->add_row(row);
  }
  return pattern;
}

// "100, 50, 300", "4096 each", or "64..512": drawn between these.
std::vector<std::int64_t> block_sizes(const std::string& text, std::int64_t tokens, std::int64_t seed) {
  std::vector<std::int64_t> sizes;
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) {
    const TokenValues numbers = documents_of(text, tokens, "sizes", "block");
    for (std::size_t t = 0; t < numbers.size(); ++t) {
      if (t == 0 || numbers[t] != numbers[t - 1]) sizes.push_back(0);
      ++sizes.back();
    }
    return sizes;
  }
  std::int64_t low = 0;
  std::int64_t high = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), text.data() + dots, low);
  const auto second = std::from_chars(text.data() + dots + 2, end, high);
  if (first.ptr != text.data() + dots || second.ptr != end || low < 1 || high < low)
    bad_param("sizes", "\"" + text + "\"", "is no range of sizes", "two numbers from 1 on, the smaller first, as in \"64..512\"");
  for (std::int64_t left = tokens; left > 0; left -= sizes.back()) {
    const double part = drawn(static_cast<std::uint64_t>(seed), sizes.size() * 2654435761U);
    sizes.push_back(std::min(left, low + static_cast<std::int64_t>(part * static_cast<double>(high - low + 1))));
  }
  return sizes;
}

std::vector<HeadMask> block_sparse_masks(const Problem& problem, std::int64_t entry) {
  const std::int64_t block = integer_param(problem, "block", kSparseBlock);
  if (block < 1) bad_param("block", std::to_string(block), "is less than 1", "1 or more");
  const std::int64_t q_len = problem.q_len_of(entry);
  const std::int64_t kv_len = problem.kv_len_of(entry);
  const std::string sizes = text_param(problem, "sizes", "");
  if (!sizes.empty() && q_len != kv_len) bad_param("sizes", "\"" + sizes + "\"", "is for as many queries as keys");
  const BlockEdges of_keys =
      sizes.empty() ? BlockEdges(block, kv_len) : BlockEdges(block_sizes(sizes, kv_len, integer_param(problem, "seed", 1)));
  const BlockEdges of_queries = sizes.empty() ? BlockEdges(block, q_len) : of_keys;
  const std::int64_t rows = of_queries.blocks();
  const std::int64_t columns = of_keys.blocks();
  const bool causal = flag_param(problem, "causal", false);
  const std::string file = text_param(problem, "file", "");
  const auto mask_of = [&](std::shared_ptr<const BlockPattern> pattern) {
    return std::make_shared<BlockMask>(std::move(pattern), of_queries, of_keys, causal, q_len, kv_len);
  };
  if (file.empty()) {
    const double density = number_param(problem, "density", kDensity);
    if (!(density >= 0 && density <= 1)) bad_param("density", fmt::format("{}", density), "is no part of all blocks", "0 to 1");
    return for_all_heads(problem, mask_of(random_pattern(rows, columns, density, integer_param(problem, "seed", 1))));
  }
  const auto patterns = load_patterns(file, "/params/file");
  if (patterns.front()->rows() != rows || patterns.front()->columns() != columns) {
    bad_param("file", "\"" + file + "\"",
              fmt::format("holds {} x {} blocks, {} queries and {} keys are {} x {} of this size", patterns.front()->rows(),
                          patterns.front()->columns(), q_len, kv_len, rows, columns));
  }
  const auto heads = static_cast<std::int64_t>(patterns.size());
  if (problem.q_heads % heads != 0)
    bad_param("file", "\"" + file + "\"", fmt::format("holds {} heads, which do not divide {}", heads, problem.q_heads));
  std::vector<HeadMask> list;
  for (std::int64_t h = 0; h < heads; ++h) {
    list.push_back({h * (problem.q_heads / heads), problem.q_heads / heads, mask_of(patterns[static_cast<std::size_t>(h)])});
  }
  return list;
}

}  // namespace

Variant block_sparse_variant() {
  Variant v;
  v.name = "block-sparse";
  v.family = "tile-list";
  v.description = "softmax attention over blocks of queries and keys, kept whole, from a file or drawn at random";
  v.paper = "Child et al., Sparse Transformers, arXiv 1904.10509; Dao et al., FlashAttention (block-sparse), arXiv 2205.14135";
  v.params = {
      {"file", std::string(""), "kept blocks per head: .json, .npy or run lists (docs/masks.md); empty: drawn", {}},
      {"block", kSparseBlock, "tokens per block, of queries and of keys", {}},
      {"sizes", std::string(""), "instead, a size per block: \"100, 50, 300\", \"4096 each\", or \"64..512\": drawn between these", {}},
      {"density", kDensity, "part of all blocks that is kept, when drawn", {}},
      {"seed", std::int64_t{1}, "of the draw", {}},
      {"causal", false, "whether a query also sees no later key", {}}};
  v.masks = block_sparse_masks;
  v.claims = "A4-";
  return v;
}

}  // namespace attnsim
