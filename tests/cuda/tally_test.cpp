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
