// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/index_set.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "workloads/families/transposed.h"
#include "workloads/masks/band.h"
#include "workloads/masks/expression_mask.h"

using namespace attnsim;

namespace {

IndexSet banded(const Band& band, std::int64_t q_len, std::int64_t kv_len, std::int64_t row_group = 1) {
  return {std::make_shared<BandMask>(band, q_len, kv_len), row_group};
}

Band band_of(const IndexSet& s) {
  return s.mask->band().value();
}

bool set_keeps(const IndexSet& s, std::int64_t row, std::int64_t key) {
  const std::int64_t offset = key - row / s.row_group - band_of(s).shift;
  return band_of(s).lower <= offset && offset <= band_of(s).upper;
}

std::int64_t count_kept(const IndexSet& s, std::int64_t row_begin, std::int64_t row_end, std::int64_t key_begin, std::int64_t key_end) {
  std::int64_t n = 0;
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    for (std::int64_t k = key_begin; k < key_end; ++k) n += set_keeps(s, r, k) ? 1 : 0;
  }
  return n;
}

IndexSet random_set(std::mt19937& rng) {
  const auto draw = [&](int low, int high) {
    return static_cast<std::int64_t>(low + static_cast<int>(rng() % static_cast<unsigned>(high - low + 1)));
  };
  const std::int64_t q_len = draw(1, 40);
  const std::int64_t kv_len = draw(1, 50);
  const std::int64_t row_group = draw(1, 4);
  Band band;
  band.shift = draw(0, 1) == 0 ? 0 : kv_len - q_len;
  if (draw(0, 2) != 0) band.lower = -draw(-3, 20);
  if (draw(0, 2) != 0) band.upper = draw(-3, 20);
  return banded(band, q_len, kv_len, row_group);
}

Tiling random_tiling(std::mt19937& rng) {
  Tiling t;
  t.tile_q = 1 + static_cast<std::int64_t>(rng() % 24);
  t.tile_kv = 1 + static_cast<std::int64_t>(rng() % 17);
  t.descending = rng() % 2 == 0;
  t.splits = 1 + static_cast<std::int64_t>(rng() % 5);
  return t;
}

IndexSet causal(std::int64_t q_len, std::int64_t kv_len) {
  return banded({kv_len - q_len, -kUnbounded, 0}, q_len, kv_len);
}

std::int64_t total_trips(const std::vector<ir::RowTile>& tiles) {
  std::int64_t n = 0;
  for (const ir::RowTile& t : tiles) n += t.trips();
  return n;
}

}  // namespace

TEST_CASE("kept pairs in closed form equal counting each pair") {
  std::mt19937 rng(3);
  for (int i = 0; i < 3000; ++i) {
    const IndexSet s = random_set(rng);
    std::int64_t rows[2] = {static_cast<std::int64_t>(rng() % static_cast<unsigned>(s.rows() + 1)),
                            static_cast<std::int64_t>(rng() % static_cast<unsigned>(s.rows() + 1))};
    std::int64_t keys[2] = {static_cast<std::int64_t>(rng() % static_cast<unsigned>(s.kv_len() + 1)),
                            static_cast<std::int64_t>(rng() % static_cast<unsigned>(s.kv_len() + 1))};
    std::sort(rows, rows + 2);
    std::sort(keys, keys + 2);
    REQUIRE(kept_pairs(s, rows[0], rows[1], keys[0], keys[1]) == count_kept(s, rows[0], rows[1], keys[0], keys[1]));
  }
}

TEST_CASE("runs visit exactly the KV tiles with a kept pair, once, in order, and call those partial that need a mask") {
  std::mt19937 rng(5);
  for (int i = 0; i < 2000; ++i) {
    const IndexSet s = random_set(rng);
    const Tiling t = random_tiling(rng);
    const auto tiles = row_tiles(s, t);
    const std::int64_t kv_tiles = (s.kv_len() + t.tile_kv - 1) / t.tile_kv;
    REQUIRE(static_cast<std::int64_t>(tiles.size()) == (s.rows() + t.tile_q - 1) / t.tile_q * t.splits);
    for (std::size_t first = 0; first < tiles.size(); first += static_cast<std::size_t>(t.splits)) {
      const std::int64_t row = tiles[first].row_begin;
      const std::int64_t row_end = row + tiles[first].rows;
      std::set<std::int64_t> visited;
      std::int64_t kept = 0;
      for (std::int64_t split = 0; split < t.splits; ++split) {
        const ir::RowTile& tile = tiles[first + static_cast<std::size_t>(split)];
        REQUIRE(tile.split == split);
        REQUIRE(tile.flag == (tile.trips() == 0));
        std::int64_t tile_kept = 0;
        std::int64_t before = t.descending ? kv_tiles : -1;
        for (const ir::TripRun& run : tile.runs) {
          REQUIRE(run.count > 0);
          for (std::int64_t n = 0; n < run.count; ++n) {
            const std::int64_t j = run.first + n * run.step;
            REQUIRE((t.descending ? j < before : j > before));
            before = j;
            REQUIRE(visited.insert(j).second);
            const std::int64_t pairs = count_kept(s, row, row_end, j * t.tile_kv, std::min((j + 1) * t.tile_kv, s.kv_len()));
            tile_kept += pairs;
            REQUIRE(run.partial == (pairs < tile.rows * t.tile_kv));
          }
        }
        REQUIRE(tile.kept == tile_kept);
        kept += tile_kept;
      }
      REQUIRE(kept == count_kept(s, row, row_end, 0, s.kv_len()));
      for (std::int64_t j = 0; j < kv_tiles; ++j) {
        const bool any = count_kept(s, row, row_end, j * t.tile_kv, std::min((j + 1) * t.tile_kv, s.kv_len())) > 0;
        REQUIRE(visited.contains(j) == any);
      }
    }
  }
}

TEST_CASE("cuts name the bounds that remove a pair") {
  std::mt19937 rng(7);
  for (int i = 0; i < 2000; ++i) {
    const IndexSet s = random_set(rng);
    const Cuts c = cuts(s, 1);
    bool upper = false;
    bool lower = false;
    for (std::int64_t q = 0; q < s.q_len(); ++q) {
      for (std::int64_t k = 0; k < s.kv_len(); ++k) {
        const std::int64_t offset = k - q - band_of(s).shift;
        upper = upper || offset > band_of(s).upper;
        lower = lower || offset < band_of(s).lower;
      }
    }
    REQUIRE(c.upper == upper);
    REQUIRE(c.lower == lower);
    REQUIRE_FALSE(c.extent);
  }
}

TEST_CASE("the end of the keys is tested where the last tile is ragged and no diagonal hides it") {
  CHECK(cuts(banded({}, 100, 100), 64).extent);
  CHECK_FALSE(cuts(banded({}, 100, 128), 64).extent);
  CHECK_FALSE(cuts(causal(100, 100), 64).extent);
  CHECK(cuts(banded({0, -kUnbounded, 0}, 200, 100), 64).extent);
}

TEST_CASE("a causal head at 192 x 128 visits 384 tiles of 4096 tokens and 9 of 512") {
  // Row tile i ends at row 192 (i + 1), so it visits ceil(192 (i + 1) / 128) tiles, at most the tiles that exist.
  for (const std::int64_t n : {512, 4096}) {
    std::int64_t wanted = 0;
    for (std::int64_t row = 192; row < n + 192; row += 192) wanted += std::min((row + 127) / 128, n / 128);
    const std::int64_t trips = total_trips(row_tiles(causal(n, n), {.tile_q = 192, .tile_kv = 128}));
    CHECK(trips == wanted);
    CHECK(trips == (n == 4096 ? 384 : 9));
  }
}

TEST_CASE("the first trip can be made to pay for masks, in either direction") {
  for (const bool descending : {false, true}) {
    const auto tiles = row_tiles(banded({}, 64, 512), {.tile_q = 64, .tile_kv = 128, .descending = descending, .mask_first_trip = true});
    REQUIRE(tiles.size() == 1);
    CHECK(tiles[0].trips() == 4);
    CHECK(tiles[0].partial_trips() == 1);
    CHECK(tiles[0].runs.front().partial);
    CHECK(tiles[0].runs.front().first == (descending ? 3 : 0));
    CHECK(tiles[0].runs.back().first == (descending ? 2 : 1));
  }
}

TEST_CASE("an unfused kernel visits absent tiles too, as masked ones") {
  const auto tiles = row_tiles(causal(256, 256), {.tile_q = 64, .tile_kv = 64, .visit_absent = true});
  CHECK(total_trips(tiles) == 4 * 4);
  std::int64_t full = 0;
  for (const ir::RowTile& t : tiles) full += t.trips() - t.partial_trips();
  CHECK(full == 0 + 1 + 2 + 3);
}

TEST_CASE("KV tiles of masks that are no bands know the query tiles that visit them, and how many pairs they keep") {
  const Expression seen = key() <= query() + 30 && (query() - key() < 25 || key() % 16 < 3);
  for (std::int64_t i = 0; i < 60; ++i) {
    const std::int64_t q_len = 1 + 37 * i % 150;
    const std::int64_t kv_len = 1 + 53 * i % 170;
    const IndexSet set{std::make_shared<ExpressionMask>(MaskTest{{seen}, {}, {}}, q_len, kv_len), 1};
    const Tiling tiling{.tile_q = 8 + i % 3 * 8, .tile_kv = 16 + i % 2 * 16, .descending = i % 4 == 0};
    const std::vector<ir::RowTile> tiles = kv_row_tiles(set, tiling);
    INFO(q_len << " x " << kv_len << ", tiles " << tiling.tile_q << " x " << tiling.tile_kv);
    REQUIRE(static_cast<std::int64_t>(tiles.size()) == (kv_len + tiling.tile_kv - 1) / tiling.tile_kv);
    for (const ir::RowTile& tile : tiles) {
      std::vector<int> wanted;  // per query tile: 0 absent, 1 partial, 2 full
      std::int64_t kept = 0;
      for (std::int64_t q = 0; q < q_len; q += tiling.tile_q) {
        std::int64_t pairs = 0;
        for (std::int64_t row = q; row < std::min(q + tiling.tile_q, q_len); ++row) {
          for (std::int64_t k = tile.row_begin; k < tile.row_begin + tile.rows; ++k) pairs += set.mask->keeps(row, k) ? 1 : 0;
        }
        kept += pairs;
        wanted.push_back(pairs == 0 ? 0 : pairs == tile.rows * tiling.tile_q ? 2 : 1);
      }
      CHECK(tile.kept == kept);
      std::vector<int> got(wanted.size(), 0);
      std::int64_t before = tiling.descending ? static_cast<std::int64_t>(wanted.size()) : -1;
      for (const ir::TripRun& run : tile.runs) {
        for (std::int64_t t = 0; t < run.count; ++t) {
          const std::int64_t at = run.first + t * run.step;
          CHECK((tiling.descending ? at < before : at > before));
          before = at;
          got.at(static_cast<std::size_t>(at)) = run.partial ? 1 : 2;
        }
      }
      CHECK(got == wanted);
    }
  }
}
