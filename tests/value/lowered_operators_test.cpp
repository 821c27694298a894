// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/value/value_run.h"
#include "tests/support/operator_shape.h"
#include "tests/support/value_checks.h"
#include "workloads/catalog.h"
#include "workloads/families/gemm.h"
#include "workloads/lower.h"
#include "workloads/reference/operators.h"

using namespace attnsim;
using test::shape;

namespace {

std::vector<double> random_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  value::CounterRng rng(seed);
  std::vector<double> values(static_cast<std::size_t>(rows * cols));
  for (double& x : values) x = rng.symmetric() * 2;
  return values;
}

// A row-major matrix in panels of columns: slab s holds columns [s * cols, ...).
value::TensorData in_panels(const ir::Tensor& t, const std::vector<double>& matrix, std::int64_t cols) {
  value::TensorData data(t.slabs, t.rows, t.cols, 0.0);
  for (std::int64_t i = 0; i < t.rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) data.at(j / t.cols, i, j % t.cols) = matrix[static_cast<std::size_t>(i * cols + j)];
  }
  return data;
}

std::vector<double> from_panels(const ir::Tensor& t, const value::TensorData& data, std::int64_t cols) {
  std::vector<double> matrix(static_cast<std::size_t>(t.rows * cols));
  for (std::int64_t i = 0; i < t.rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) matrix[static_cast<std::size_t>(i * cols + j)] = data.at(j / t.cols, i, j % t.cols);
  }
  return matrix;
}

std::vector<double> transposed(const std::vector<double>& matrix, std::int64_t rows, std::int64_t cols) {
  std::vector<double> out(matrix.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) out[static_cast<std::size_t>(j * rows + i)] = matrix[static_cast<std::size_t>(i * cols + j)];
  }
  return out;
}

ir::TensorId output_of(const ir::Pipeline& pipeline) {
  for (std::size_t i = 0; i < pipeline.tensors().size(); ++i) {
    if (pipeline.tensors()[i].role == ir::TensorRole::output) return static_cast<ir::TensorId>(i);
  }
  FAIL("no output");
  return ir::kNone;
}

Schedule only_tile(const std::string& name, std::size_t tile, int splits) {
  Schedule schedule = load_schedule(name);
  schedule.gemm.tiles = {schedule.gemm.tiles.at(tile)};
  schedule.gemm.splits = {splits};
  return schedule;
}

double gemm_error(const Problem& p, const Schedule& schedule, const Chip& chip, std::uint64_t seed) {
  const ir::Pipeline pipeline = lower(variant("gemm"), p, schedule, chip);
  const std::vector<double> a = random_matrix(p.m, p.k, seed);
  const std::vector<double> b = random_matrix(p.k, p.n, seed + 1);
  const bool swapped = pipeline.tensors()[0].name == "b_transposed";
  const std::vector<double> first = swapped ? transposed(b, p.k, p.n) : a;
  const std::vector<double> second = swapped ? transposed(a, p.m, p.k) : b;
  value::ValueRun run(pipeline,
                      {in_panels(pipeline.tensors()[0], first, p.k), in_panels(pipeline.tensors()[1], second, swapped ? p.m : p.n)});
  run.run_random({.seed = seed});
  const ir::TensorId c = output_of(pipeline);
  std::vector<double> got = from_panels(pipeline.tensors()[static_cast<std::size_t>(c)], run.tensor(c), swapped ? p.m : p.n);
  if (swapped) got = transposed(got, p.n, p.m);
  return test::largest_row_error(got, reference::gemm(a, b, p.m, p.n, p.k), p.n);
}

}  // namespace

TEST_CASE("every GEMM tile of every schedule computes the product, with and without splits of k", "[value]") {
  const std::pair<const char*, const char*> kSchedules[] = {
      {"gemm-sm80", "a100-sxm-80gb"}, {"gemm-sm90", "h100-sxm"}, {"gemm-sm100", "b200"}};
  for (const auto& [name, chip_name] : kSchedules) {
    const Chip chip = load_chip(chip_name);
    const std::size_t tiles = load_schedule(name).gemm.tiles.size();
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      for (const int splits : {1, 3}) {
        const Schedule schedule = only_tile(name, tile, splits);
        const GemmTile& t = schedule.gemm.tiles.front();
        // Two row tiles, the last of them ragged; two panels; a last k tile that is not full.
        const Problem p = shape(2 * t.tile_m - 5, 2 * t.tile_n, 3 * t.tile_k + 8);
        INFO(name << " tile " << t.tile_m << "x" << t.tile_n << "x" << t.tile_k << " splits " << splits);
        CHECK(gemm_error(p, schedule, chip, 11 + tile) < 1e-9);
      }
    }
  }
}

TEST_CASE("a transposed product has the columns of few rows and computes the same", "[value]") {
  const Schedule schedule = load_schedule("gemm-sm100");
  const Chip chip = load_chip("b200");
  const Problem few = shape(24, 148 * 128, 64);
  CHECK(choose_gemm(few, schedule, chip).transposed);
  CHECK(gemm_error(few, schedule, chip, 7) < 1e-9);
}

TEST_CASE("columns that no tile divides are spread over panels of equal width", "[value]") {
  const Schedule schedule = only_tile("gemm-sm80", 4, 1);
  CHECK(gemm_error(shape(70, 200, 64), schedule, load_chip("a100-sxm-80gb"), 3) < 1e-9);
}

TEST_CASE("softmax and layer norm agree with their definitions for kept and for repeated rows", "[value]") {
  const Chip chip = load_chip("a100-sxm-80gb");
  for (const char* name : {"softmax", "layernorm"}) {
    const Schedule schedule = load_schedule(std::string(name) + "-pytorch");
    for (const std::int64_t columns : {32, 300, 1024, 1030, 5000}) {
      const Problem p = shape(5, columns);
      const ir::Pipeline pipeline = lower(variant(name), p, schedule, chip);
      const std::vector<double> x = random_matrix(p.m, p.n, static_cast<std::uint64_t>(columns));
      value::ValueRun run(pipeline, {in_panels(pipeline.tensors()[0], x, p.n)});
      run.run_random({.seed = 5});
      const ir::TensorId y = output_of(pipeline);
      const std::vector<double> got = from_panels(pipeline.tensors()[static_cast<std::size_t>(y)], run.tensor(y), p.n);
      const std::vector<double> wanted =
          std::string(name) == "softmax" ? reference::softmax(x, p.m, p.n) : reference::layernorm(x, p.m, p.n);
      INFO(name << " of " << columns << " columns");
      CHECK(test::largest_row_error(got, wanted, p.n) < 1e-9);
    }
  }
}
