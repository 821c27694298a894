// SPDX-License-Identifier: Apache-2.0
// Query tiles with KV tiles of their own, from their first key on: how many they visit, and what they find in L2.
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/engine/engine.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"
#include "workloads/masks/gna.h"

using namespace attnsim;

namespace {

struct Layout {
  std::vector<GnaAxis> axes;
  TileShape q, kv;  // of natten-fna-sm80
};

std::string joined(const Layout& layout, std::int64_t GnaAxis::*what) {
  std::string text;
  for (const GnaAxis& axis : layout.axes) text += (text.empty() ? "" : "x") + std::to_string(axis.*what);
  return text;
}

ir::Pipeline lowered(const Layout& layout, std::int64_t heads, const Chip& chip) {
  Problem problem;
  problem.batch = 1;
  problem.q_heads = problem.kv_heads = heads;
  problem.q_len = problem.kv_len = {GnaShape{layout.axes}.tokens()};
  problem.head_dim_qk = problem.head_dim_v = 64;
  problem.params = {{"layout", joined(layout, &GnaAxis::length)},
                    {"window", joined(layout, &GnaAxis::window)},
                    {"stride", joined(layout, &GnaAxis::stride)},
                    {"dilation", joined(layout, &GnaAxis::dilation)}};
  return lower(variant("gna"), problem, load_schedule("natten-fna-sm80"), chip);
}

const std::vector<Layout> kLayouts{
    {{{4096, 700, 1, 1, false}}, {64}, {64}},
    {{{4000, 300, 16, 3, false}}, {64}, {64}},
    {{{64, 21, 1, 1, false}, {48, 18, 4, 1, false}}, {8, 8}, {8, 8}},
    {{{16, 9, 1, 1, false}, {24, 10, 1, 2, false}, {20, 7, 2, 1, false}}, {4, 4, 4}, {4, 4, 4}},
};

std::int64_t tiles_by_axes(const Layout& layout) {
  const GnaShape shape{layout.axes};
  std::int64_t tiles = 0;
  for (std::int64_t c = 0; c < shape.classes(); ++c) {
    std::int64_t of_class = 1;
    const std::vector<AxisClass> axes = shape.class_axes(c);
    for (std::size_t a = 0; a < axes.size(); ++a) {
      const std::int64_t longest = axis_class(layout.axes[a], 0).tokens;  // shorter classes are padded to it
      std::int64_t of_axis = 0;
      for (std::int64_t q = 0; q < longest; q += layout.q[a]) of_axis += dynamic_tiles(axes[a], {q, q + layout.q[a]}, layout.kv[a]);
      of_class *= of_axis;
    }
    tiles += of_class;
  }
  return tiles;
}

}  // namespace

TEST_CASE("own KV tiles: an item visits the product of its axes' tiles, never more than on a grid") {
  for (const Layout& layout : kLayouts) {
    const ir::Pipeline pipeline = lowered(layout, 1, load_chip("a100-sxm-80gb"));
    const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
    std::int64_t trips = 0;
    for (const ir::RowTile& tile : kernel.families.front().tiles) trips += tile.trips();
    CHECK(trips == tiles_by_axes(layout));
    const GnaShape shape{layout.axes};
    const VisitCounts own = visit_counts(shape, layout.q, layout.kv, KvTiling::from_first_key);
    const VisitCounts grid = visit_counts(shape, layout.q, layout.kv);
    CHECK(own.mean <= grid.mean);
    CHECK(own.most <= grid.most);
  }
}

TEST_CASE("own KV tiles: fast agrees with detailed, and query tiles find what their neighbours fetched") {
  Chip chip = load_chip("a100-sxm-80gb");
  for (const std::int64_t heads : {1, 8}) {
    for (const Layout& layout : kLayouts) {
      CAPTURE(heads, joined(layout, &GnaAxis::length));
      const ir::Pipeline pipeline = lowered(layout, heads, chip);
      const Simulation fast = simulate(pipeline, chip, {}, {.kind = EngineKind::fast});
      const Simulation detailed = simulate(pipeline, chip, {}, {.kind = EngineKind::detailed});
      CHECK(fast.kernels.front().time_us == Approx(detailed.kernels.front().time_us).epsilon(0.05));
      // K and V once, whatever overlaps; Q, too.
      double inputs = 0;
      for (const ir::Tensor& t : pipeline.tensors())
        if (t.role == ir::TensorRole::input) inputs += static_cast<double>(t.bytes().count());
      CHECK(detailed.kernels.front().counts.hbm_bytes < 3 * inputs);
    }
  }
}
