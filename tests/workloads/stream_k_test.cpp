// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/stream_k.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "tests/support/draw.h"

using namespace attnsim;

namespace {

constexpr int kTileKv = 16;

ir::RowTile row_tile(std::int64_t row_begin, std::int64_t rows, ir::TripRuns runs, std::int64_t kept) {
  ir::RowTile tile;
  tile.row_begin = row_begin;
  tile.rows = rows;
  tile.runs = std::move(runs);
  tile.kept = kept;
  return tile;
}

// Two heads of five KV tiles, the last one ragged.
std::vector<ir::ItemFamily> two_heads() {
  ir::ItemFamily family{0, 2, 4 * kTileKv + 3, 0, {}};
  family.tiles.push_back(row_tile(0, 4, {{0, 4, 1, false}, {4, 1, 1, true}}, 4 * (4 * kTileKv + 3)));
  return {family};
}

std::vector<ir::ItemFamily> random_items(test::Draw& draw) {
  std::vector<ir::ItemFamily> families;
  std::int64_t slab = 0;
  for (std::int64_t f = draw.integer(1, 4); f > 0; --f) {
    ir::ItemFamily family{slab, draw.integer(1, 5), 0, 0, {}};
    for (std::int64_t t = draw.integer(1, 3); t > 0; --t) {
      const std::int64_t full = draw.integer(0, 20);
      const std::int64_t partial = draw.integer(0, 2);
      const std::int64_t rows = draw.integer(1, 8);
      ir::TripRuns runs;
      if (full > 0) runs.push_back({full - 1, full, -1, false});
      if (partial > 0) runs.push_back({30, partial, 1, true});
      const std::int64_t kept = rows * full * kTileKv + (partial > 0 ? draw.integer(partial, partial * rows * kTileKv - 1) : 0);
      family.tiles.push_back(row_tile(8 * t, rows, runs, kept));
    }
    slab += family.slab_count;
    families.push_back(family);
  }
  return families;
}

std::vector<std::int64_t> visited(const ir::RowTile& tile) {
  std::vector<std::int64_t> tiles;
  for (const ir::TripRun& run : tile.runs) {
    for (std::int64_t i = 0; i < run.count; ++i) tiles.push_back(run.first + i * run.step);
  }
  return tiles;
}

}  // namespace

TEST_CASE("three CTAs share two heads of five KV tiles as the header draws it") {
  const StreamK cut = cut_into_shares(two_heads(), kTileKv, 3);
  REQUIRE(cut.families.size() == 2);
  CHECK(cut.lists == std::vector<std::vector<std::int64_t>>{{0}, {1, 2}, {3}});
  CHECK(cut.most_peers == 1);
  const ir::RowTile& a0 = cut.families[0].tiles.at(0);
  const ir::RowTile& a1 = cut.families[0].tiles.at(1);
  const ir::RowTile& b0 = cut.families[1].tiles.at(0);
  const ir::RowTile& b1 = cut.families[1].tiles.at(1);
  CHECK(visited(a0) == std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(visited(a1) == std::vector<std::int64_t>{4});
  CHECK(visited(b0) == std::vector<std::int64_t>{0, 1});
  CHECK(visited(b1) == std::vector<std::int64_t>{2, 3, 4});
  CHECK((a0.peers == 1 && !a0.flag && a1.flag && a1.split == 0 && a1.peers == 0));
  CHECK(a0.kept == 4 * 4 * kTileKv);
  CHECK(a1.kept == 4 * 3);  // the three columns that exist
}

TEST_CASE("shares differ by one tile at most and cover every row tile once and in order") {
  test::Draw draw(11);
  for (int round = 0; round < 200; ++round) {
    const std::vector<ir::ItemFamily> whole = random_items(draw);
    const std::int64_t total = total_trips(whole);
    if (total == 0) continue;
    const std::int64_t ctas = draw.integer(1, total);
    const StreamK cut = cut_into_shares(whole, kTileKv, ctas);
    std::vector<const ir::RowTile*> items;
    for (const ir::ItemFamily& family : cut.families) {
      CHECK(family.slab_count == 1);
      for (const ir::RowTile& tile : family.tiles) items.push_back(&tile);
    }
    // Every item in exactly one list, lists in the order of the line.
    std::int64_t next = 0;
    std::int64_t large = 0;
    for (const auto& list : cut.lists) {
      std::int64_t trips = 0;
      for (const std::int64_t position : list) {
        CHECK(position == next++);
        trips += items.at(static_cast<std::size_t>(position))->trips();
      }
      CHECK(trips >= total / ctas);
      CHECK(trips <= (total + ctas - 1) / ctas);
      large += trips > total / ctas ? 1 : 0;
    }
    CHECK(next == static_cast<std::int64_t>(items.size()));
    CHECK(static_cast<std::int64_t>(cut.lists.size()) == ctas);
    CHECK(large == total % ctas);  // as many CTAs as there are left-over tiles have one more

    std::size_t at = 0;
    for (const ir::ItemFamily& family : whole) {
      for (std::int64_t slab = 0; slab < family.slab_count; ++slab) {
        for (const ir::RowTile& tile : family.tiles) {
          std::vector<std::int64_t> tiles;
          std::int64_t kept = 0;
          int pieces = 0;
          const int peers = items.at(at)->peers;
          do {
            const ir::RowTile& piece = *items.at(at++);
            const std::vector<std::int64_t> part = visited(piece);
            tiles.insert(tiles.end(), part.begin(), part.end());
            kept += piece.kept;
            CHECK(piece.row_begin == tile.row_begin);
            CHECK(piece.flag == (pieces > 0));
            CHECK(piece.split == std::max(0, pieces - 1));
            ++pieces;
          } while (pieces <= peers);
          CHECK(tiles == visited(tile));
          CHECK(kept == tile.kept);
        }
      }
    }
    CHECK(at == items.size());
  }
}

TEST_CASE("a CTA waits only for CTAs after it, whose first item hands over") {
  test::Draw draw(12);
  for (int round = 0; round < 100; ++round) {
    const std::vector<ir::ItemFamily> whole = random_items(draw);
    const std::int64_t total = total_trips(whole);
    if (total == 0) continue;
    const StreamK cut = cut_into_shares(whole, kTileKv, draw.integer(1, total));
    std::vector<const ir::RowTile*> items;
    for (const ir::ItemFamily& family : cut.families) {
      for (const ir::RowTile& tile : family.tiles) items.push_back(&tile);
    }
    for (const auto& list : cut.lists) {
      for (std::size_t i = 0; i < list.size(); ++i) {
        const ir::RowTile& tile = *items.at(static_cast<std::size_t>(list[i]));
        CHECK((!tile.flag || i == 0));
        // Where others finish a row tile, its owner has nothing after it but row tiles without keys.
        if (tile.peers > 0 && i + 1 < list.size()) CHECK(items.at(static_cast<std::size_t>(list[i + 1]))->trips() == 0);
      }
    }
  }
}

TEST_CASE("LeanAttention starts two CTAs an SM, or one per two tiles, and cuts a head into 32 pieces at most") {
  const auto ctas = [](std::int64_t heads, std::int64_t blocks) {
    return stream_k_ctas({.total_tiles = heads * blocks, .row_tiles = heads, .blocks = blocks, .sms = 108, .per_sm = 2, .most_splits = 32});
  };
  CHECK(ctas(8, 512) == 216);  // 4096 tiles
  CHECK(ctas(16, 8) == 64);    // 128 tiles <= 4 x 108: ceil(128 / 2)
  CHECK(ctas(1, 400) == 32);   // 200 would cut the head too often
  CHECK(ctas(2, 4096) == 64);  // 32 a head
  CHECK(ctas(1, 1) == 1);
  CHECK(ctas(432, 1) == 216);  // 432 tiles: (432 + 1) / 2
}
