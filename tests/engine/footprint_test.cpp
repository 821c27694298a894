// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/footprint.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

// Bytes that split decode of one token over 32768 keys touches: 8 heads of K and V, head_dim 64, f32.
double touched(const std::string& variant_name, const Params& params, bool all_tensors = false) {
  Problem p;
  p.q_heads = p.kv_heads = 8;
  p.q_len = {1};
  p.kv_len = {32768};
  p.head_dim_qk = p.head_dim_v = 64;
  p.dtype = ir::DType::f32;
  p.params = params;
  const ir::Pipeline pipeline = lower(variant(variant_name), p, load_schedule("host-decode"), load_chip("host"));
  std::vector<const ir::Kernel*> kernels;
  for (const ir::Node& node : pipeline.nodes())
    if (const auto* kernel = std::get_if<ir::Kernel>(&node.work); kernel != nullptr && !all_tensors) kernels.push_back(kernel);
  return touched_bytes(kernels, pipeline.tensors());
}

constexpr double kRowBytes = 2.0 * 8 * 64 * 4;  // a key's K and V of all heads

}  // namespace

TEST_CASE("a window over a long cache touches the keys of its tiles alone") {
  const double window =
      touched("sliding-window", {{"left", std::int64_t{1023}}, {"right", std::int64_t{0}}, {"alignment", "bottom-right"}});
  CHECK(window >= 1024 * kRowBytes);
  CHECK(window <= (1024 + 2 * 64) * kRowBytes + 64e3);  // whole tiles of 64; Q, O and the log-sum-exp
}

TEST_CASE("without a mask all keys are touched, and a tensor that no kernel walks counts whole") {
  CHECK(touched("dense", {}) >= 32768 * kRowBytes);
  CHECK(touched("dense", {}) == touched("dense", {}, true));
}
