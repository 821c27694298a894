// SPDX-License-Identifier: Apache-2.0
// A self-attention problem with modified scores (head_dim 64), and the attention kernel of its pipeline.
#pragma once

#include <utility>
#include <variant>

#include "sim/ir/pipeline.h"
#include "workloads/variant.h"

namespace attnsim::test {

inline Problem scored_problem(std::int64_t batch, std::int64_t q_heads, std::int64_t kv_heads, std::int64_t tokens, Score score) {
  Problem p;
  p.batch = batch;
  p.q_heads = q_heads;
  p.kv_heads = kv_heads;
  p.q_len = p.kv_len = {tokens};
  p.head_dim_qk = p.head_dim_v = 64;
  p.score = std::move(score);
  return p;
}

inline const ir::Kernel& first_kernel(const ir::Pipeline& pipeline) {
  return std::get<ir::Kernel>(pipeline.nodes().front().work);
}

}  // namespace attnsim::test
