// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/selected_mask.h"

#include <algorithm>

#include "workloads/masks/integer.h"
#include "workloads/masks/runs.h"

namespace attnsim {

SelectedMask::SelectedMask(std::shared_ptr<const BlockPattern> pattern, std::int64_t block, std::int64_t q_len, std::int64_t kv_len)
    : BlockMask(pattern, BlockEdges(1, q_len), BlockEdges(block, kv_len), true, q_len, kv_len), block_(block), lists_(std::move(pattern)) {}

std::vector<TileRun> SelectedMask::runs(Range queries, std::int64_t tile_kv) const {
  if (queries.end - queries.begin != 1 || tile_kv != block_) return BlockMask::runs(queries, tile_kv);
  std::vector<TileRun> list;
  const std::int64_t seen = queries.begin + kv_len() - q_len() + 1;  // keys up to the query's place
  for (const Range& blocks : lists_->row(queries.begin)) {
    const std::int64_t full = std::clamp(seen / block_, blocks.begin, blocks.end);
    append_run(list, blocks.begin, full, false);
    append_run(list, full, std::min(blocks.end, ceil_div(seen, block_)), true);
  }
  return list;
}

std::int64_t SelectedMask::kept(Range queries, Range keys) const {
  std::int64_t pairs = 0;
  for (std::int64_t q = queries.begin; q < queries.end; ++q) {
    const std::int64_t end = std::min(keys.end, q + kv_len() - q_len() + 1);
    for (const Range& blocks : lists_->row(q))
      pairs += std::max<std::int64_t>(0, std::min(blocks.end * block_, end) - std::max(blocks.begin * block_, keys.begin));
  }
  return pairs;
}

MaskTest SelectedMask::test_in_tiles(std::int64_t queries, std::int64_t tile_kv) const {
  if (queries != 1 || tile_kv != block_) return test();
  MaskTest test;
  test.all_of = {key() <= query() + (kv_len() - q_len())};
  return test;
}

}  // namespace attnsim
