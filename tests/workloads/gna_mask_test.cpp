// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/draw.h"
#include "workloads/masks/gna.h"

using namespace attnsim;
using attnsim::test::draw;

namespace {

GnaShape random_shape(std::mt19937& rng) {
  GnaShape shape;
  const std::int64_t rank = draw(rng, 1, 3);
  for (std::int64_t a = 0; a < rank; ++a) {
    GnaAxis axis;
    axis.length = draw(rng, 2, rank == 1 ? 40 : rank == 2 ? 9 : 6);
    axis.dilation = draw(rng, 0, 2) == 0 ? draw(rng, 1, std::min<std::int64_t>(5, axis.length)) : 1;
    axis.window = draw(rng, 1, axis.length / axis.dilation);
    axis.stride = draw(rng, 1, axis.window);
    axis.causal = draw(rng, 0, 3) == 0;
    shape.axes.push_back(axis);
  }
  if (draw(rng, 0, 2) == 0) shape.extra_keys = draw(rng, 1, 7);
  return shape;
}

TileShape random_tile(std::mt19937& rng, std::size_t rank) {
  TileShape tile;
  for (std::size_t a = 0; a < rank; ++a) tile.push_back(draw(rng, 1, rank == 1 ? 9 : 4));
  return tile;
}

// The definition once more, on coordinates: product of axes, each inside the query's residue class.
bool keeps(const GnaShape& shape, std::int64_t q, std::int64_t k) {
  if (k >= shape.tokens()) return true;
  for (std::size_t a = shape.axes.size(); a-- > 0;) {
    const GnaAxis& axis = shape.axes[a];
    const std::int64_t x = q % axis.length;
    const std::int64_t y = k % axis.length;
    q /= axis.length;
    k /= axis.length;
    if (x % axis.dilation != y % axis.dilation) return false;
    const std::int64_t residue = x % axis.dilation;
    const std::int64_t n = (axis.length - residue + axis.dilation - 1) / axis.dilation;
    const std::int64_t i = x / axis.dilation;
    const std::int64_t j = y / axis.dilation;
    if (axis.causal) {
      const std::int64_t leader = std::min(i / axis.stride * axis.stride + axis.stride - 1, n - 1);
      if (j > i || leader - j >= axis.window) return false;
    } else {
      const std::int64_t left = axis.window / 2;
      const std::int64_t right = left + axis.window % 2 - 1;
      const std::int64_t leader = std::min(i / axis.stride * axis.stride + axis.stride / 2, n - 1);
      const std::int64_t center = std::clamp(leader, left, n - 1 - right);
      if (j < center - left || j > center + right) return false;
    }
  }
  return true;
}

// Runs against counting: tiles ascending and disjoint, visited exactly where a pair is kept, partial where a query that exists
// does not keep a column of the tile.
void check_runs(const Mask& mask, Range queries, std::int64_t tile_kv, const std::vector<bool>& exists) {
  std::vector<int> state(static_cast<std::size_t>((mask.kv_len() + tile_kv - 1) / tile_kv), 0);
  std::int64_t next = 0;
  for (const TileRun& run : mask.runs(queries, tile_kv)) {
    REQUIRE(run.first >= next);
    REQUIRE(run.count > 0);
    next = run.first + run.count;
    for (std::int64_t t = run.first; t < next; ++t) state[static_cast<std::size_t>(t)] = run.partial ? 1 : 2;
  }
  for (std::size_t t = 0; t < state.size(); ++t) {
    std::int64_t kept = 0;
    std::int64_t rows = 0;
    for (std::int64_t q = queries.begin; q < queries.end; ++q) {
      rows += exists[static_cast<std::size_t>(q)] ? 1 : 0;
      for (std::int64_t k = static_cast<std::int64_t>(t) * tile_kv;
           k < std::min<std::int64_t>(static_cast<std::int64_t>(t + 1) * tile_kv, mask.kv_len()); ++k)
        kept += mask.keeps(q, k) ? 1 : 0;
    }
    if (rows == 0) continue;
    REQUIRE(state[t] == (kept == 0 ? 0 : kept == rows * tile_kv ? 2 : 1));
  }
}

}  // namespace

TEST_CASE("GNA mask: keeps what the definition says, on every pair of random layouts") {
  std::mt19937 rng(11);
  for (int i = 0; i < 200; ++i) {
    const GnaShape shape = random_shape(rng);
    const GnaMask mask(shape);
    for (std::int64_t q = 0; q < mask.q_len(); ++q) {
      for (std::int64_t k = 0; k < mask.kv_len(); ++k) REQUIRE(mask.keeps(q, k) == keeps(shape, q, k));
    }
  }
}

TEST_CASE("GNA mask: runs and kept pairs in the order of the layout") {
  std::mt19937 rng(12);
  for (int i = 0; i < 200; ++i) {
    const GnaMask mask(random_shape(rng));
    const std::vector<bool> exists(static_cast<std::size_t>(mask.q_len()), true);
    const std::int64_t begin = draw(rng, 0, mask.q_len() - 1);
    const Range queries{begin, draw(rng, begin + 1, mask.q_len())};
    check_runs(mask, queries, draw(rng, 1, 12), exists);
    const std::int64_t first = draw(rng, 0, mask.kv_len());
    const Range keys{first, draw(rng, first, mask.kv_len())};
    std::int64_t kept = 0;
    for (std::int64_t q = queries.begin; q < queries.end; ++q) {
      for (std::int64_t k = keys.begin; k < keys.end; ++k) kept += mask.keeps(q, k) ? 1 : 0;
    }
    REQUIRE(mask.kept(queries, keys) == kept);
  }
}

TEST_CASE("GNA mask: tile order holds every token once and its padding apart") {
  std::mt19937 rng(13);
  for (int i = 0; i < 300; ++i) {
    const GnaShape shape = random_shape(rng);
    const ir::RowOrder order = shape.order(random_tile(rng, shape.axes.size()));
    std::int64_t tokens = 0;
    for (std::int64_t place = 0; place < order.places(); ++place) {
      const std::int64_t token = order.row(place);
      if (token == ir::RowOrder::kPadding) continue;
      ++tokens;
      REQUIRE(order.place(token) == place);
    }
    REQUIRE(tokens == shape.tokens());
  }
}

TEST_CASE("GNA mask: tile order by hand") {
  // 4 x 6 tokens, tiles of 2 x 2: the second tile holds columns 2 and 3 of rows 0 and 1.
  const GnaShape shape{{{4, 2, 1, 1, false}, {6, 2, 1, 1, false}}, 0};
  const ir::RowOrder order = shape.order({2, 2});
  std::vector<std::int64_t> tile;
  for (std::int64_t place = 4; place < 8; ++place) tile.push_back(order.row(place));
  REQUIRE(tile == std::vector<std::int64_t>{2, 3, 8, 9});
  // 7 tokens, dilation 2, tiles of 3: classes {0 2 4 6} and {1 3 5}, both padded to 6 places.
  const ir::RowOrder dilated = GnaShape{{{7, 2, 1, 2, false}}, 0}.order({3});
  std::vector<std::int64_t> places;
  for (std::int64_t place = 0; place < dilated.places(); ++place) places.push_back(dilated.row(place));
  REQUIRE(places == std::vector<std::int64_t>{0, 2, 4, 6, -1, -1, 1, 3, 5, -1, -1, -1});
}

TEST_CASE("GNA mask: runs and kept pairs in tile order") {
  std::mt19937 rng(14);
  for (int i = 0; i < 300; ++i) {
    const GnaShape shape = random_shape(rng);
    const TileShape tile_q = random_tile(rng, shape.axes.size());
    const TileShape tile_kv = random_tile(rng, shape.axes.size());
    const GnaTileMask mask(shape, tile_q, tile_kv, i % 2 == 0 ? KvTiling::on_grid : KvTiling::from_first_key);
    std::vector<bool> exists;
    for (std::int64_t q = 0; q < mask.q_len(); ++q) exists.push_back(mask.q_order().row(q) != ir::RowOrder::kPadding);
    std::int64_t total = 0;
    for (std::int64_t q = 0; q < mask.q_len(); q += volume(tile_q)) {
      check_runs(mask, {q, q + volume(tile_q)}, volume(tile_kv), exists);
      total += mask.kept({q, q + volume(tile_q)}, {0, mask.kv_len()});
    }
    REQUIRE(total == GnaMask(shape).kept({0, shape.tokens()}, {0, shape.tokens() + shape.extra_keys}));
    const std::int64_t begin = draw(rng, 0, mask.q_len() - 1);
    const Range queries{begin, draw(rng, begin + 1, mask.q_len())};
    const std::int64_t first = draw(rng, 0, mask.kv_len());
    const Range keys{first, draw(rng, first, mask.kv_len())};
    std::int64_t kept = 0;
    for (std::int64_t q = queries.begin; q < queries.end; ++q) {
      for (std::int64_t k = keys.begin; k < keys.end; ++k) kept += mask.keeps(q, k) ? 1 : 0;
    }
    REQUIRE(mask.kept(queries, keys) == kept);
  }
}

TEST_CASE("GNA mask: query tiles visit as many KV tiles from their first key on as counting finds") {
  std::mt19937 rng(16);
  for (int i = 0; i < 300; ++i) {
    GnaShape shape = random_shape(rng);
    shape.extra_keys = 0;
    const TileShape tile_q = random_tile(rng, shape.axes.size());
    const TileShape tile_kv = random_tile(rng, shape.axes.size());
    const GnaTileMask mask(shape, tile_q, tile_kv, KvTiling::from_first_key);
    const ir::RowOrder& order = mask.q_order();
    double visited = 0;
    std::int64_t tiles = 0;
    for (std::int64_t q = 0; q < mask.q_len(); q += volume(tile_q)) {
      // Extents on the layout between the first and the last key that any query of the tile keeps.
      std::vector<std::int64_t> low(shape.axes.size(), INT64_MAX), high(shape.axes.size(), -1);
      for (std::int64_t place = q; place < q + volume(tile_q); ++place) {
        for (std::int64_t k = 0; k < shape.tokens() && order.row(place) != ir::RowOrder::kPadding; ++k) {
          if (!keeps(shape, order.row(place), k)) continue;
          std::int64_t rest = k;
          for (std::size_t a = shape.axes.size(); a-- > 0;) {
            const std::int64_t y = rest % shape.axes[a].length / shape.axes[a].dilation;
            low[a] = std::min(low[a], y);
            high[a] = std::max(high[a], y);
            rest /= shape.axes[a].length;
          }
        }
      }
      if (high.front() < 0) continue;
      std::int64_t expected = 1;
      for (std::size_t a = 0; a < shape.axes.size(); ++a) expected *= (high[a] - low[a] + tile_kv[a]) / tile_kv[a];
      std::int64_t found = 0;
      for (const TileRun& run : mask.runs({q, q + volume(tile_q)}, volume(tile_kv))) found += run.count;
      REQUIRE(found == expected);
      visited += static_cast<double>(found);
      ++tiles;
    }
    if (mask.natten_fully_block_sparse() && !mask.kv_padding()) {
      for (std::int64_t q = 0; q < mask.q_len(); q += volume(tile_q))
        for (const TileRun& run : mask.runs({q, q + volume(tile_q)}, volume(tile_kv))) REQUIRE_FALSE(run.partial);
    }
    REQUIRE(visit_counts(shape, tile_q, tile_kv, KvTiling::from_first_key).mean == Approx(visited / static_cast<double>(tiles)));
  }
}

TEST_CASE("GNA mask: the test by keys keeps the pairs of the definition") {
  std::mt19937 rng(15);
  int tested = 0;
  for (int i = 0; i < 400; ++i) {
    GnaShape shape = random_shape(rng);
    shape.extra_keys = 0;
    const TileShape tile_q = random_tile(rng, shape.axes.size());
    const TileShape tile_kv = random_tile(rng, shape.axes.size());
    const GnaTileMask mask(shape, tile_q, tile_kv);
    if (mask.natten_fully_block_sparse()) continue;
    const MaskTest test = mask.test_by_key();
    const auto class_of = [](const ir::RowOrder& order, std::int64_t place) {
      return place / order.tile_volume() / order.tiles_per_class();
    };
    for (std::int64_t q = 0; q < mask.q_len(); ++q) {
      for (std::int64_t k = 0; k < mask.kv_len(); ++k) {
        if (mask.q_order().row(q) == ir::RowOrder::kPadding || mask.kv_order().row(k) == ir::RowOrder::kPadding) continue;
        if (class_of(mask.q_order(), q) != class_of(mask.kv_order(), k)) continue;
        REQUIRE(holds(test, q, k) == keeps(shape, mask.q_order().row(q), mask.kv_order().row(k)));
      }
    }
    ++tested;
  }
  REQUIRE(tested > 300);
}

TEST_CASE("GNA mask: bounds of the paper's own simulator, end to end, where its table is at hand") {
  // Speedup of a whole model: attention is `share` of the time, the first dense_steps of `steps` keep dense attention.
  const auto end_to_end = [](double op, double share, double dense_steps, double steps) {
    const double sparse = 1 - share + share / op;
    return steps / (dense_steps + (steps - dense_steps) * sparse);
  };
  const auto file_at = [](const char* up) {
    return std::filesystem::path(ATTNSIM_SOURCE_DIR) / up / "shared" / "measurements" / "nattensim_published_bounds.csv";
  };
  std::ifstream file(std::filesystem::exists(file_at("..")) ? file_at("..") : file_at("../.."));
  std::string line;
  std::getline(file, line);
  const auto numbers = [](const std::string& field, char separator) {
    std::vector<std::int64_t> out;
    std::stringstream parts(field);
    for (std::string part; std::getline(parts, part, separator);) out.push_back(std::stoll(part));
    return out;
  };
  int rows = 0;
  while (std::getline(file, line)) {
    std::vector<std::string> f;
    std::stringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) f.push_back(field);
    CAPTURE(line);
    const auto layout = numbers(f.at(1), 'x');
    const auto window = numbers(f.at(2), 'x');
    const auto stride = numbers(f.at(3), 'x');
    GnaShape shape;
    for (std::size_t a = 0; a < layout.size(); ++a) shape.axes.push_back({layout[a], window[a], stride[a], 1, false});
    const TileShape q = numbers(f.at(4), 'x');
    const TileShape kv = numbers(f.at(5), 'x');
    const VisitCounts counts = visit_counts(shape, q, kv);
    const double most = static_cast<double>(counts.kv_tiles) / static_cast<double>(counts.most);
    const double mean = static_cast<double>(counts.kv_tiles) / counts.mean;
    REQUIRE(most == Approx(std::stod(f.at(10))).epsilon(1e-4));
    REQUIRE(mean == Approx(std::stod(f.at(11))).epsilon(1e-4));
    REQUIRE(std::abs(end_to_end(most, std::stod(f.at(16)), std::stod(f.at(14)), std::stod(f.at(15))) - std::stod(f.at(19))) <= 0.02);
    REQUIRE((f.at(13) == "True") == GnaTileMask(shape, q, kv).fully_block_sparse());
    ++rows;
  }
  if (rows > 0) REQUIRE(rows == 31);
}

TEST_CASE("GNA mask: tiles of published video and image models") {
  // KV tiles in all, most and mean per query tile of arXiv 2504.16922, Table 3 and Fig. 3, re-derived from the definition.
  struct Row {
    std::vector<std::int64_t> layout, window, stride;
    TileShape q, kv;
    std::int64_t total, most;
    double mean;
  };
  const std::vector<Row> rows{
      {{16, 44, 80}, {16, 32, 48}, {1, 1, 1}, {8, 4, 8}, {4, 4, 8}, 440, 252, 211.782},
      {{16, 44, 80}, {16, 32, 48}, {1, 8, 16}, {8, 4, 8}, {4, 4, 8}, 440, 192, 192.0},
      {{16, 44, 80}, {16, 24, 16}, {1, 1, 16}, {8, 4, 8}, {4, 4, 8}, 440, 56, 51.636},
      {{30, 48, 80}, {18, 24, 24}, {1, 1, 1}, {4, 8, 8}, {2, 8, 8}, 900, 275, 171.6},
      {{30, 48, 80}, {18, 24, 24}, {16, 8, 8}, {4, 8, 8}, {2, 8, 8}, 900, 81, 81.0},
      {{30, 48, 80}, {18, 24, 24}, {18, 24, 24}, {4, 8, 8}, {2, 8, 8}, 900, 135, 87.75},
  };
  for (const Row& row : rows) {
    GnaShape shape;
    for (std::size_t a = 0; a < row.layout.size(); ++a) shape.axes.push_back({row.layout[a], row.window[a], row.stride[a], 1, false});
    const VisitCounts counts = visit_counts(shape, row.q, row.kv);
    REQUIRE(counts.kv_tiles == row.total);
    REQUIRE(counts.most == row.most);
    REQUIRE(counts.mean == Approx(row.mean).epsilon(1e-5));
  }
}
