// SPDX-License-Identifier: Apache-2.0
// Block counts that papers and cards state.
#include <catch2/catch.hpp>

#include "workloads/masks/expression_mask.h"
#include "workloads/masks/runs.h"

using namespace attnsim;

namespace {

// Tiles of `block` x `block` that a causal mask visits, of those that dense causal attention visits.
double block_ratio(const Expression& seen, std::int64_t tokens, std::int64_t block) {
  const ExpressionMask mask({{key() <= query(), seen}, {}, {}}, tokens, tokens);
  std::int64_t visited = 0;
  for (std::int64_t q = 0; q < tokens; q += block) visited += tiles_in(mask.runs({q, q + block}, block));
  const std::int64_t rows = tokens / block;
  return static_cast<double>(rows * (rows + 1) / 2) / static_cast<double>(visited);
}

}  // namespace

TEST_CASE("power attention executes the share of blocks that its card enumerates", "[masks]") {
  // Mean blocks per row 7.84, 8.91, 9.95, 10.97 at 16K to 128K; ratios 4.14, 7.24, 12.9, 23.4.
  constexpr std::int64_t kBlock = 256;
  const Expression distance = query() / kBlock - key() / kBlock;
  const Expression seen = key() < kBlock || distance < 5 || power_of_two(distance);
  CHECK(block_ratio(seen, 1 << 14, kBlock) == Approx(4.14).margin(0.01));
  CHECK(block_ratio(seen, 1 << 15, kBlock) == Approx(7.24).margin(0.01));
  CHECK(block_ratio(seen, 1 << 16, kBlock) == Approx(12.9).margin(0.05));
  CHECK(block_ratio(seen, 1 << 17, kBlock) == Approx(23.37).margin(0.01));
}

TEST_CASE("S2 attention executes the share of blocks that its card enumerates", "[masks]") {
  // bs 64, L 8, V 16: 5.7, 10.9, 14.3 at 8K, 32K, 128K; L 16, V 8: 7.2 at 128K. Mean over the shifts of V heads.
  const auto ratio = [](std::int64_t tokens, std::int64_t local, std::int64_t stride) {
    double blocks = 0;
    for (std::int64_t h = 0; h < stride; ++h) {
      const Expression near = query() / 64 - key() / 64 < local;
      blocks += 1 / block_ratio(near || (key() / 64 + h) % stride == 0, tokens, 64);
    }
    return static_cast<double>(stride) / blocks;
  };
  CHECK(ratio(1 << 13, 8, 16) == Approx(5.7).margin(0.06));
  CHECK(ratio(1 << 15, 8, 16) == Approx(10.9).margin(0.06));
  CHECK(ratio(1 << 17, 16, 8) == Approx(7.2).margin(0.06));
}
