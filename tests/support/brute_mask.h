// SPDX-License-Identifier: Apache-2.0
// A mask by its test alone: tiles and counts by looking at each pair. What masks with closed forms are held against.
#pragma once

#include <algorithm>
#include <utility>

#include "workloads/masks/mask.h"

namespace attnsim::test {

class BruteMask : public Mask {
 public:
  BruteMask(MaskTest test, std::int64_t q_len, std::int64_t kv_len) : Mask(q_len, kv_len), test_(std::move(test)) {}

  [[nodiscard]] bool keeps(std::int64_t q, std::int64_t k) const override { return holds(test_, q, k); }
  [[nodiscard]] MaskTest test() const override { return test_; }
  [[nodiscard]] std::int64_t kept(Range queries, Range keys) const override {
    std::int64_t n = 0;
    for (std::int64_t q = queries.begin; q < queries.end; ++q) {
      for (std::int64_t k = keys.begin; k < keys.end; ++k) n += keeps(q, k) ? 1 : 0;
    }
    return n;
  }
  [[nodiscard]] std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const override {
    std::vector<TileRun> runs;
    for (std::int64_t tile = 0; tile * tile_kv < kv_len(); ++tile) {
      const std::int64_t n = kept(queries, {tile * tile_kv, std::min((tile + 1) * tile_kv, kv_len())});
      if (n == 0) continue;
      const bool partial = n < (queries.end - queries.begin) * tile_kv;
      const bool joins = !runs.empty() && runs.back().partial == partial && runs.back().first + runs.back().count == tile;
      if (joins) {
        ++runs.back().count;
      } else {
        runs.push_back({tile, 1, partial});
      }
    }
    return runs;
  }

 private:
  MaskTest test_;
};

}  // namespace attnsim::test
