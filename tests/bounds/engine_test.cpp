// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/engine.h"

#include <catch2/catch.hpp>

#include "sim/bounds/bounds.h"
#include "tests/support/random_pipeline.h"

namespace attnsim {

TEST_CASE("no detailed run is faster than the schedule rung, for the whole and for each kernel") {
  constexpr double kTickRounding = 1e-3;  // group times are rounded to 1/1024 cycle
  EngineOptions detailed;
  detailed.kind = EngineKind::detailed;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    test::Draw draw(seed);
    const ir::Pipeline pipeline = test::attention_pipeline(test::random_attention(draw));
    const Chip chip = test::random_chip(draw);
    const Bounds b = compute_bounds(pipeline, chip, {});
    const Simulation s = simulate(pipeline, chip, {}, detailed);
    const auto limiter = [](const Ladder& ladder) { return ladder.limiter[static_cast<std::size_t>(Rung::schedule)]; };
    INFO("seed " << seed << ", limited by " << limiter(b.ladder));
    CHECK(s.time_us >= b.ladder.at(Rung::schedule).value() * (1 - kTickRounding));
    for (std::size_t k = 0; k < s.kernels.size(); ++k) {
      INFO("kernel " << k << ", limited by " << limiter(b.kernel_ladder[k]));
      CHECK(s.kernels[k].time_us >= b.kernel_ladder[k].at(Rung::schedule).value() * (1 - kTickRounding));
    }
  }
}

}  // namespace attnsim
