// SPDX-License-Identifier: Apache-2.0
// What the counting builds of the host kernels count, against hand counts of the same loops.
#include <catch2/catch.hpp>

#include "validation/bench/backend.h"

using namespace attnsim::bench;

namespace {

double counted(const std::string& kernel, const Shape& shape, const std::string& name) {
  std::string why_not;
  const auto backend = make_host_backend(1, why_not);
  TimingPolicy policy;
  policy.min_samples = policy.max_samples = 3;
  policy.seconds = 0;
  for (const auto& counter : backend->time(kernel, shape, policy).counters)
    if (counter.name == name) return counter.value;
  FAIL("no counter " << name);
  return 0;
}

Shape shape_of(std::int64_t q_len, std::int64_t kv_len, const std::string& mask) {
  Shape s;
  s.q_heads = s.kv_heads = 2;
  s.q_len = q_len;
  s.kv_len = kv_len;
  s.head_dim = 64;
  s.dtype = "f32";
  s.mask = mask;
  return s;
}

}  // namespace

TEST_CASE("prefill counts tiles of 96 x 128 and what they multiply and load") {
  const Shape s = shape_of(192, 256, "dense");
  CHECK(counted("host-fa", s, "kv_tiles") == 2 * 2 * 2);  // heads x query tiles x KV tiles
  CHECK(counted("host-fa", s, "tensor_flops") == 2 * 4.0 * 192 * 256 * 64);
  CHECK(counted("host-fa", s, "exp_count") == 2 * 192.0 * 256);
  CHECK(counted("host-fa", s, "l2_bytes") == 2 * 4.0 * 64 * (2 * 192 + 2 * 2 * 256));  // Q, O; K and V once per query tile
  // Queries 0 to 95 see one tile, queries 96 to 191 two.
  CHECK(counted("host-fa", shape_of(192, 192, "causal"), "kv_tiles") == 2 * 3);
}

TEST_CASE("decode counts steps of 64 keys of heads that share them") {
  Shape s = shape_of(1, 200, "dense");
  s.q_heads = 4;
  CHECK(counted("host-decode", s, "kv_tiles") == 2 * 4);  // KV heads x ceil(200 / 64)
  CHECK(counted("host-decode", s, "tensor_flops") == 4 * 4.0 * 200 * 64);
  CHECK(counted("host-decode", s, "exp_count") == 2 * 4 * 2.0 * 64);
  CHECK(counted("host-decode", s, "l2_bytes") == 4.0 * 64 * (2 * 4 + 2 * 2 * 200));
}
