// SPDX-License-Identifier: Apache-2.0
#include "tests/store/sample.h"

#include <fstream>
#include <iterator>

namespace attnsim::test {

Result sample_result(const std::string& workload, double scale) {
  Result r;
  r.workload = workload;
  r.variant = "dense";
  r.schedule = "fa2-sm80";
  r.chip = "toy";
  r.ladder.time_us = {10 * scale, 20 * scale, 40 * scale, 50 * scale, 80 * scale, std::nullopt};
  r.ladder.limiter = {"tensor", "hbm", "tensor", "waves", "latency", ""};
  r.counts.tensor_flops = 4e6 * scale;
  r.counts.useful_tensor_flops = 3e6 * scale;
  r.counts.hbm_bytes = 1e4 * scale;
  r.counts.l2_bytes = 4e4 * scale;
  r.counts.smem_bytes = 2e5 * scale;
  for (const char* name : {"attention", "combine"}) {
    KernelResult k;
    k.name = name;
    k.limiter = "tensor";
    k.ladder = r.ladder;
    k.time_us = 40 * scale;
    k.items = 8;
    k.ctas = 4;
    k.ctas_per_sm = 1;
    k.l2_hit_rate = 0.5;
    k.counts = r.counts;
    k.resources = {{Resource::tensor, 0.75, {{"await", 0.125}, {"no work", 0.125}}}};
    r.kernels.push_back(k);
  }
  r.bottleneck = "tensor";
  r.harness_us = {{"constant", 5}};
  r.clock_mhz = 1000;
  r.energy_j = 0.25;
  r.average_power_w = 100;
  r.peaks = {"bf16", 1000, 100, 10, 1, 1000, 4000, 16000, 32};
  r.engine = "detailed";
  r.standing = "unvalidated: no row for this family and chip";
  r.model_hash = "00000000000000aa";
  r.resolved_config = "{\"scale\":" + std::to_string(scale) + "}";
  return r;
}

RunRecord sample_run(const std::string& host) {
  return {"2026-01-31T12:00:00Z", host, "attnsim run a.json", "abc123", true, "0.1.0"};
}

StoredComparison sample_comparison(const Result& result, const Result& baseline) {
  return {identity(result), identity(baseline), compare(result.ladder, baseline.ladder)};
}

std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace attnsim::test
