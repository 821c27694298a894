// SPDX-License-Identifier: Apache-2.0
// Straight-line gradients of attention: element loops in double, no tiles, no IR, P kept whole.
//
//   dV[k] = sum_q P[q][k] dO[q]      dS[q][k] = P[q][k] (dO[q] . V[k] - sum_k' P[q][k'] dO[q] . V[k'])
//   dQ[q] = scale sum_k dS[q][k] K[k]      dK[k] = scale sum_q dS[q][k] Q[q]      dK, dV summed over the query heads of a group
#pragma once

#include "workloads/reference/attention.h"

namespace attnsim::reference {

struct AttentionGradients {
  std::vector<double> q;  // [batch, q_heads, max_q_len, head_dim_qk]
  std::vector<double> k;  // [batch, kv_heads, max_kv_len, head_dim_qk]
  std::vector<double> v;  // [batch, kv_heads, max_kv_len, head_dim_v]
};

// `grad_o`: [batch, q_heads, max_q_len, head_dim_v].
[[nodiscard]] AttentionGradients attention_backward(const AttentionInputs& in, const std::vector<double>& grad_o, const Keep& keep);

}  // namespace attnsim::reference
