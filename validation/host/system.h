// SPDX-License-Identifier: Apache-2.0
// What the operating system says about the processor.
#pragma once

#include <cstdint>
#include <string>

namespace attnsim::host {

struct System {
  std::string cpu;  // model name, "unknown CPU" where none is told
  int cores = 1;    // that this process may use
  std::int64_t l2_bytes = 512 * 1024;
  std::int64_t llc_bytes = 16 * 1024 * 1024;
  std::int64_t memory_bytes = 0;
};
[[nodiscard]] System read_system();

// Times that the scheduler took a core away from a thread of this process while it wanted to run.
[[nodiscard]] std::int64_t preemptions();

}  // namespace attnsim::host
