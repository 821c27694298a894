// SPDX-License-Identifier: Apache-2.0
// Blocks of keys that every query and KV head selects for itself, drawn.
#include <algorithm>
#include <array>

#include "workloads/masks/integer.h"
#include "workloads/masks/selected_mask.h"
#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

constexpr std::int64_t kSelectedBlock = 64;
constexpr std::int64_t kSelected = 16;
constexpr std::int64_t kMostSelected = 4096;

// splitmix64 of a number, below `end`.
std::int64_t drawn_below(std::uint64_t seed, std::uint64_t number, std::int64_t end) {
  std::uint64_t z = seed * 0x9e3779b97f4a7c15U + number + 1;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  const double part = static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  return static_cast<std::int64_t>(part * static_cast<double>(end));
}

struct Draw {
  std::int64_t selected = kSelected;
  bool past = true;  // from the blocks up to the query's own; else from all, and those behind it are dropped
  bool first = true;
  bool own = true;
  std::uint64_t seed = 1;
};

// `count` different numbers below `end`, ascending (Floyd's way: every set is as likely).
void draw_set(const Draw& how, std::uint64_t list, std::int64_t count, std::int64_t end, std::vector<std::int64_t>& set) {
  set.clear();
  for (std::int64_t last = std::max<std::int64_t>(0, end - count); last < end; ++last) {
    const auto number = list * static_cast<std::uint64_t>(kMostSelected) + set.size();
    const std::int64_t one = drawn_below(how.seed, number, last + 1);
    set.push_back(std::find(set.begin(), set.end(), one) == set.end() ? one : last);
  }
  std::sort(set.begin(), set.end());
}

// Blocks of a query in block `own`, ascending.
void draw_list(const Draw& how, std::uint64_t list, std::int64_t own, std::int64_t blocks, std::vector<std::int64_t>& set) {
  if (how.past) {
    // Block 0 and the query's own are set, the others are drawn between them.
    const std::int64_t low = how.first ? 1 : 0;
    const std::int64_t high = how.own ? own : own + 1;
    const bool both = how.first && how.own && own > 0;
    const std::int64_t fixed = (how.first || how.own ? 1 : 0) + (both ? 1 : 0);
    const std::int64_t between = std::max<std::int64_t>(0, high - low);
    draw_set(how, list, std::clamp<std::int64_t>(how.selected - fixed, 0, between), between, set);
    for (std::int64_t& block : set) block += low;
    if (how.first) set.insert(set.begin(), 0);
    if (how.own && (own > 0 || !how.first)) set.push_back(own);
    return;
  }
  draw_set(how, list, std::min(how.selected, blocks), blocks, set);
  if (how.first) set.front() = 0;
  set.erase(std::upper_bound(set.begin(), set.end(), own), set.end());
  if (how.own && (set.empty() || set.back() != own)) set.push_back(own);
}

std::vector<HeadMask> selected_masks(const Problem& problem, std::int64_t entry) {
  const std::int64_t block = integer_param(problem, "block", kSelectedBlock);
  Draw how;
  how.selected = integer_param(problem, "selected", kSelected);
  how.past = text_param(problem, "from", "past") == "past";
  how.first = flag_param(problem, "first", true);
  how.own = flag_param(problem, "own", true);
  how.seed = static_cast<std::uint64_t>(integer_param(problem, "seed", 1));
  if (block < 1) bad_param("block", std::to_string(block), "is less than 1", "1 or more");
  const std::int64_t fixed = (how.first ? 1 : 0) + (how.own ? 1 : 0);
  if (how.selected < std::max<std::int64_t>(1, fixed) || how.selected > kMostSelected)
    bad_param("selected", std::to_string(how.selected), "is no number of blocks", "1 (2 with `first` and `own`) to 4096");
  const std::int64_t q_len = problem.q_len_of(entry);
  const std::int64_t kv_len = problem.kv_len_of(entry);
  if (q_len > kv_len) bad_param("block", std::to_string(block), "is for queries that are the last keys", "q_len up to kv_len");
  const std::int64_t blocks = ceil_div(kv_len, block);
  const bool shared = text_param(problem, "lists", "head") == "shared";
  std::vector<HeadMask> list;
  std::vector<std::int64_t> set;
  std::vector<Range> row;
  for (std::int64_t h = 0; h < (shared ? 1 : problem.kv_heads); ++h) {
    auto pattern = std::make_shared<BlockPattern>(q_len, blocks);
    for (std::int64_t q = 0; q < q_len; ++q) {
      const auto number = static_cast<std::uint64_t>(h * q_len + q);
      draw_list(how, number, (q + kv_len - q_len) / block, blocks, set);
      row.clear();
      for (const std::int64_t b : set) {
        if (!row.empty() && row.back().end == b)
          ++row.back().end;
        else
          row.push_back({b, b + 1});
      }
      pattern->add_row(row);
    }
    const std::int64_t heads = shared ? problem.q_heads : problem.group();
    list.push_back({h * heads, heads, std::make_shared<SelectedMask>(std::move(pattern), block, q_len, kv_len)});
  }
  return list;
}

}  // namespace

Variant selected_blocks_variant() {
  Variant v;
  v.name = "selected-blocks";
  v.family = "tile-list";
  v.description =
      "softmax attention over blocks of keys that each query selects, one list for the query heads of a KV head (native sparse attention's "
      "selected branch); lists are drawn";
  v.paper = "Yuan et al., Native Sparse Attention, arXiv 2502.11089";
  v.params = {
      {"block", kSelectedBlock, "keys per block", {}},
      {"selected", kSelected, "blocks per query and KV head", {}},
      {"from",
       std::string("past"),
       "blocks that lists are drawn from: those up to the query's own, or all of the sequence, where those behind the query's own are "
       "dropped (about half of them, as benchmarks of random scores do)",
       {"past", "all"}},
      {"first", true, "whether block 0 is in every list (in the place of the first one drawn)", {}},
      {"own", true, "whether the query's own block is in every list", {}},
      {"lists",
       std::string("head"),
       "whether every KV head has lists of its own, or all share them (what a kernel costs is the same: K and V differ by head)",
       {"head", "shared"}},
      {"seed", std::int64_t{1}, "of the draw", {}}};
  v.masks = selected_masks;
  return v;
}

}  // namespace attnsim
