// SPDX-License-Identifier: Apache-2.0
// Every query has a list of key blocks of its own and sees their keys up to its own place: the selected branch of native sparse
// attention, where a list comes from scores and nothing ties it to the lists of other queries.
#pragma once

#include "workloads/masks/block_mask.h"

namespace attnsim {

class SelectedMask : public BlockMask {
 public:
  // Row q of the pattern: the blocks of `block` keys that query q keeps, none behind its own. Queries are the last tokens.
  SelectedMask(std::shared_ptr<const BlockPattern> pattern, std::int64_t block, std::int64_t q_len, std::int64_t kv_len);
  [[nodiscard]] std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const override;
  [[nodiscard]] std::int64_t kept(Range queries, Range keys) const override;
  // Tiles of one query and one block are visited or not as a whole, so that only the query's own place cuts them.
  [[nodiscard]] MaskTest test_in_tiles(std::int64_t queries, std::int64_t tile_kv) const override;
  [[nodiscard]] bool visits_at_random() const override { return true; }

 private:
  std::int64_t block_;
  std::shared_ptr<const BlockPattern> lists_;
};

}  // namespace attnsim
