// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "validation/host/attention.h"

namespace attnsim::host {

void reference(const bench::Shape& shape, const Tensors& tensors, std::vector<double>& o) {
  const std::int64_t d = shape.head_dim;
  const std::int64_t group = shape.q_heads / shape.kv_heads;
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  o.assign(static_cast<std::size_t>(shape.batch * shape.q_len * shape.q_heads * d), 0);
  std::vector<double> weight(static_cast<std::size_t>(shape.kv_len));
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.q_heads; ++h) {
      const auto key_row = [&](const float* base, std::int64_t key) {
        return base + ((b * shape.kv_len + key) * shape.kv_heads + h / group) * d;
      };
      for (std::int64_t i = 0; i < shape.q_len; ++i) {
        const std::int64_t row = ((b * shape.q_len + i) * shape.q_heads + h) * d;
        const KeyRange keys = visible_keys(shape, i);
        const auto kept = [&](std::int64_t key) { return keeps_tile(shape, i / kTileQ, key / kTileKv); };
        double most = -INFINITY;
        for (std::int64_t key = keys.begin; key < keys.end; ++key) {
          if (!kept(key)) continue;
          double dot = 0;
          for (std::int64_t x = 0; x < d; ++x)
            dot += static_cast<double>(tensors.q[row + x]) * static_cast<double>(key_row(tensors.k, key)[x]);
          weight[static_cast<std::size_t>(key)] = dot * scale;
          most = std::max(most, dot * scale);
        }
        double sum = 0;
        for (std::int64_t key = keys.begin; key < keys.end; ++key) {
          if (!kept(key)) continue;
          const double p = std::exp(weight[static_cast<std::size_t>(key)] - most);
          sum += p;
          for (std::int64_t x = 0; x < d; ++x) o[static_cast<std::size_t>(row + x)] += p * static_cast<double>(key_row(tensors.v, key)[x]);
        }
        for (std::int64_t x = 0; x < d && sum > 0; ++x) o[static_cast<std::size_t>(row + x)] /= sum;
      }
    }
  }
}

}  // namespace attnsim::host
