// SPDX-License-Identifier: Apache-2.0
// sample_database FILE: a database with invented results, for the charts' test. Chip figures are round; times come from the
// roofline of each workload and fixed loss factors.
#include <algorithm>
#include <cstdio>
#include <string>

#include "sim/store/store.h"

using namespace attnsim;

namespace {

const ChipPeaks kPeaks{"bf16", 1755, 989, 67, 3.7, 3350, 5500, 29600, 40};

struct Shape {
  const char* name;
  const char* variant;
  const char* schedule;
  double tensor_flops;
  double head_dim;
  double hbm_bytes;
  double l2_bytes;
  double smem_bytes;
};

Result invent(const Shape& s) {
  Result r;
  r.workload = s.name;
  r.variant = s.variant;
  r.schedule = s.schedule;
  r.chip = "toy-hopper";
  r.peaks = kPeaks;
  r.counts.tensor_flops = s.tensor_flops;
  r.counts.useful_tensor_flops = 0.9 * s.tensor_flops;
  r.counts.exp_count = s.tensor_flops / (4 * s.head_dim);
  r.counts.hbm_bytes = s.hbm_bytes;
  r.counts.l2_bytes = s.l2_bytes;
  r.counts.smem_bytes = s.smem_bytes;
  const double flops_us = 0.9 * s.tensor_flops / (kPeaks.tensor_tflop_per_s * 1e6);
  const double roofline_us = std::max(flops_us, s.hbm_bytes / (kPeaks.hbm_gb_per_s * 1e3));
  r.ladder.time_us = {flops_us, roofline_us, 1.12 * roofline_us, 1.2 * roofline_us + 2, 1.5 * roofline_us + 4, std::nullopt};
  r.ladder.limiter = {"tensor", roofline_us > flops_us ? "hbm" : "tensor", "sfu", "waves", "latency", ""};
  r.bottleneck = r.ladder.limiter[1];
  r.engine = "fast";
  r.standing = "unvalidated: invented numbers";
  r.clock_mhz = kPeaks.clock_mhz;
  r.model_hash = "sample";
  r.resolved_config = std::string("{\"workload\":\"") + s.name + "\"}";
  return r;
}

void add_rows(Batch& batch) {
  const struct {
    const char *device, *kernel, *phase;
  } kKinds[] = {{"A100", "fa2", "prefill"},
                {"A100", "fa2", "decode"},
                {"H100", "fa3", "prefill"},
                {"H100", "fa3", "decode"},
                {"H100", "fa3", "encoder"}};
  unsigned state = 1;
  int key = 0;
  for (const auto& kind : kKinds) {
    for (int i = 0; i < 60; ++i) {
      state = state * 1664525U + 1013904223U;  // 24 high bits as a uniform number
      const double uniform = (state >> 8) / 16777216.0;
      double measured = 8;
      for (int k = 0; k < i; ++k) measured *= 1.12;
      batch.validation_rows.push_back({"library_attention.csv", std::to_string(key++), kind.device, kind.kernel, kind.phase, measured,
                                       measured * (0.8 + 0.45 * uniform), ""});
    }
  }
  batch.validation_rows.push_back(
      {"library_attention.csv", "unmapped", "H100", "fa4", "prefill", 100, std::nullopt, "no kernel map entry"});
}

// Two workloads over HBM bandwidth, SMs and SFU lanes; one point fails.
void add_sweep(Batch& batch, const Result& compute_bound, const Result& memory_bound) {
  batch.sweeps = {{"7377656570000000", "what-if", "{}"}};
  for (const int hbm : {2000, 3350, 4800, 6700}) {
    for (const int sms : {100, 132, 160}) {
      for (const int lanes : {16, 32}) {
        const std::string at = "{\"chip.hbm.bandwidth_gb_per_s\":" + std::to_string(hbm) + ",\"chip.sm.count\":" + std::to_string(sms) +
                               ",\"chip.sm.sfu_lanes\":" + std::to_string(lanes) + "}";
        Result a = compute_bound, b = memory_bound;
        a.ladder.time_us[4] = 300.0 * 132 / sms * (lanes == 16 ? 1 : 0.85);
        b.ladder.time_us[4] = 100 + 450.0 * 3350 / hbm;
        a.resolved_config += at;
        b.resolved_config += at;
        batch.points.push_back({"7377656570000000", at, a.workload, a, ""});
        const bool fails = hbm == 6700 && sms == 160 && lanes == 32;
        batch.points.push_back(
            {"7377656570000000", at, b.workload, fails ? std::nullopt : std::optional(b), fails ? "invented failure" : ""});
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: sample_database FILE\n");
    return 2;
  }
  const Result dense = invent({"one-head-32k", "causal", "fa3-sm90", 2.8e11, 128, 3.4e7, 4.4e9, 6.6e9});
  const Result window = invent({"one-head-32k-window-2k", "sliding-window", "fa3-sm90", 3.6e10, 128, 3.4e7, 6.0e8, 8.6e8});
  const Result prefill = invent({"llama-3.1-8b-prefill-4k", "causal", "fa3-sm90", 1.5e11, 128, 8.4e7, 2.3e9, 3.5e9});
  const Result small_head = invent({"prefill-4k-d64", "causal", "fa3-sm90", 1.4e11, 64, 8.4e7, 2.3e9, 3.9e9});
  const Result decode = invent({"llama-3.1-8b-decode-8k-batch-32", "dense", "splitkv-decode", 6.9e10, 128, 1.07e9, 1.08e9, 2.2e9});
  Batch batch;
  batch.results = {dense, window, prefill, small_head, decode};
  for (const Result& r : {dense, prefill, small_head, decode})
    batch.comparisons.push_back({identity(r), identity(r), compare(r.ladder, r.ladder)});
  batch.comparisons.push_back({identity(window), identity(dense), compare(window.ladder, dense.ladder)});
  add_rows(batch);
  add_sweep(batch, dense, decode);
  Store(argv[1]).save(run_record("sample_database", "", false, "0"), batch, 0);
  return 0;
}
