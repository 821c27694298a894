// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80
#include <chrono>
#include <cmath>
#include <numeric>

#include "validation/cuda/micro/micro.h"

namespace attnsim::cuda {

namespace {

constexpr MicroEntry kTable[] = {
    {"exponential", micro_exponential},
    {"launch", micro_launch},
    {"l2", micro_l2},
    {"hbm", micro_hbm},
    {"hbm_load", micro_hbm_load},
    {"cache_write", micro_cache_write},
    {"clock", micro_clock},
    {"tensor", micro_tensor},
    {"pipes", micro_pipes},
    {"latency", micro_latency},
    {"shared", micro_shared},
    {"barrier", micro_barrier},
    {"copy", micro_copy},
};

}  // namespace

double MicroRun::microseconds(const std::function<void()>& launch) {
  static cudaEvent_t begin = nullptr, end = nullptr;
  if (begin == nullptr) {
    check(cudaEventCreate(&begin), "cudaEventCreate");
    check(cudaEventCreate(&end), "cudaEventCreate");
  }
  check(cudaEventRecord(begin, nullptr), "cudaEventRecord");
  launch();
  check(cudaEventRecord(end, nullptr), "cudaEventRecord");
  check(cudaEventSynchronize(end), "microbenchmark");
  float ms = 0;
  check(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
  return 1e3 * static_cast<double>(ms);
}

void MicroRun::report(const std::string& figure, const std::string& unit, const std::string& conditions,
                      const std::function<double()>& sample) {
  constexpr double kStudent95 = 1.96;
  sample();  // warm-up
  std::vector<double> values;
  double mean = 0, half_width = 0;
  const auto start = std::chrono::steady_clock::now();
  while (values.size() < 200) {
    values.push_back(sample());
    const auto n = static_cast<double>(values.size());
    mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    double squares = 0;
    for (const double v : values) squares += (v - mean) * (v - mean);
    half_width = values.size() > 1 ? kStudent95 * std::sqrt(squares / (n - 1) / n) : mean;
    if (values.size() < 5) continue;
    if (half_width < 0.005 * std::fabs(mean)) break;
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds_) break;
  }
  results.push_back({name_, figure, unit, conditions, mean, half_width, static_cast<int>(values.size())});
}

std::vector<bench::Microbenchmark> run_microbenchmarks(const Machine& m, const std::string& only, double seconds_each) {
  std::vector<bench::Microbenchmark> all;
  for (const MicroEntry& entry : kTable) {
    if (std::string(entry.name).rfind(only, 0) != 0) continue;
    MicroRun run(m, entry.name, seconds_each);
    entry.run(run);
    check(cudaDeviceSynchronize(), entry.name);
    all.insert(all.end(), run.results.begin(), run.results.end());
  }
  return all;
}

}  // namespace attnsim::cuda
