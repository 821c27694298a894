// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/attention_case.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attnsim::cuda::test {

Keep interval(int q_len, int kv_len, int left, int right) {
  return [=](int, int q, int k) {
    const int at = q + kv_len - q_len;
    return (left < 0 || k >= at - left) && (right < 0 || k <= at + right);
  };
}

Case::Case(int batch, int q_heads, int kv_heads, int q_len, int kv_len, int head_dim, Dtype type, std::uint64_t seed)
    : d(head_dim), dtype(type) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  const auto fill = [&](std::vector<std::uint16_t>& values, int heads, int length) {
    values.resize(static_cast<std::size_t>(batch) * length * heads * d);
    for (std::uint16_t& value : values) value = rounded(normal(engine));
  };
  fill(q, q_heads, q_len);
  fill(k, kv_heads, kv_len);
  fill(v, kv_heads, kv_len);
  fill(d_o, q_heads, q_len);
  o.assign(q.size(), 0x7fff);
  lse.assign(static_cast<std::size_t>(batch) * q_heads * q_len, std::numeric_limits<float>::quiet_NaN());
  args.q = q.data();
  args.k = k.data();
  args.v = v.data();
  args.o = o.data();
  args.d_o = d_o.data();
  args.lse = lse.data();
  args.batch = batch;
  args.q_heads = q_heads;
  args.kv_heads = kv_heads;
  args.q_len = q_len;
  args.kv_len = kv_len;
  args.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
}

double Case::value(std::uint16_t bits) const {
  return dtype == Dtype::bf16 ? to_float(Bf16{bits}) : to_float(F16{bits});
}
std::uint16_t Case::rounded(double x) const {
  return dtype == Dtype::bf16 ? from_float<Bf16>(static_cast<float>(x)).bits : from_float<F16>(static_cast<float>(x)).bits;
}

Reference Case::reference(const Keep& keep, bool backward) const {
  Reference r;
  r.o.assign(q.size(), 0);
  r.lse.assign(lse.size(), 0);
  if (backward) {
    r.dq.assign(q.size(), 0);
    r.dk.assign(k.size(), 0);
    r.dv.assign(v.size(), 0);
  }
  const auto q_at = [&](int b, int t, int h) { return ((static_cast<std::size_t>(b) * args.q_len + t) * args.q_heads + h) * d; };
  const auto kv_at = [&](int b, int t, int h) { return ((static_cast<std::size_t>(b) * args.kv_len + t) * args.kv_heads + h) * d; };
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  std::vector<double> p(static_cast<std::size_t>(args.kv_len));
  for (int b = 0; b < args.batch; ++b) {
    for (int h = 0; h < args.q_heads; ++h) {
      const int g = h / (args.q_heads / args.kv_heads);
      for (int t = 0; t < args.q_len; ++t) {
        const std::size_t row = q_at(b, t, h);
        double maximum = -std::numeric_limits<double>::infinity();
        for (int j = 0; j < args.kv_len; ++j) {
          p[j] = -std::numeric_limits<double>::infinity();
          if (!keep(b, t, j)) continue;
          double dot = 0;
          for (int i = 0; i < d; ++i) dot += value(q[row + i]) * value(k[kv_at(b, j, g) + i]);
          p[j] = dot * scale;
          maximum = std::max(maximum, p[j]);
        }
        double sum = 0;
        for (double& x : p) {
          x = std::isinf(maximum) ? 0 : std::exp(x - maximum);
          sum += x;
        }
        r.lse[(static_cast<std::size_t>(b) * args.q_heads + h) * args.q_len + t] = maximum + std::log(sum);
        for (double& x : p) x = sum > 0 ? x / sum : 0;
        for (int j = 0; j < args.kv_len; ++j) {
          if (p[j] == 0) continue;
          for (int i = 0; i < d; ++i) r.o[row + i] += p[j] * value(v[kv_at(b, j, g) + i]);
        }
        if (!backward) continue;
        double delta = 0;
        for (int i = 0; i < d; ++i) delta += value(d_o[row + i]) * r.o[row + i];
        for (int j = 0; j < args.kv_len; ++j) {
          if (p[j] == 0) continue;
          const std::size_t key = kv_at(b, j, g);
          double dp = 0;
          for (int i = 0; i < d; ++i) dp += value(d_o[row + i]) * value(v[key + i]);
          const double ds = p[j] * (dp - delta) * scale;
          for (int i = 0; i < d; ++i) {
            r.dv[key + i] += p[j] * value(d_o[row + i]);
            r.dk[key + i] += ds * value(q[row + i]);
            r.dq[row + i] += ds * value(k[key + i]);
          }
        }
      }
    }
  }
  return r;
}

TensorMap map_of(const void* base, int batch, int len, int heads, int d, int rows) {
  TensorMap m;
  m.base = static_cast<const std::uint8_t*>(base);
  m.rank = 4;
  const std::uint64_t size[4] = {static_cast<std::uint64_t>(d), static_cast<std::uint64_t>(heads), static_cast<std::uint64_t>(len),
                                 static_cast<std::uint64_t>(batch)};
  const std::uint32_t box[4] = {64, 1, static_cast<std::uint32_t>(rows), 1};
  std::uint64_t stride = 2;
  for (int i = 0; i < 4; ++i) {
    m.size[i] = size[i];
    m.stride[i] = stride;
    m.box[i] = box[i];
    stride *= size[i];
  }
  return m;
}

Gradients::Gradients(Case& c)
    : dq(c.q.size(), 0x7fff),
      dk(c.k.size(), 0x7fff),
      dv(c.v.size(), 0x7fff),
      dk_heads(c.k.size() / static_cast<std::size_t>(c.args.kv_heads) * static_cast<std::size_t>(c.args.q_heads), 0x7fff),
      dv_heads(dk_heads),
      delta(c.lse.size(), NAN),
      dq_sum(c.q.size(), NAN) {
  c.args.dq = dq.data();
  c.args.dk = dk.data();
  c.args.dv = dv.data();
  c.args.dk_heads = dk_heads.data();
  c.args.dv_heads = dv_heads.data();
  c.args.delta = delta.data();
  c.args.dq_sum = dq_sum.data();
}

double worst_error(const std::vector<double>& reference, const std::function<double(std::size_t)>& value) {
  double largest = 1e-30;
  double worst = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double x = value(i);
    if (!std::isfinite(x)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::fabs(reference[i]));
    worst = std::max(worst, std::fabs(x - reference[i]));
  }
  return worst / largest;
}

double worst_output_error(const Case& c, const Reference& r) {
  return worst_error(r.o, [&](std::size_t i) { return c.value(c.o[i]); });
}

}  // namespace attnsim::cuda::test
