// SPDX-License-Identifier: Apache-2.0
// The ops that score modifiers add to a kernel, counted by hand.
#include <catch2/catch.hpp>

#include "sim/select/select.h"
#include "tests/support/chips.h"
#include "tests/support/scored_problem.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using namespace attnsim::test;

TEST_CASE("what a modifier costs comes out of its ops", "[score]") {
  const auto selected_ops = [](const Score& score, const char* schedule, const Chip& chip) {
    const ir::Pipeline pipeline = lower(variant("dense"), scored_problem(1, 1, 1, 256, score), load_schedule(schedule), chip);
    const SelectedKernel selected = select_instructions(first_kernel(pipeline), chip);
    Step sum;  // of one trip of the whole CTA
    for (const SelectedAgent& agent : selected.agents) {
      for (const Step& step : agent.sections.at(1)) {
        if (step.kind != StepKind::chain || step.when == ir::When::partial_trip) continue;
        sum.sfu_ops += step.sfu_ops;
        sum.fp32_ops += step.fp32_ops;
        sum.smem_bytes += step.smem_bytes;
      }
    }
    return sum;
  };
  const Chip chip = h100();
  const Step plain = selected_ops({}, "fa3-sm90", chip);
  const ir::Pipeline pipeline = lower(variant("dense"), scored_problem(1, 1, 1, 256, {}), load_schedule("fa3-sm90"), chip);
  const ir::Program& program = first_kernel(pipeline).program;
  double elements = 0;  // scores a trip
  for (const ir::Tile& tile : program.tiles) {
    if (tile.name.rfind("s", 0) == 0 && tile.name.size() == 2)
      elements += static_cast<double>(program.padded(tile.rows)) * program.padded(tile.cols);
  }
  REQUIRE(elements > 0);
  // A multiply and one special function an element.
  const Step capped = selected_ops({50, false, {}, {}}, "fa3-sm90", chip);
  CHECK(capped.sfu_ops - plain.sfu_ops == Approx(elements));
  CHECK(capped.fp32_ops - plain.fp32_ops == Approx(elements));
  // Queries see later keys here: a subtraction and a multiply-add an element.
  const Step alibi = selected_ops({0, true, {}, {}}, "fa3-sm90", chip);
  CHECK(alibi.fp32_ops - plain.fp32_ops == Approx(2 * elements));
  // One number of 4 bytes from SMEM and one add an element.
  const Step bias = selected_ops({0, false, {16}, {}}, "fa3-sm90", chip);
  CHECK(bias.smem_bytes - plain.smem_bytes == Approx(4 * elements));
  CHECK(bias.fp32_ops - plain.fp32_ops == Approx(elements));
}
