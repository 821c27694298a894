// SPDX-License-Identifier: Apache-2.0
// Counting instances of the kernels against what the emulator saw them execute, and against hand counts.
#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/cuda/attention_case.h"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/launch_plan.h"

using namespace attnsim;
using namespace attnsim::cuda;
using namespace attnsim::cuda::test;

namespace {

constexpr std::int64_t kMmaFlops = 2 * 16 * 8 * 16;

struct Tallied {
  std::array<long long, kTallies> tally{};
  emulate::Counts counts;
};

template <class Run>
Tallied tallied(Case& c, const Run& run) {
  Tallied t;
  c.args.tally = t.tally.data();
  emulate::take_counts();
  REQUIRE(run(c.args) == kSuccess);
  t.counts = emulate::take_counts();
  return t;
}

}  // namespace

TEST_CASE("the forward kernel counts its tiles and instructions and bytes") {
  for (const int d : {64, 128}) {
    CAPTURE(d);
    Case c(2, 2, 1, 256, 320, d, Dtype::bf16, 3);
    c.args.right = 0;
    const Tallied t = tallied(c, [&](const AttentionArgs& a) { return forward_fused(a, d, Dtype::bf16, {}); });
    // Query tiles of 128 end at keys 64 + 128 = 192 and 320; four (batch, head) pairs.
    const int tiles = d == 64 ? 2 + 3 : 3 + 5;
    CHECK(t.tally[kTallyTiles] == 4 * tiles);
    CHECK(t.tally[kTallyMma] * kMmaFlops == t.counts.mma_flops);
    const std::int64_t row_bytes = 2 * d;
    CHECK(t.tally[kTallyBytes] == t.counts.cp_async_bytes + 4 * 256 * (row_bytes + 4));  // O and lse
    const int tile_kv = d == 64 ? 128 : 64;
    CHECK(t.tally[kTallyExps] == std::int64_t{4} * tiles * 128 * tile_kv);
    CHECK(worst_output_error(c, c.reference(interval(256, 320, -1, 0))) < tolerance(c.dtype));
  }
}

TEST_CASE("split decode counts partial results and their merge") {
  constexpr int kSplits = 3, kHeads = 4, kD = 128, kKeys = 640;
  Case c(1, kHeads, 1, 1, kKeys, kD, Dtype::bf16, 3);
  c.args.splits = kSplits;
  std::vector<float> o(static_cast<std::size_t>(kSplits) * c.q.size()), lse(static_cast<std::size_t>(kSplits) * c.lse.size());
  c.args.partial_o = o.data();
  c.args.partial_lse = lse.data();
  const Tallied t = tallied(c, [&](const AttentionArgs& a) { return decode_split(a, kD, Dtype::bf16, {}); });
  CHECK(t.tally[kTallyTiles] == kKeys / 128);
  CHECK(t.tally[kTallyMma] * kMmaFlops == t.counts.mma_flops);
  const std::int64_t partial = kSplits * kHeads * (kD + 1) * 4;
  CHECK(t.tally[kTallyBytes] == t.counts.cp_async_bytes + 2 * partial + kHeads * kD * 2);
}

TEST_CASE("the Hopper forward kernel counts its tiles and warpgroup products and bytes") {
  for (const int d : {64, 128}) {
    CAPTURE(d);
    Case c(1, 2, 1, 200, 300, d, Dtype::bf16, 5);
    std::vector<int> counters(2, 0);
    c.args.counters = counters.data();
    c.args.right = 0;
    const HopperMaps maps{map_of(c.q.data(), 1, 200, 2, d, 128), map_of(c.k.data(), 1, 300, 1, d, 128),
                          map_of(c.v.data(), 1, 300, 1, d, 128)};
    const Tallied t = tallied(c, [&](const AttentionArgs& a) { return forward_hopper(a, maps, d, Dtype::bf16, 2, {}); });
    // Of each head the query tile 0 .. 127 ends at key 228, the tile 128 .. 199 at key 300: two and three KV tiles of 128.
    constexpr int kTiles = 2 * (2 + 3);
    CHECK(t.tally[kTallyTiles] == kTiles);
    CHECK(t.tally[kTallyWgmma] == kTiles * 2 * (d / 16 + 128 / 16));  // two warpgroups; steps of Q K^T and of P V
    CHECK(t.tally[kTallyFlops] == t.counts.wgmma_flops);
    CHECK(t.tally[kTallyFlops] == kTiles * 4LL * 128 * 128 * d);
    CHECK(t.tally[kTallyExps] == kTiles * 128 * 128);
    // Q, O, the log-sum-exp; K and V up to the ends of the tiles' keys.
    CHECK(t.tally[kTallyBytes] == 2 * 200 * (2 * 2 * d + 4) + 2 * (256 + 300) * 2 * 2 * d);
    CHECK(worst_output_error(c, c.reference(interval(200, 300, -1, 0))) < tolerance(c.dtype));
  }
}

TEST_CASE("the Hopper matrix product counts its steps and products and bytes") {
  constexpr int m = 200, n = 264, k = 72;
  Case values(1, 1, 1, 1, m * k + k * n, 64, Dtype::bf16, 23);
  std::vector<std::uint16_t> out(static_cast<std::size_t>(m) * n);
  const std::uint16_t* a = values.k.data();
  const Tallied t = tallied(values, [&](const AttentionArgs& args) {
    return gemm_hopper(map_of(a, 1, m, 1, k, 128), map_of(a + m * k, 1, k, 1, n, 64), out.data(), m, n, k, Dtype::bf16, 2, {}, args.tally);
  });
  constexpr int kSteps = 2 * 2 * 2;  // tiles of 128 x 256, steps of 64
  CHECK(t.tally[kTallyTiles] == kSteps);
  CHECK(t.tally[kTallyWgmma] == kSteps * 2 * 4);
  CHECK(t.tally[kTallyFlops] == t.counts.wgmma_flops);
  CHECK(t.tally[kTallyExps] == 0);
  CHECK(t.tally[kTallyBytes] == 2 * (2 * m * k + 2 * k * n + m * n));  // A twice, B twice, C
}

TEST_CASE("the unfused kernels count every tile, two exps a score and the scores' way to memory and back") {
  constexpr int q_len = 130, kv_len = 200, d = 64;
  Case c(1, 2, 1, q_len, kv_len, d, Dtype::bf16, 7);
  std::vector<std::uint16_t> scores(static_cast<std::size_t>(2) * q_len * kv_len);
  const Tallied t = tallied(c, [&](const AttentionArgs& a) { return forward_naive(a, scores.data(), d, Dtype::bf16, {}); });
  constexpr int kTiles = 2 * 2 * 2;
  CHECK(t.tally[kTallyTiles] == kTiles);
  CHECK(t.tally[kTallyMma] * kMmaFlops == t.counts.mma_flops);
  CHECK(t.tally[kTallyFlops] == t.counts.mma_flops);
  // Scores of whole tiles; the weighted sum in steps of 64 keys.
  CHECK(t.tally[kTallyFlops] == kTiles * 2LL * 128 * 128 * d + 2LL * 2 * 2 * 128 * 256 * d);
  CHECK(t.tally[kTallyExps] == 2LL * 2 * q_len * kv_len);
  const std::int64_t all_scores = 2LL * q_len * kv_len * 2;
  const std::int64_t q_bytes = 2LL * q_len * d * 2, k_bytes = 2LL * kv_len * d * 2;
  // Q once per KV tile, K and V once per query tile, O; scores written, read three times and written, read.
  CHECK(t.tally[kTallyBytes] == 2 * q_bytes + 2 * k_bytes + 2 * k_bytes + q_bytes + 6 * all_scores);
}

TEST_CASE("the backward kernels count their pairs of tiles and bytes") {
  constexpr int q_len = 128, kv_len = 200, d = 64, heads = 2;
  Case c(1, heads, 1, q_len, kv_len, d, Dtype::bf16, 9);
  const Gradients gradients_of(c);
  std::fill(c.lse.begin(), c.lse.end(), 1.0F);
  const Tallied t = tallied(c, [&](const AttentionArgs& a) { return backward_fused(a, d, Dtype::bf16, {}); });
  constexpr int kPairs = heads * 2 * 2;  // KV tiles of 128, query tiles of 64
  CHECK(t.tally[kTallyTiles] == kPairs);
  CHECK(t.tally[kTallyFlops] == t.counts.mma_flops);
  CHECK(t.tally[kTallyFlops] == kPairs * 5LL * 2 * 64 * 128 * d);
  CHECK(t.tally[kTallyExps] == kPairs * 64 * 128);
  const std::int64_t rows = heads * q_len, keys = heads * kv_len;
  const std::int64_t row_sums = rows * (2 * 2 * d + 4 * d + 4);            // O, dO; the sums of dQ cleared; delta
  const std::int64_t inputs = t.counts.cp_async_bytes;                     // K, V, Q, dO
  const std::int64_t statistics = 2 * rows * 4 * 4 * 8;                    // lse and delta per KV tile, by four warps and four lanes a row
  const std::int64_t gradients = 2 * rows * d * 4 + 2 * keys * d * 2;      // atomics of dQ per KV tile; dK and dV per head
  const std::int64_t after = rows * d * 6 + 2 * kv_len * d * 2 * (2 + 1);  // dQ converted; heads summed
  CHECK(t.tally[kTallyBytes] == row_sums + inputs + statistics + gradients + after);
}
