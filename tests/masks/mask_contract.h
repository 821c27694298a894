// SPDX-License-Identifier: Apache-2.0
// What every mask promises, by looking at each pair: runs visit exactly the tiles with a kept pair, once, in order, and call those
// partial that hold another; counts equal; the kernel's test keeps the same pairs.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "tests/support/draw.h"
#include "workloads/masks/mask.h"

namespace attnsim::test {

inline std::int64_t count_pairs(const Mask& mask, Range queries, Range keys) {
  std::int64_t n = 0;
  for (std::int64_t q = queries.begin; q < queries.end; ++q) {
    for (std::int64_t k = keys.begin; k < keys.end; ++k) n += mask.keeps(q, k) ? 1 : 0;
  }
  return n;
}

inline void check_runs(const Mask& mask, Range queries, std::int64_t tile_kv) {
  std::vector<int> kinds;  // per tile: 0 absent, 1 partial, 2 full
  for (std::int64_t first = 0; first < mask.kv_len(); first += tile_kv) {
    const std::int64_t n = count_pairs(mask, queries, {first, std::min(first + tile_kv, mask.kv_len())});
    kinds.push_back(n == 0 ? 0 : n == (queries.end - queries.begin) * tile_kv ? 2 : 1);
  }
  std::vector<int> got(kinds.size(), 0);
  std::int64_t before = -1;
  for (const TileRun& run : mask.runs(queries, tile_kv)) {
    REQUIRE(run.count > 0);
    REQUIRE(run.step > 0);
    for (std::int64_t i = 0; i < run.count; ++i) {
      const std::int64_t tile = run.first + i * run.step;
      REQUIRE(tile > before);
      REQUIRE(tile < static_cast<std::int64_t>(got.size()));
      before = tile;
      got[static_cast<std::size_t>(tile)] = run.partial ? 1 : 2;
    }
  }
  REQUIRE(got == kinds);
}

inline void check_contract(const Mask& mask, std::mt19937& rng, int rounds = 6) {
  const MaskTest test = mask.test();
  for (std::int64_t q = 0; q < mask.q_len(); ++q) {
    for (std::int64_t k = 0; k < mask.kv_len(); ++k) REQUIRE(holds(test, q, k) == mask.keeps(q, k));
  }
  for (int i = 0; i < rounds; ++i) {
    const std::int64_t begin = draw(rng, 0, mask.q_len() - 1);
    const Range queries{begin, draw(rng, begin + 1, mask.q_len())};
    check_runs(mask, queries, draw(rng, 1, 40));
    const std::int64_t first = draw(rng, 0, mask.kv_len());
    const Range keys{first, draw(rng, first, mask.kv_len())};
    REQUIRE(mask.kept(queries, keys) == count_pairs(mask, queries, keys));
  }
}

}  // namespace attnsim::test
