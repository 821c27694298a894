// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/extents.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/draw.h"

namespace attnsim::bounds {

namespace {

const ir::Section kLoop{"main", ir::SectionKind::loop, ir::TripSource::runs};

std::vector<std::int64_t> visits(const ir::TripRuns& runs) {
  std::vector<std::int64_t> out;
  for (const ir::TripRun& run : runs) {
    for (std::int64_t i = 0; i < run.count; ++i) out.push_back(run.first + i * run.step);
  }
  return out;
}

}  // namespace

TEST_CASE("conditions pick the trips they name") {
  ir::RowTile tile;
  tile.runs = {{7, 1, -1, true}, {6, 5, -1, false}, {1, 2, -1, true}};
  using ir::When;
  CHECK(visits(acting_runs(tile, kLoop, When::always)) == std::vector<std::int64_t>{7, 6, 5, 4, 3, 2, 1, 0});
  CHECK(visits(acting_runs(tile, kLoop, When::first_trip)) == std::vector<std::int64_t>{7});
  CHECK(visits(acting_runs(tile, kLoop, When::not_first_trip)) == std::vector<std::int64_t>{6, 5, 4, 3, 2, 1, 0});
  CHECK(visits(acting_runs(tile, kLoop, When::last_trip)) == std::vector<std::int64_t>{0});
  CHECK(visits(acting_runs(tile, kLoop, When::partial_trip)) == std::vector<std::int64_t>{7, 1, 0});
  CHECK(visits(acting_runs(tile, kLoop, When::full_trip)) == std::vector<std::int64_t>{6, 5, 4, 3, 2});
  CHECK(acting_runs(tile, kLoop, When::item_flag).empty());
  tile.flag = true;
  CHECK(trip_count(acting_runs(tile, kLoop, When::item_flag)) == 8);
  CHECK(trip_count(acting_runs(tile, {"end", ir::SectionKind::once, ir::TripSource::runs}, When::always)) == 1);
  tile.peers = 3;
  CHECK(trip_count(acting_runs(tile, {"fix", ir::SectionKind::loop, ir::TripSource::peers}, When::always)) == 3);
}

TEST_CASE("sums over runs equal sums over trips") {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    test::Draw draw(seed);
    const std::int64_t extent = draw.integer(0, 500);
    std::vector<int> padded;
    for (std::int64_t i = draw.integer(0, 2); i > 0; --i) padded.push_back(draw.pick<int>({16, 32, 48}));
    ir::TripRuns runs;
    for (std::int64_t i = draw.integer(0, 3); i > 0; --i) {
      const int step = draw.pick<int>({-3, -1, 1, 2});
      const std::int64_t count = draw.integer(0, 12);
      runs.push_back({draw.integer(0, 10) + (step < 0 ? -step * 12 : 0), count, step, false});
    }
    double expected = 0;
    for (const std::int64_t v : visits(runs)) {
      double product = 1;
      for (const int c : padded) product *= static_cast<double>(std::clamp<std::int64_t>(extent - v * c, 0, c));
      expected += product;
    }
    INFO("seed " << seed);
    CHECK(sum_of_valid_columns(runs, extent, padded) == Approx(expected));
  }
}

}  // namespace attnsim::bounds
