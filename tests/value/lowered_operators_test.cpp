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
  const ir::TensorId c = test::output_of(pipeline);
  std::vector<double> got = from_panels(pipeline.tensors()[static_cast<std::size_t>(c)], run.tensor(c), swapped ? p.m : p.n);
  if (swapped) got = transposed(got, p.n, p.m);
  return test::largest_row_error(got, reference::gemm(a, b, p.m, p.n, p.k), p.n);
}

}  // namespace

TEST_CASE("every GEMM tile of every schedule computes the product, with and without splits of k", "[value]") {
  const std::pair<const char*, const char*> kSchedules[] = {
      {"gemm-sm80", "a100-sxm-80gb"}, {"gemm-sm90", "h100-sxm"},  {"gemm-sm100", "b200"},        {"gemm-f8-sm89", "l40s"},
      {"gemm-f8-sm90", "h100-sxm"},   {"gemm-f8-sm100", "b200"},  {"gemm-f8-vllm-sm89", "l40s"}, {"gemm-f8-vllm-sm90", "h100-sxm"},
      {"gemm-f8-vllm-sm100", "b200"}, {"gemm-xe2", "arc-pro-b60"}};
  for (const auto& [name, chip_name] : kSchedules) {
    const Chip chip = load_chip(chip_name);
    const std::size_t tiles = load_schedule(name).gemm.tiles.size();
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      for (const int splits : {1, 3}) {
        Schedule schedule = only_tile(name, tile, splits);
        GemmTile& t = schedule.gemm.tiles.front();
        t.rows_min = t.rows_max = t.columns_min = t.columns_max = 0;
        // Two row tiles, the last of them ragged; two panels; a last k tile that is not full.
        Problem p = t.transposed ? shape(2 * t.tile_n, 2 * t.tile_m - 5, 3 * t.tile_k + 8)
                                 : shape(2 * t.tile_m - 5, 2 * t.tile_n, 3 * t.tile_k + 8);
        if (schedule.dtypes == std::vector<std::string>{"f8"}) p.dtype = ir::DType::f8;
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
      const ir::TensorId y = test::output_of(pipeline);
      const std::vector<double> got = from_panels(pipeline.tensors()[static_cast<std::size_t>(y)], run.tensor(y), p.n);
      const std::vector<double> wanted =
          std::string(name) == "softmax" ? reference::softmax(x, p.m, p.n) : reference::layernorm(x, p.m, p.n);
      INFO(name << " of " << columns << " columns");
      CHECK(test::largest_row_error(got, wanted, p.n) < 1e-9);
    }
  }
}

TEST_CASE("an 8-bit product may bring its activations from 16 bits first, each way by its own scale", "[value]") {
  constexpr double kLargest8Bit = 448;
  Schedule schedule = load_schedule("gemm-f8-sm90");
  schedule.gemm.transposes = false;  // A is A
  const Chip chip = load_chip("h100-sxm");
  for (const char* how : {"none", "static", "token", "tensor"}) {
    INFO(how);
    Problem p = shape(70, 256, 4096 + 256);
    p.dtype = ir::DType::f8;
    p.params["quantize"] = std::string(how);
    const ir::Pipeline pipeline = lower(variant("gemm"), p, schedule, chip);
    const bool quantizes = std::string(how) != "none";
    std::vector<std::string> kernels;
    for (const ir::Node& node : pipeline.nodes()) kernels.push_back(node.name());
    CHECK(kernels.size() == (how == std::string("tensor") ? 3 : quantizes ? 2 : 1));

    const std::vector<double> a = random_matrix(p.m, p.k, 1);
    const std::vector<double> b = random_matrix(p.k, p.n, 2);
    std::vector<double> x = random_matrix(p.m, p.k, 3);
    for (std::int64_t j = 0; j < p.k; ++j) x[static_cast<std::size_t>(3 * p.k + j)] = 0;  // a row without a largest element
    std::vector<value::TensorData> inputs;
    for (const ir::Tensor& t : pipeline.tensors()) {
      if (t.role == ir::TensorRole::input)
        inputs.push_back(in_panels(t, t.name == "a" ? a : t.name == "b" ? b : x, t.name == "b" ? p.n : p.k));
    }
    value::ValueRun run(pipeline, std::move(inputs));
    run.run_random({.seed = 5});
    const auto named = [&](const std::string& name) {
      for (std::size_t i = 0; i < pipeline.tensors().size(); ++i) {
        if (pipeline.tensors()[i].name == name) return static_cast<ir::TensorId>(i);
      }
      return ir::kNone;
    };
    const ir::TensorId c = named("c");
    CHECK(pipeline.tensors()[static_cast<std::size_t>(c)].dtype == ir::DType::bf16);
    CHECK(test::largest_row_error(from_panels(pipeline.tensors()[static_cast<std::size_t>(c)], run.tensor(c), p.n),
                                  reference::gemm(a, b, p.m, p.n, p.k), p.n) < 1e-9);
    if (!quantizes) continue;
    const ir::TensorId q = named("quantized");
    const std::vector<double> got = from_panels(pipeline.tensors()[static_cast<std::size_t>(q)], run.tensor(q), p.k);
    for (std::int64_t i = 0; i < p.m; ++i) {
      double largest = 0;
      for (std::int64_t j = 0; j < p.k; ++j) largest = std::max(largest, std::abs(x[static_cast<std::size_t>(i * p.k + j)]));
      const double scale = how == std::string("token") ? std::max(largest / kLargest8Bit, 1 / (kLargest8Bit * 512)) : 1;
      double error = 0;
      for (std::int64_t j = 0; j < p.k; ++j) {
        const auto at = static_cast<std::size_t>(i * p.k + j);
        error = std::max(error, std::abs(got[at] - x[at] / scale));
      }
      CHECK(error < 1e-9);
      if (how == std::string("token")) CHECK(run.tensor(named("scales")).at(0, i, 0) == Approx(scale));
      if (how == std::string("tensor")) CHECK(run.tensor(named("largest")).at(0, i, 0) == Approx(largest));
    }
  }
}

TEST_CASE("only 8-bit products quantise, by schedules that are compiled for them", "[value]") {
  const Chip chip = load_chip("h100-sxm");
  Problem p = shape(64, 64, 128);
  p.params["quantize"] = std::string("token");
  CHECK_THROWS_WITH(lower(variant("gemm"), p, load_schedule("gemm-sm90"), chip), Catch::Contains("quantize") && Catch::Contains("8-bit"));
  p.params["quantize"] = std::string("none");
  p.dtype = ir::DType::f8;
  CHECK_THROWS_WITH(lower(variant("gemm"), p, load_schedule("gemm-sm90"), chip), Catch::Contains("f8") && Catch::Contains("bf16"));
  CHECK(default_schedule(variant("gemm"), p, chip).name == "gemm-f8-sm90");
}
