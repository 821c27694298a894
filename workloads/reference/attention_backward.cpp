// SPDX-License-Identifier: Apache-2.0
#include "workloads/reference/attention_backward.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attnsim::reference {

namespace {

const double* row(const std::vector<double>& x, std::int64_t slab, std::int64_t rows, std::int64_t r, std::int64_t cols) {
  return x.data() + (slab * rows + r) * cols;
}
double* row(std::vector<double>& x, std::int64_t slab, std::int64_t rows, std::int64_t r, std::int64_t cols) {
  return x.data() + (slab * rows + r) * cols;
}

double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void add_scaled(double* to, const double* from, double x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] += x * from[i];
}

}  // namespace

AttentionGradients attention_backward(const AttentionInputs& in, const std::vector<double>& grad_o, const Keep& keep) {
  AttentionGradients g{std::vector<double>(in.q.size(), 0.0), std::vector<double>(in.k.size(), 0.0), std::vector<double>(in.v.size(), 0.0)};
  const double scale = 1 / std::sqrt(static_cast<double>(in.head_dim_qk));
  for (std::int64_t b = 0; b < in.batch; ++b) {
    const std::int64_t keys = in.kv_len[static_cast<std::size_t>(b)];
    for (std::int64_t h = 0; h < in.q_heads; ++h) {
      const std::int64_t slab = b * in.q_heads + h;
      const std::int64_t kv = b * in.kv_heads + h / (in.q_heads / in.kv_heads);
      for (std::int64_t i = 0; i < in.q_len[static_cast<std::size_t>(b)]; ++i) {
        const double* q = row(in.q, slab, in.max_q_len, i, in.head_dim_qk);
        const double* d_o = row(grad_o, slab, in.max_q_len, i, in.head_dim_v);
        std::vector<double> p(static_cast<std::size_t>(keys), 0.0);
        std::vector<double> slope(static_cast<std::size_t>(keys), 1.0);  // of the modifier
        double top = -std::numeric_limits<double>::infinity();
        for (std::int64_t k = 0; k < keys; ++k) {
          if (!keep(b, h, i, k)) continue;
          double& score = p[static_cast<std::size_t>(k)];
          score = scale * dot(q, row(in.k, kv, in.max_kv_len, k, in.head_dim_qk), in.head_dim_qk);
          if (in.modify.derivative) slope[static_cast<std::size_t>(k)] = in.modify.derivative(b, h, i, k, score);
          if (in.modify.value) score = in.modify.value(b, h, i, k, score);
          top = std::max(top, score);
        }
        double sum = 0;
        for (std::int64_t k = 0; k < keys; ++k) {
          double& x = p[static_cast<std::size_t>(k)];
          x = keep(b, h, i, k) ? std::exp(x - top) : 0.0;
          sum += x;
        }
        if (sum == 0) continue;
        double mean = 0;  // of dP under P
        for (std::int64_t k = 0; k < keys; ++k) {
          double& x = p[static_cast<std::size_t>(k)];
          x /= sum;
          mean += x * dot(d_o, row(in.v, kv, in.max_kv_len, k, in.head_dim_v), in.head_dim_v);
        }
        for (std::int64_t k = 0; k < keys; ++k) {
          const double x = p[static_cast<std::size_t>(k)];
          add_scaled(row(g.v, kv, in.max_kv_len, k, in.head_dim_v), d_o, x, in.head_dim_v);
          const double ds = scale * slope[static_cast<std::size_t>(k)] * x *
                            (dot(d_o, row(in.v, kv, in.max_kv_len, k, in.head_dim_v), in.head_dim_v) - mean);
          add_scaled(row(g.q, slab, in.max_q_len, i, in.head_dim_qk), row(in.k, kv, in.max_kv_len, k, in.head_dim_qk), ds, in.head_dim_qk);
          add_scaled(row(g.k, kv, in.max_kv_len, k, in.head_dim_qk), q, ds, in.head_dim_qk);
        }
      }
    }
  }
  return g;
}

}  // namespace attnsim::reference
