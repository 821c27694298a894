// SPDX-License-Identifier: Apache-2.0
#include "tests/agreement/compare.h"

#include <algorithm>
#include <cmath>

#include "sim/engine/engine.h"

namespace attnsim::test {

namespace {

double kernel_time(const Simulation& s) {
  double sum = 0;
  for (const KernelResult& k : s.kernels) sum += k.time_us;
  return sum;
}

std::string limiter_class(const Simulation& s) {
  const auto longest =
      std::max_element(s.kernels.begin(), s.kernels.end(), [](const auto& a, const auto& b) { return a.time_us < b.time_us; });
  if (longest->limiter == "hbm" || longest->limiter == "latency") return longest->limiter;
  return longest->limiter == "l2" || longest->limiter == "l2_port" ? "l2" : "compute";
}

}  // namespace

Agreement compare(std::uint64_t seed, CorpusChips chips) {
  const Sample sample = draw_sample(seed, chips);
  EngineOptions options;
  options.kind = EngineKind::detailed;
  const Simulation detailed = simulate(sample.pipeline, sample.chip, sample.conditions, options);
  options.kind = EngineKind::fast;
  const Simulation fast = simulate(sample.pipeline, sample.chip, sample.conditions, options);
  Agreement out;
  out.seed = seed;
  out.text = sample.text;
  out.phase = sample.phase;
  out.limiter = limiter_class(detailed);
  out.detailed_us = kernel_time(detailed);
  out.fast_us = kernel_time(fast);
  out.error = out.fast_us / out.detailed_us - 1;
  out.fell_back = fast.fallbacks > 0;
  for (std::size_t k = 0; k < fast.kernels.size(); ++k) {
    const double points = 100 * (fast.kernels[k].l2_hit_rate - detailed.kernels[k].l2_hit_rate);
    if (std::abs(points) > std::abs(out.hit_points)) out.hit_points = points;
  }
  return out;
}

Spread spread_of(std::vector<double> values) {
  Spread out;
  out.count = values.size();
  if (values.empty()) return out;
  for (double v : values) out.mean += v / static_cast<double>(values.size());
  for (double& v : values) v = std::abs(v);
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) { return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))]; };
  out.p50 = at(0.5);
  out.p90 = at(0.9);
  out.p99 = at(0.99);
  out.worst = values.back();
  return out;
}

}  // namespace attnsim::test
