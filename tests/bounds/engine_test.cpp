// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/engine.h"

#include <catch2/catch.hpp>

#include "sim/bounds/bounds.h"
#include "tests/support/random_pipeline.h"
#include "tests/support/toy_programs.h"

namespace attnsim {

namespace {

// Plays the pipeline and holds it against its schedule rung, for the whole and for each kernel.
void check_not_faster(const ir::Pipeline& pipeline, const Chip& chip) {
  constexpr double kTickRounding = 1e-3;  // group times are rounded to 1/1024 cycle
  const auto rung = static_cast<std::size_t>(Rung::schedule);
  EngineOptions detailed;
  detailed.kind = EngineKind::detailed;
  const Bounds b = compute_bounds(pipeline, chip, {});
  const Simulation s = simulate(pipeline, chip, {}, detailed);
  INFO(pipeline.name() << " limited by " << b.ladder.limiter[rung]);
  CHECK(s.time_us >= b.ladder.at(Rung::schedule).value() * (1 - kTickRounding));
  for (std::size_t k = 0; k < s.kernels.size(); ++k) {
    INFO("kernel " << k << " limited by " << b.kernel_ladder[k].limiter[rung]);
    CHECK(s.kernels[k].time_us >= b.kernel_ladder[k].at(Rung::schedule).value() * (1 - kTickRounding));
  }
}

}  // namespace

TEST_CASE("no detailed run is faster than the schedule rung") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    test::Draw draw(seed);
    const ir::Pipeline pipeline = test::attention_pipeline(test::random_attention(draw));
    const Chip chip = test::random_chip(draw);
    INFO("seed " << seed);
    check_not_faster(pipeline, chip);
  }
}

TEST_CASE("the documented programs have ascending ladders, useful FLOPs as by hand and no faster detailed run") {
  const test::ToyAttention shape{3, 100, 300, 64, false};
  const test::ToyAttention decode{3, 16, 300, 64, false};
  const double flops = 4.0 * 64 * 3 * 100 * 300;
  const double decode_flops = 4.0 * 64 * 3 * 16 * 300;
  struct Program {
    ir::Pipeline pipeline;
    double flops;
  };
  const std::vector<Program> programs{
      {test::toy_gemm(100, 128, 96, 64, 64, 32, 2), 2.0 * 100 * 128 * 96},
      {test::toy_fa2(shape, 64, 64), flops},
      {test::toy_fa3(shape, 128, 64, 2), flops},
      {test::toy_split_kv(decode, 16, 64, 2), decode_flops},
      {test::toy_split_kv_last(decode, 16, 64, 2), decode_flops},
      {test::toy_stream_k(decode, 16, 64, 4), decode_flops},
  };
  for (const Program& program : programs) {
    INFO(program.pipeline.name());
    const Bounds b = compute_bounds(program.pipeline, test::round_chip(), {});
    check_not_faster(program.pipeline, test::round_chip());
    CHECK(b.counts.useful_tensor_flops == Approx(program.flops));
    for (std::size_t r = 1; r <= static_cast<std::size_t>(Rung::schedule); ++r) {
      CHECK(b.ladder.time_us[r].value() >= b.ladder.time_us[r - 1].value());
    }
  }
}

}  // namespace attnsim
