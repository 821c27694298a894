// SPDX-License-Identifier: Apache-2.0
// `attnsim validate --host`: measures this machine, predicts its kernels by what the microbenchmarks found, and compares. No row's time
// reaches the model.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "validation/bench/backend.h"
#include "validation/own_rows.h"

namespace attnsim {

struct HostOptions {
  bool quick = false;   // fewer rows and shorter timings
  double seconds = 0;   // for timings; 0: 60, quick 15
  std::string version;  // of attnsim
  std::function<void(const std::string&)> say;
};

struct HostValidation {
  bench::Device device;
  std::vector<bench::Microbenchmark> microbenchmarks;
  std::string overlay;  // document
  Chip chip;
  std::vector<OwnRow> rows;
  std::vector<bench::Check> failed_checks;  // of kernels that disagree with their reference; then nothing was timed
  std::vector<Disorder> disorders;          // clear speedups that the prediction has the wrong way round, after a second timing
  std::size_t pairs = 0;                    // clear pairs
  std::string too_busy;                     // why nothing was timed: other load left figures that no machine has

  [[nodiscard]] bool passed() const { return failed_checks.empty() && disorders.empty(); }
};
[[nodiscard]] HostValidation validate_host(const HostOptions& options);
[[nodiscard]] std::string host_text(const HostValidation& validation);

}  // namespace attnsim
