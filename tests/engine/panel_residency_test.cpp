// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/panel_residency.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

#include "hwmodels/chip_loader.h"
#include "tests/support/operator_shape.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using test::shape;

namespace {

constexpr double kAmple = 1e12;

double total_of(const std::vector<double>& by_tensor) {
  return std::accumulate(by_tensor.begin(), by_tensor.end(), 0.0);
}

}  // namespace

TEST_CASE("an ample L2 fetches each matrix of a product once") {
  const Chip chip = load_chip("a100-sxm-80gb");
  Schedule schedule = load_schedule("gemm-sm80");
  schedule.gemm.tiles = {schedule.gemm.tiles.at(1)};  // 128 x 256
  const ir::Pipeline pipeline = lower(variant("gemm"), shape(1024, 2048, 512), schedule, chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  REQUIRE(walks_panels(kernel));
  const PanelTraffic traffic = panel_traffic(kernel, pipeline.tensors(), 8, kAmple);
  CHECK(total_of(traffic.loaded) == Approx(2.0 * (1024.0 * 512 * 8 + 512.0 * 2048 * 8)));  // A once per panel, B once per row tile
  CHECK(total_of(traffic.fetched) == Approx(2.0 * (1024.0 * 512 + 512.0 * 2048)));
  CHECK(traffic.stored == Approx(2.0 * 1024 * 2048));
}

TEST_CASE("without L2, what the items of one wave share is still fetched once a wave") {
  const Chip chip = load_chip("a100-sxm-80gb");
  Schedule schedule = load_schedule("gemm-sm80");
  schedule.gemm.tiles = {schedule.gemm.tiles.at(1)};
  const ir::Pipeline pipeline = lower(variant("gemm"), shape(1024, 2048, 512), schedule, chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  // 8 panels stand next to each other: a wave of 8 is one row tile by all panels.
  const PanelTraffic traffic = panel_traffic(kernel, pipeline.tensors(), 8, 0);
  CHECK(total_of(traffic.fetched) == Approx(2.0 * (1024.0 * 512 + 512.0 * 2048 * 8)));
}

TEST_CASE("a second pass over a row comes from L2 while the rows in flight fit, else from memory") {
  const Chip chip = load_chip("a100-sxm-80gb");
  const ir::Pipeline pipeline = lower(variant("layernorm"), shape(64, 4096), load_schedule("layernorm-pytorch"), chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  const double matrix = 2.0 * 64 * 4096;
  const double in_flight = 2.0 * 16 * 4096;
  CHECK(total_of(panel_traffic(kernel, pipeline.tensors(), 16, in_flight).fetched) == Approx(matrix));
  CHECK(total_of(panel_traffic(kernel, pipeline.tensors(), 16, in_flight - 1).fetched) == Approx(2 * matrix));
}

TEST_CASE("rows that an item reads in every trip come from memory once") {
  Problem problem;
  problem.batch = 2;
  problem.q_heads = problem.kv_heads = 3;
  problem.q_len = {1024};
  problem.kv_len = {2048};
  problem.head_dim_qk = problem.head_dim_v = 64;
  const ir::Pipeline pipeline = lower(variant("dense"), problem, load_schedule("naive-unfused"), load_chip("a100-sxm-80gb"));
  const auto& scores = std::get<ir::Kernel>(pipeline.nodes().front().work);
  REQUIRE(walks_panels(scores));
  const PanelTraffic traffic = panel_traffic(scores, pipeline.tensors(), 108, kAmple);
  CHECK(traffic.fetched[0] == Approx(2.0 * 6 * 1024 * 64));  // q
  CHECK(traffic.fetched[1] == Approx(2.0 * 6 * 2048 * 64));  // k
  CHECK(traffic.loaded[0] > 2 * traffic.fetched[0]);
}
