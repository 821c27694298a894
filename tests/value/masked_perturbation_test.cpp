// SPDX-License-Identifier: Apache-2.0
// Kernels of masks that are no bands, with one thing wrong: values must tell. Their right values stand in masked_variants_test.cpp.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "sim/value/value_run.h"
#include "tests/support/chips.h"
#include "tests/support/mutate.h"
#include "tests/value/lowered_attention.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

struct MaskedKernel {
  std::string name;
  Params params;
};

const std::vector<MaskedKernel>& masked_kernels() {
  static const std::vector<MaskedKernel> list{
      {"attention-sinks", {{"sinks", std::int64_t{5}}, {"window", std::int64_t{40}}}},
      {"dilated-window", {{"keys", std::int64_t{20}}, {"dilation", std::int64_t{3}}}},
      {"global-window", {{"global", std::int64_t{9}}, {"window", std::int64_t{70}}}},
      {"power-attention", {{"block", std::int64_t{20}}, {"window", std::int64_t{2}}}},
      {"s2-attention", {{"block", std::int64_t{20}}, {"local", std::int64_t{2}}, {"stride", std::int64_t{4}}}},
      {"moa", {{"rules", std::string("0+1/8, 0+1/2")}, {"sink", std::int64_t{7}}}}};
  return list;
}

ir::Pipeline lowered_masked(const MaskedKernel& k) {
  const Problem p = test::problem(1, 2, 2, {300}, {300}, 64, k.params);
  return lower(variant(k.name), p, load_schedule("fa3-sm90"), test::h100());
}

// O under inputs that depend on the tensor alone; empty when the run fails.
std::vector<double> output_of_masked(const ir::Pipeline& pipeline, std::uint64_t seed) {
  std::vector<value::TensorData> inputs;
  std::size_t o = 0;
  for (std::size_t t = 0; t < pipeline.tensors().size(); ++t) {
    const ir::Tensor& tensor = pipeline.tensors()[t];
    if (tensor.name == "o") o = t;
    if (tensor.role != ir::TensorRole::input) continue;
    value::TensorData data(tensor.slabs, tensor.rows, tensor.cols);
    std::mt19937 rng(static_cast<unsigned>(t));
    for (double& x : data.values) x = static_cast<double>(rng() % 2001) / 1000.0 - 1.0;
    inputs.push_back(std::move(data));
  }
  value::ValueRun run(pipeline, std::move(inputs));
  run.run_random({.seed = seed});
  return run.tensor(static_cast<ir::TensorId>(o)).values;
}

bool differ(const std::vector<double>& a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= 1e-9)) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("any comparison of a mask test that is widened changes values", "[masks]") {
  for (const MaskedKernel& k : masked_kernels()) {
    const ir::Pipeline good = lowered_masked(k);
    const auto wanted = output_of_masked(good, 1);
    CHECK_FALSE(differ(output_of_masked(good, 2), wanted));
    const auto masks = test::ops_where(good, [](const ir::Program&, const ir::Op& op) {
      return op.role == "mask" && (op.kind == ir::OpKind::compare || op.kind == ir::OpKind::iota);
    });
    REQUIRE_FALSE(masks.empty());
    bool noticed = false;
    for (const test::OpAt& at : masks) {
      const auto bad = test::with_op(good, at, [](auto& ops, std::size_t i) { ops[i].relation.offset += 7; });
      noticed = noticed || differ(output_of_masked(bad, 1), wanted);
    }
    INFO(k.name);
    CHECK(noticed);
  }
}

TEST_CASE("a mask test that is left out changes values", "[masks]") {
  for (const MaskedKernel& k : masked_kernels()) {
    const ir::Pipeline good = lowered_masked(k);
    const auto wanted = output_of_masked(good, 1);
    const auto selects = test::ops_where(good, [](const ir::Program&, const ir::Op& op) { return op.kind == ir::OpKind::select; });
    REQUIRE_FALSE(selects.empty());
    INFO(k.name);
    bool noticed = false;  // of the first; the last tests the end of the keys, behind which the interpreter holds nothing
    try {
      noticed = differ(output_of_masked(test::with_op(good, selects.front(), test::erase_op), 1), wanted);
    } catch (const std::exception&) {
      noticed = true;
    }
    CHECK(noticed);
  }
}

TEST_CASE("a KV tile swapped for its neighbour, or dropped, changes values", "[masks]") {
  for (const MaskedKernel& k : masked_kernels()) {
    const ir::Pipeline good = lowered_masked(k);
    const auto wanted = output_of_masked(good, 1);
    for (const bool drop : {false, true}) {
      bool done = false;
      const auto bad = test::rebuilt(good, [&](ir::Kernel& kernel) {
        ir::RowTile& tile = kernel.families.front().tiles.back();
        if (done || tile.runs.empty()) return;
        done = true;
        if (drop) {
          tile.runs.front().count = 0;
        } else {
          ir::TripRun& run = tile.runs.front();
          run.first += run.first > 0 ? -1 : 1;
        }
      });
      INFO(k.name << (drop ? ", dropped" : ", swapped"));
      bool noticed = !done;
      try {
        noticed = noticed || differ(output_of_masked(bad, 1), wanted);
      } catch (const std::exception&) {
        noticed = true;
      }
      CHECK(noticed);
    }
  }
}
