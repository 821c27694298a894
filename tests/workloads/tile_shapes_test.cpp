// SPDX-License-Identifier: Apache-2.0
#include "workloads/tile_shapes.h"

#include <catch2/catch.hpp>
#include <functional>
#include <numeric>

#include "sim/core/json_reader.h"
#include "workloads/catalog.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

const JsonDocument kDocument = parse_json(R"({"schedule": "s", "source": "x", "shapes": [
  {"head_dim_max": 64, "tiles": [["64", "128"], ["8x8", "16x8"]]},
  {"head_dim_max": 128, "tiles": [["16x8", "8x16"]]},
  {"head_dim_max": 128, "not_isas": ["sm_86"], "tiles": [["32x4", "4x32"]]}]})",
                                          "s.json");

}  // namespace

TEST_CASE("the smallest head size that fits decides, and groups leave out chips") {
  REQUIRE(parse_tile_shapes(kDocument, 2, 64, "sm_80").size() == 1);
  CHECK(parse_tile_shapes(kDocument, 2, 64, "sm_80")[0].kv == std::vector<std::int64_t>{16, 8});
  CHECK(parse_tile_shapes(kDocument, 1, 32, "sm_80").size() == 1);
  CHECK(parse_tile_shapes(kDocument, 2, 65, "sm_80").size() == 2);
  CHECK(parse_tile_shapes(kDocument, 2, 128, "sm_86").size() == 1);
  CHECK(parse_tile_shapes(kDocument, 2, 129, "sm_80").empty());
  CHECK_THROWS_WITH(
      parse_tile_shapes(
          parse_json(R"({"schedule": "s", "source": "x", "shapes": [{"head_dim_max": 1, "tiles": [["8x8", "8"]]}]})", "t.json"), 2, 1, "a"),
      Contains("boxes"));
}

TEST_CASE("every shipped tile shape makes a schedule whose tiles have its volume") {
  for (const std::string& name : schedules_with_tile_shapes()) {
    for (const std::size_t rank : {1U, 2U, 3U}) {
      for (const int head_dim : load_schedule(name).head_dims) {
        for (const TilePair& tiles : tile_shapes(name, rank, head_dim, "sm_80")) {
          INFO(name << " " << head_dim);
          const Schedule schedule = parse_schedule(with_boxes(name, tiles, head_dim));
          REQUIRE(schedule.tiles.size() == 1);
          const auto volume = [](const std::vector<std::int64_t>& box) {
            return std::accumulate(box.begin(), box.end(), std::int64_t{1}, std::multiplies<>());
          };
          CHECK(schedule.tiles[0].tile_q == volume(tiles.q));
          CHECK(schedule.tiles[0].tile_kv == volume(tiles.kv));
          CHECK(schedule.tiles[0].q_boxes.at(rank - 1) == tiles.q);
          CHECK(schedule.tiles[0].kv_boxes.at(rank - 1) == tiles.kv);
        }
      }
    }
  }
}

TEST_CASE("a schedule without tile shapes is refused with the nearest name") {
  CHECK_THROWS_WITH(tile_shapes("natten-fna-sm9", 1, 128, "sm_90"), Contains("natten-fna-sm90"));
}
