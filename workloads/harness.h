// SPDX-License-Identifier: Apache-2.0
// How a set of timings was taken, as data: workloads/harnesses/NAME.json.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/core/json_fwd.h"
#include "sim/result/conditions.h"

namespace attnsim {

struct Harness {
  std::string name;
  std::string description;
  std::string source;
  Conditions conditions;                           // extra_kernels empty here
  std::vector<std::string> kv_cache_write_phases;  // phases whose rows contain the KV-cache write kernel
  bool adds_gradients = false;                     // backward rows contain the kernels that add gradients up
  std::map<std::string, double> phase_host_us;     // Conditions::host_us by phase
  std::vector<std::string> fitted;                 // names of fitted members, at most four

  [[nodiscard]] Conditions for_phase(const std::string& phase) const;
};

[[nodiscard]] std::vector<std::string> harness_names();
[[nodiscard]] Harness load_harness(const std::string& name);
[[nodiscard]] Harness parse_harness(const JsonDocument& document);

}  // namespace attnsim
