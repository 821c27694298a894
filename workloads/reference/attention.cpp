// SPDX-License-Identifier: Apache-2.0
#include "workloads/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attnsim::reference {

namespace {

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

}  // namespace

AttentionOutputs attention(const AttentionInputs& in, const Keep& keep) {
  const std::int64_t d = in.head_dim_qk;
  const std::int64_t dv = in.head_dim_v;
  const double scale = 1.0 / std::sqrt(static_cast<double>(d));
  const double infinity = std::numeric_limits<double>::infinity();
  AttentionOutputs out;
  out.o.assign(at(in.batch * in.q_heads * in.max_q_len * dv), 0.0);
  out.lse_log2.assign(at(in.batch * in.q_heads * in.max_q_len), -infinity);
  for (std::int64_t b = 0; b < in.batch; ++b) {
    for (std::int64_t h = 0; h < in.q_heads; ++h) {
      const std::int64_t kv_head = b * in.kv_heads + h / (in.q_heads / in.kv_heads);
      for (std::int64_t q = 0; q < in.q_len[at(b)]; ++q) {
        const std::int64_t row = (b * in.q_heads + h) * in.max_q_len + q;
        std::vector<double> score(at(in.kv_len[at(b)]), -infinity);
        double largest = -infinity;
        for (std::int64_t k = 0; k < in.kv_len[at(b)]; ++k) {
          if (!keep(b, h, q, k)) continue;
          double dot = 0;
          for (std::int64_t i = 0; i < d; ++i) dot += in.q[at(row * d + i)] * in.k[at((kv_head * in.max_kv_len + k) * d + i)];
          score[at(k)] = in.modify.value ? in.modify.value(b, h, q, k, dot * scale) : dot * scale;
          largest = std::max(largest, score[at(k)]);
        }
        if (largest == -infinity) continue;
        double sum = 0;
        for (double& s : score) {
          s = std::exp(s - largest);
          sum += s;
        }
        for (std::int64_t k = 0; k < in.kv_len[at(b)]; ++k) {
          const double weight = score[at(k)] / sum;
          for (std::int64_t j = 0; j < dv; ++j) out.o[at(row * dv + j)] += weight * in.v[at((kv_head * in.max_kv_len + k) * dv + j)];
        }
        out.lse_log2[at(row)] = (largest + std::log(sum)) / std::log(2.0);
      }
    }
  }
  return out;
}

std::int64_t count_kept(const std::vector<std::int64_t>& q_len, const std::vector<std::int64_t>& kv_len, const Keep& keep, std::int64_t h) {
  std::int64_t kept = 0;
  for (std::size_t b = 0; b < q_len.size(); ++b) {
    for (std::int64_t q = 0; q < q_len[b]; ++q) {
      for (std::int64_t k = 0; k < kv_len[b]; ++k) kept += keep(static_cast<std::int64_t>(b), h, q, k) ? 1 : 0;
    }
  }
  return kept;
}

}  // namespace attnsim::reference
