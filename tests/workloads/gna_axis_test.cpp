// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/gna_axis.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/draw.h"

using namespace attnsim;
using attnsim::test::draw;

namespace {

// NATTEN's kernels write the window's begin as a maximum plus a correction at the end (fna_fusion.hpp); the reference here.
bool axis_keeps(const AxisClass& a, std::int64_t q, std::int64_t k) {
  if (a.causal) {
    const std::int64_t leader = std::min(q / a.stride * a.stride + a.stride - 1, a.tokens - 1);
    return k <= q && leader - k < a.window;
  }
  const std::int64_t left = a.window / 2;
  const std::int64_t right = a.window / 2 + a.window % 2 - 1;
  const std::int64_t leader = std::min(q / a.stride * a.stride + a.stride / 2, a.tokens - 1);
  std::int64_t begin = std::max<std::int64_t>(leader - left, 0);
  if (leader + right >= a.tokens) begin += a.tokens - right - leader - 1;
  return begin <= k && k < begin + a.window;
}

AxisClass random_axis(std::mt19937& rng) {
  AxisClass a;
  a.tokens = draw(rng, 1, 48);
  a.window = draw(rng, 1, a.tokens);
  a.stride = draw(rng, 1, a.window);
  a.causal = draw(rng, 0, 3) == 0;
  return a;
}

std::string counts(const AxisClass& a, std::int64_t tile_q, std::int64_t tile_kv, bool dense) {
  std::string out;
  for (std::int64_t q = 0; q < a.tokens; q += tile_q) {
    const AxisTiles t = axis_tiles(a, {q, q + tile_q}, tile_kv);
    const Range r = dense ? t.dense : t.visited;
    out += (out.empty() ? "" : " ") + std::to_string(r.end - r.begin);
  }
  return out;
}

}  // namespace

TEST_CASE("GNA axis: every query keeps the keys of its group's leader, window keys unless causal") {
  std::mt19937 rng(1);
  for (int i = 0; i < 2000; ++i) {
    const AxisClass a = random_axis(rng);
    for (std::int64_t q = 0; q < a.tokens; ++q) {
      const Range r = kept_keys(a, q);
      for (std::int64_t k = 0; k < a.tokens; ++k) REQUIRE((r.begin <= k && k < r.end) == axis_keeps(a, q, k));
      if (!a.causal) REQUIRE(r.end - r.begin == a.window);
    }
  }
}

TEST_CASE("GNA axis: tiles are visited where a pair is kept, dense where all pairs of existing keys are") {
  std::mt19937 rng(2);
  for (int i = 0; i < 3000; ++i) {
    const AxisClass a = random_axis(rng);
    const std::int64_t tile_q = draw(rng, 1, 9);
    const std::int64_t tile_kv = draw(rng, 1, 9);
    bool all_dense = true;
    for (std::int64_t q = 0; q < a.tokens; q += tile_q) {
      const AxisTiles tiles = axis_tiles(a, {q, q + tile_q}, tile_kv);
      for (std::int64_t t = 0; t * tile_kv < a.tokens; ++t) {
        std::int64_t pairs = 0;
        std::int64_t kept = 0;
        for (std::int64_t x = q; x < std::min(q + tile_q, a.tokens); ++x) {
          for (std::int64_t k = t * tile_kv; k < std::min((t + 1) * tile_kv, a.tokens); ++k, ++pairs) kept += axis_keeps(a, x, k) ? 1 : 0;
        }
        REQUIRE((tiles.visited.begin <= t && t < tiles.visited.end) == (kept > 0));
        REQUIRE((tiles.dense.begin <= t && t < tiles.dense.end) == (kept == pairs));
        REQUIRE(kept_pairs(a, {q, q + tile_q}, {t * tile_kv, (t + 1) * tile_kv}) == kept);
        all_dense = all_dense && (kept == 0 || kept == pairs);
      }
    }
    REQUIRE(fully_block_sparse(a, tile_q, tile_kv) == all_dense);
  }
}

TEST_CASE("GNA axis: NATTEN's closed test never spares a mask that a tile needs") {
  std::mt19937 rng(3);
  int spared = 0;
  for (int i = 0; i < 20000; ++i) {
    const AxisClass a = random_axis(rng);
    const std::int64_t tile_q = std::int64_t{1} << draw(rng, 0, 4);
    const std::int64_t tile_kv = std::int64_t{1} << draw(rng, 0, 4);
    if (tile_q < 2 || 2 * tile_q < tile_kv) continue;  // no kernel has such tiles
    if (!natten_fully_block_sparse(a, tile_q, tile_kv)) continue;
    ++spared;
    CAPTURE(a.tokens, a.window, a.stride, tile_q, tile_kv);
    REQUIRE(fully_block_sparse(a, tile_q, tile_kv));
  }
  REQUIRE(spared > 100);
  // Smaller query tiles it would get wrong: stride groups of one query move the window by one key.
  REQUIRE(natten_fully_block_sparse({11, 8, 1, false}, 1, 4));
  REQUIRE_FALSE(fully_block_sparse({11, 8, 1, false}, 1, 4));
}

TEST_CASE("GNA axis: 256 is the smallest stride that spares 32K tokens with window 2048 their mask on Hopper and Blackwell") {
  struct Tiles {
    std::int64_t q, kv;
  };
  // Hopper 128 x 128, Blackwell 256 x 128 (natten_tile_configs.csv). The paper's example: arXiv 2504.16922, NATTEN docs/profiler.md.
  for (const Tiles tiles : {Tiles{128, 128}, Tiles{256, 128}}) {
    std::int64_t smallest = 0;
    for (std::int64_t stride = 1; stride <= 2048 && smallest == 0; ++stride) {
      const AxisClass a{32768, 2048, stride, false};
      REQUIRE(natten_fully_block_sparse(a, tiles.q, tiles.kv) == fully_block_sparse(a, tiles.q, tiles.kv));
      if (fully_block_sparse(a, tiles.q, tiles.kv)) smallest = stride;
    }
    REQUIRE(smallest == 256);
  }
}

TEST_CASE("GNA axis: dynamic KV tiles start at the first kept key") {
  // Query tile 64..127 of 256, window 33: keys 48..143, 96 of them: two tiles of 64 from 48 on, three from 0 on.
  const AxisClass a{256, 33, 1, false};
  REQUIRE(dynamic_tiles(a, {64, 128}, 64) == 2);
  const Range visited = axis_tiles(a, {64, 128}, 64).visited;
  REQUIRE(visited.end - visited.begin == 3);
}

TEST_CASE("GNA axis: visited and dense tiles of published examples") {
  // Rows of a table that was checked against the mask's definition pair by pair.
  REQUIRE(counts({30, 18, 1, false}, 4, 2, false) == "9 9 10 11 11 10 9 9");
  REQUIRE(counts({30, 18, 1, false}, 4, 2, true) == "9 9 8 7 7 8 9 9");
  REQUIRE(counts({30, 18, 18, false}, 4, 2, false) == "9 9 9 9 15 9 9 9");
  REQUIRE(counts({30, 18, 18, false}, 4, 2, true) == "9 9 9 9 3 9 9 9");
  REQUIRE(counts({80, 24, 1, false}, 8, 8, false) == "3 4 5 5 5 5 5 5 4 3");
  REQUIRE(counts({31, 11, 6, true}, 2, 2, false) == "1 2 3 4 5 6 4 5 6 4 5 6 4 5 6 6");
  REQUIRE(counts({31, 11, 6, true}, 2, 2, true) == "0 1 2 2 3 4 2 3 4 2 3 4 2 3 4 6");
}

TEST_CASE("GNA axis: all rows of gna_axis_trip_counts.csv where it is at hand") {
  const auto path = std::filesystem::path(ATTNSIM_SOURCE_DIR) / ".." / "shared" / "measurements" / "gna_axis_trip_counts.csv";
  const auto beside = std::filesystem::path(ATTNSIM_SOURCE_DIR) / ".." / ".." / "shared" / "measurements" / "gna_axis_trip_counts.csv";
  std::ifstream file(std::filesystem::exists(path) ? path : beside);
  std::string line;
  std::getline(file, line);  // the header
  int rows = 0;
  while (std::getline(file, line)) {
    std::vector<std::string> f;
    std::stringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) f.push_back(field);
    REQUIRE(f.size() >= 13);
    CAPTURE(line);
    const AxisClass a{std::stoll(f[0]), std::stoll(f[1]), std::stoll(f[2]), f[5] == "True"};
    const std::int64_t tile_q = std::stoll(f[3]);
    const std::int64_t tile_kv = std::stoll(f[4]);
    REQUIRE((a.tokens + tile_kv - 1) / tile_kv == std::stoll(f[7]));
    REQUIRE(counts(a, tile_q, tile_kv, false) == f[8]);
    if (!f[10].empty()) REQUIRE(counts(a, tile_q, tile_kv, true) == f[10]);
    REQUIRE(natten_fully_block_sparse(a, tile_q, tile_kv) == (f[11] == "True"));
    if (!f[12].empty()) REQUIRE(fully_block_sparse(a, tile_q, tile_kv) == (f[12] == "True"));
    ++rows;
  }
  if (rows > 0) REQUIRE(rows == 200);
}
