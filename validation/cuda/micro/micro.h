// SPDX-License-Identifier: Apache-2.0
// A microbenchmark varies one parameter and reports, per value of it, the mean of repeated samples with its confidence interval.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "validation/cuda/problem.h"

namespace attnsim::cuda {

class MicroRun {
 public:
  MicroRun(const Machine& m, std::string name, double seconds) : machine(m), name_(std::move(name)), seconds_(seconds) {}
  const Machine& machine;

  // Calls `sample` until the confidence interval is below half a per cent or the time for one value is over (at least 5 times), then
  // reports. `figure`: dotted path of a chip figure, or empty.
  void report(const std::string& figure, const std::string& unit, const std::string& conditions, const std::function<double()>& sample);
  // Time of what `launch` puts on the default stream, microseconds.
  static double microseconds(const std::function<void()>& launch);
  std::vector<bench::Microbenchmark> results;

 private:
  std::string name_;
  double seconds_;
};

struct MicroEntry {
  const char* name;
  void (*run)(MicroRun&);
};

[[nodiscard]] std::vector<bench::Microbenchmark> run_microbenchmarks(const Machine& m, const std::string& only, double seconds_each);

// One per file of this folder.
void micro_exponential(MicroRun& run);
void micro_pipes(MicroRun& run);
void micro_tensor(MicroRun& run);
void micro_hbm(MicroRun& run);
void micro_hbm_load(MicroRun& run);
void micro_l2(MicroRun& run);
void micro_latency(MicroRun& run);
void micro_shared(MicroRun& run);
void micro_launch(MicroRun& run);
void micro_barrier(MicroRun& run);
void micro_copy(MicroRun& run);
void micro_clock(MicroRun& run);
void micro_cache_write(MicroRun& run);

}  // namespace attnsim::cuda
