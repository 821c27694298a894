// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/value/keeps.h"
#include "workloads/reference/attention.h"

using namespace attnsim::reference;
using attnsim::test::kAll;
using attnsim::test::kCausal;

namespace {

AttentionInputs zero_inputs(std::int64_t q_len, std::int64_t kv_len, std::int64_t d) {
  AttentionInputs in;
  in.q_heads = 4;
  in.kv_heads = 2;
  in.q_len = {q_len};
  in.kv_len = {kv_len};
  in.max_q_len = q_len;
  in.max_kv_len = kv_len;
  in.head_dim_qk = in.head_dim_v = d;
  in.q.assign(static_cast<std::size_t>(4 * q_len * d), 0.0);
  in.k.assign(static_cast<std::size_t>(2 * kv_len * d), 0.0);
  in.v.assign(static_cast<std::size_t>(2 * kv_len * d), 0.0);
  return in;
}

const Keep kNothing = [](std::int64_t, std::int64_t, std::int64_t, std::int64_t) { return false; };

}  // namespace

TEST_CASE("equal scores give the mean of the kept values and log2 of their count", "[value]") {
  AttentionInputs in = zero_inputs(6, 6, 1);
  for (std::int64_t k = 0; k < 6; ++k) {
    in.v[static_cast<std::size_t>(k)] = static_cast<double>(k);           // KV head 0, of q_heads 0 and 1
    in.v[static_cast<std::size_t>(6 + k)] = 10 + static_cast<double>(k);  // KV head 1, of q_heads 2 and 3
  }
  const AttentionOutputs out = attention(in, kCausal);
  for (std::int64_t h = 0; h < 4; ++h) {
    for (std::int64_t q = 0; q < 6; ++q) {
      const auto row = static_cast<std::size_t>(h * 6 + q);
      CHECK(out.o[row] == Approx(static_cast<double>(q) / 2 + (h < 2 ? 0 : 10)));
      CHECK(out.lse_log2[row] == Approx(std::log2(static_cast<double>(q + 1))).margin(1e-15));
    }
  }
}

TEST_CASE("scores are scaled by one over the root of head_dim", "[value]") {
  AttentionInputs in = zero_inputs(1, 2, 4);
  for (double& x : in.q) x = 1;
  for (std::size_t i = 0; i < 4; ++i) in.k[i] = 1;  // key 0 of KV head 0 scores 4 / sqrt(4) = 2, key 1 scores 0
  in.v[0] = 1;
  const AttentionOutputs out = attention(in, kAll);
  CHECK(out.o[0] == Approx(std::exp(2.0) / (std::exp(2.0) + 1)));
  CHECK(out.lse_log2[0] == Approx(std::log2(std::exp(2.0) + 1)));
}

TEST_CASE("a query that keeps no key gives 0 and minus infinity", "[value]") {
  AttentionInputs in = zero_inputs(2, 3, 2);
  for (double& x : in.v) x = 7;
  const AttentionOutputs out = attention(in, kNothing);
  for (const double o : out.o) CHECK(o == 0);
  for (const double lse : out.lse_log2) CHECK(lse == -INFINITY);
}

TEST_CASE("brute force counts the pairs of a causal and a ragged batch", "[value]") {
  CHECK(count_kept({100}, {100}, kCausal) == 100 * 101 / 2);
  CHECK(count_kept({3, 5}, {7, 2}, kAll) == 3 * 7 + 5 * 2);
}
