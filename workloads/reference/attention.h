// SPDX-License-Identifier: Apache-2.0
// Straight-line attention: element loops in double, no tiles, no IR. What every exact kernel must agree with.
//
//   O[b][h][q] = sum_k softmax_k(scale * Q K^T)[k] V[k]   over the pairs that `keep` keeps;  scale = 1 / sqrt(head_dim_qk)
//   LSE[b][h][q] = log2(sum_k exp(scale * Q K^T)[k]), that is in units of log2; -inf and O = 0 where a query keeps no key
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace attnsim::reference {

// Keep (query q, key k) of query head h of batch entry b.
using Keep = std::function<bool(std::int64_t b, std::int64_t h, std::int64_t q, std::int64_t k)>;

// What becomes of a scaled score before the mask, and its derivative by that score.
struct Modifier {
  std::function<double(std::int64_t b, std::int64_t h, std::int64_t q, std::int64_t k, double score)> value;
  std::function<double(std::int64_t b, std::int64_t h, std::int64_t q, std::int64_t k, double score)> derivative;
};

struct AttentionInputs {
  std::int64_t batch = 1;
  std::int64_t q_heads = 1;
  std::int64_t kv_heads = 1;
  std::vector<std::int64_t> q_len;   // one per batch entry
  std::vector<std::int64_t> kv_len;  // one per batch entry
  std::int64_t max_q_len = 1;        // rows of Q and O per head, shorter entries leave the rest unused
  std::int64_t max_kv_len = 1;       // rows of K and V per head
  std::int64_t head_dim_qk = 1;
  std::int64_t head_dim_v = 1;
  std::vector<double> q;  // [batch, q_heads, max_q_len, head_dim_qk]
  std::vector<double> k;  // [batch, kv_heads, max_kv_len, head_dim_qk]
  std::vector<double> v;  // [batch, kv_heads, max_kv_len, head_dim_v]
  Modifier modify = {};   // none: the identity
};

struct AttentionOutputs {
  std::vector<double> o;         // [batch, q_heads, max_q_len, head_dim_v]
  std::vector<double> lse_log2;  // [batch, q_heads, max_q_len]
};

[[nodiscard]] AttentionOutputs attention(const AttentionInputs& in, const Keep& keep);

// Kept (query, key) pairs of head h, summed over the batch, by looking at each pair.
[[nodiscard]] std::int64_t count_kept(const std::vector<std::int64_t>& q_len, const std::vector<std::int64_t>& kv_len, const Keep& keep,
                                      std::int64_t h = 0);

}  // namespace attnsim::reference
