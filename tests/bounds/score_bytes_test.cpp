// SPDX-License-Identifier: Apache-2.0
// Bytes of the tables that score modifiers read.
#include <catch2/catch.hpp>

#include "sim/bounds/touched.h"
#include "sim/bounds/traffic.h"
#include "tests/support/chips.h"
#include "tests/support/scored_problem.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;
using namespace attnsim::test;

TEST_CASE("a table of biases is read from HBM once a head, whatever the batch", "[score]") {
  for (const std::int64_t batch : {1, 3}) {
    const ir::Pipeline pipeline =
        lower(variant("causal"), scored_problem(batch, 6, 2, 100, {0, false, {20}, {}}), load_schedule("fa2-sm80"), a100());
    const auto touch = bounds::touched_by(first_kernel(pipeline), pipeline.tensors());
    for (std::size_t t = 0; t < pipeline.tensors().size(); ++t) {
      if (pipeline.tensors()[t].name == "bias_table")
        CHECK(bounds::union_bytes(touch[t].read, pipeline.tensors()[t]) == Approx(6 * (2 * 20 + 1) * 4.0));
    }
  }
}
