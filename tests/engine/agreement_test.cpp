// SPDX-License-Identifier: Apache-2.0
// How far `fast` is from `detailed` on the corpus of tests/agreement: the figures that are reached, as docs/engine.md states them.
// agreement_corpus 0 2000 prints them for the whole corpus, agreement_corpus 0 300 --wide those of larger chips, --masked under irregular
// masks.
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/engine/engine.h"
#include "sim/engine/fast.h"
#include "tests/agreement/compare.h"
#include "workloads/lower.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

struct Agreements {
  Spread time;  // per cent
  Spread hits;  // points
  std::size_t fallbacks = 0;
};

Agreements agreements(std::uint64_t samples, CorpusChips chips) {
  Agreements out;
  std::vector<double> time;
  std::vector<double> hits;
  for (std::uint64_t seed = 0; seed < samples; ++seed) {
    const Agreement row = compare(seed, chips);
    time.push_back(100 * row.error);
    hits.push_back(row.hit_points);
    out.fallbacks += row.fell_back ? 1 : 0;
  }
  out.time = spread_of(time);
  out.hits = spread_of(hits);
  return out;
}

// Of chips that are played in parts or by classes of items.
void check_close(const Agreements& a, double worst_time) {
  CHECK(std::abs(a.time.mean) <= 1.5);
  CHECK(a.time.p50 <= 0.5);
  CHECK(a.time.p90 <= 6);
  CHECK(a.time.worst <= worst_time);
  CHECK(a.hits.p90 <= 6);
  CHECK(a.hits.worst <= 65);
  CHECK(a.fallbacks == 0);
}

}  // namespace

TEST_CASE("fast plays most random kernels of small chips as detailed does") {
  const Agreements a = agreements(120, CorpusChips::small);
  CHECK(a.time.p50 <= 0.01);
  CHECK(a.time.p90 <= 0.01);
  CHECK(a.time.worst <= 0.5);
  CHECK(a.hits.p90 <= 0.01);
  CHECK(a.hits.worst <= 0.1);
  CHECK(a.fallbacks == 0);
}

TEST_CASE("fast stays close to detailed where it plays parts of a chip and classes of items") {
  check_close(agreements(40, CorpusChips::wide), 40);
}

TEST_CASE("fast stays close to detailed under masks whose tiles lie apart, differ by head or are drawn") {
  check_close(agreements(40, CorpusChips::masked), 20);
}

TEST_CASE("fast ends with the long items of the last of few heads, as detailed does") {
  // Heads follow one another over all SMs, each with its longest item first; a quarter of the chip has one of the four to itself.
  Problem problem;
  problem.pass = Pass::backward;
  problem.q_heads = problem.kv_heads = 4;
  problem.q_len = problem.kv_len = {8192};
  problem.head_dim_qk = problem.head_dim_v = 128;
  const Chip chip = load_chip("b200");
  const ir::Pipeline pipeline = lower(variant("causal"), problem, load_schedule("cudnn-bwd-sm100"), chip);
  const auto time_us = [&](EngineKind kind) { return simulate(pipeline, chip, Conditions{}, {.kind = kind}).time_us; };
  REQUIRE(part_of_chip(pipeline, chip).times == 4);
  CHECK(time_us(EngineKind::fast) == Approx(time_us(EngineKind::detailed)).epsilon(0.03));
}

TEST_CASE("the percentiles of the comparison are those of the magnitudes") {
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i) values.push_back(i % 2 == 0 ? i : -i);  // magnitudes 0 .. 100
  const Spread s = spread_of(values);
  CHECK(s.count == 101);
  CHECK(s.p50 == 50);
  CHECK(s.p90 == 90);
  CHECK(s.p99 == 99);
  CHECK(s.worst == 100);
  CHECK(s.mean == Approx((2550.0 - 2500.0) / 101));  // even numbers to 100 less odd ones to 99
}
