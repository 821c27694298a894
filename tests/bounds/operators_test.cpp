// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <tuple>

#include "hwmodels/chip_loader.h"
#include "sim/bounds/bounds.h"
#include "tests/support/operator_shape.h"
#include "workloads/catalog.h"
#include "workloads/families/gemm.h"
#include "workloads/lower.h"

using namespace attnsim;
using test::shape;

namespace {

Bounds bounds_of(const char* variant_name, const Problem& p, const Chip& chip) {
  const Variant& v = variant(variant_name);
  return compute_bounds(lower(v, p, default_schedule(v, p, chip), chip), chip, Conditions{});
}

}  // namespace

// Panels are of equal width, so that up to one column less than there are panels is counted too many.
TEST_CASE("a matrix product counts 2 m n k FLOPs and moves each matrix once, whatever the chip's tiles and splits") {
  const std::pair<const char*, const char*> kChips[] = {
      {"a100-sxm-80gb", "gemm-sm80"}, {"h100-sxm", "gemm-sm90"}, {"l40s", "gemm-sm80"}, {"b200", "gemm-sm100"}};
  for (const auto& [chip_name, schedule_name] : kChips) {
    const Chip chip = load_chip(chip_name);
    for (const Problem& p : {shape(1, 64, 128), shape(17, 4096, 8192), shape(2049, 3072, 768), shape(4096, 4096, 4096)}) {
      INFO(chip_name << " m " << p.m << " n " << p.n << " k " << p.k);
      const Bounds bounds = bounds_of("gemm", p, chip);
      const GemmPlan plan = choose_gemm(p, load_schedule(schedule_name), chip);
      CHECK(plan.m == (plan.transposed ? p.n : p.m));
      CHECK(plan.panels * plan.width - (plan.transposed ? p.m : p.n) < plan.panels);
      const auto m = static_cast<double>(plan.m);
      const auto n = static_cast<double>(plan.panels * plan.width);
      const auto k = static_cast<double>(p.k);
      CHECK(bounds.counts.useful_tensor_flops == Approx(2 * m * n * k));
      CHECK(bounds.counts.hbm_bytes == Approx(2 * (m * k + k * n + m * n)));
    }
  }
}

TEST_CASE("softmax and layer norm read and write each element once at least and softmax takes one exponential per element") {
  const Chip chip = load_chip("a100-sxm-80gb");
  for (const std::int64_t columns : {128, 1024, 4096}) {
    for (const char* name : {"softmax", "layernorm"}) {
      INFO(name << " of " << columns << " columns");
      CHECK(bounds_of(name, shape(64, columns), chip).counts.hbm_bytes == Approx(2.0 * 2 * 64 * static_cast<double>(columns)));
    }
  }
}

TEST_CASE("products with few tiles and a long k are split, large ones are not") {
  const Chip chip = load_chip("h100-sxm");
  const Schedule schedule = load_schedule("gemm-sm90");
  CHECK(choose_gemm(shape(16, 256, 16384), schedule, chip).splits > 1);
  CHECK(choose_gemm(shape(8192, 8192, 8192), schedule, chip).splits == 1);
  const GemmPlan large = choose_gemm(shape(8192, 8192, 8192), schedule, chip);
  CHECK(large.tile.tile_m * large.tile.tile_n == 128 * 256);
  CHECK(large.cluster == 2);
}

TEST_CASE("a tile may be for products of some numbers of rows and columns only, and for transposed ones") {
  // vLLM's dispatch on Hopper: up to 16 rows, up to 64 by columns, up to 128, above.
  const Chip chip = load_chip("h100-sxm");
  const Schedule schedule = load_schedule("gemm-f8-vllm-sm90");
  const auto chosen = [&](std::int64_t m, std::int64_t n) {
    Problem p = shape(m, n, 4096);
    p.dtype = ir::DType::f8;
    return choose_gemm(p, schedule, chip);
  };
  const auto tile = [](const GemmPlan& plan) { return std::tuple(plan.tile.tile_m, plan.tile.tile_n, plan.transposed, plan.splits); };
  CHECK(tile(chosen(16, 8192)) == std::tuple(64, 16, true, 1));
  CHECK(tile(chosen(17, 8192)) == std::tuple(64, 64, true, 1));
  CHECK(tile(chosen(64, 1281)) == std::tuple(64, 64, true, 1));
  CHECK(tile(chosen(64, 1280)) == std::tuple(64, 16, true, 1));
  CHECK(tile(chosen(65, 8192)) == std::tuple(64, 128, false, 1));
  CHECK(tile(chosen(128, 8192)) == std::tuple(64, 128, false, 1));
  CHECK(tile(chosen(129, 8192)) == std::tuple(128, 128, false, 1));
}

TEST_CASE("a cluster along m takes neighbouring row tiles of one panel") {
  const Chip chip = load_chip("h100-sxm");
  Schedule schedule = load_schedule("gemm-sm90");
  schedule.gemm.tiles = {schedule.gemm.tiles.front()};
  const Problem p = shape(1024, 4096, 256);
  const ir::Pipeline pipeline = lower(variant("gemm"), p, schedule, chip);
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().front().work);
  REQUIRE(kernel.grid.cluster == 2);
  const ir::ItemSequence items(kernel);
  std::vector<char> seen(static_cast<std::size_t>(items.size()), 0);
  for (std::int64_t i = 0; i < items.size(); i += 2) {
    const ir::Item first = items.at(i);
    const ir::Item second = items.at(i + 1);
    CHECK(first.slab == second.slab);
    CHECK(second.tile->row_begin == first.tile->row_begin + 128);
    for (const ir::Item& item : {first, second}) {
      const std::int64_t place = item.slab * 8 + item.tile->row_begin / 128;
      CHECK(seen.at(static_cast<std::size_t>(place)) == 0);
      seen[static_cast<std::size_t>(place)] = 1;
    }
  }
  CHECK(std::count(seen.begin(), seen.end(), 1) == items.size());
}
