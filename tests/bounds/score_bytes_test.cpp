// SPDX-License-Identifier: Apache-2.0
// Bytes of the tables that score modifiers read.
#include <catch2/catch.hpp>

#include "sim/bounds/touched.h"
#include "sim/bounds/traffic.h"
#include "tests/support/chips.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

namespace {

Problem problem(std::int64_t batch, std::int64_t q_heads, std::int64_t kv_heads, std::int64_t tokens, Score score) {
  Problem p;
  p.batch = batch;
  p.q_heads = q_heads;
  p.kv_heads = kv_heads;
  p.q_len = p.kv_len = {tokens};
  p.head_dim_qk = p.head_dim_v = 64;
  p.score = std::move(score);
  return p;
}

const ir::Kernel& attention(const ir::Pipeline& pipeline) {
  return std::get<ir::Kernel>(pipeline.nodes().front().work);
}

}  // namespace

TEST_CASE("a table of biases is read from HBM once a head, whatever the batch", "[score]") {
  for (const std::int64_t batch : {1, 3}) {
    const ir::Pipeline pipeline =
        lower(variant("causal"), problem(batch, 6, 2, 100, {0, false, {20}, {}}), load_schedule("fa2-sm80"), test::a100());
    const auto touch = bounds::touched_by(attention(pipeline), pipeline.tensors());
    for (std::size_t t = 0; t < pipeline.tensors().size(); ++t) {
      if (pipeline.tensors()[t].name == "bias_table")
        CHECK(bounds::union_bytes(touch[t].read, pipeline.tensors()[t]) == Approx(6 * (2 * 20 + 1) * 4.0));
    }
  }
}
