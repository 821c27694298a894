// SPDX-License-Identifier: Apache-2.0
// Lower bounds on the time in which any dispatcher can finish independent jobs on identical machines.
//   makespan_bound({{3, 4}}, 3) == 6   // four jobs of 3 on three machines: two meet
#pragma once

#include <cstdint>
#include <vector>

namespace attnsim::bounds {

struct JobRun {
  double time = 0;
  std::int64_t count = 1;  // equal jobs
};

// The largest of: total / machines; for m = 0, 1, ... the m + 1 smallest of the m * machines + 1 largest jobs, because some
// machine gets m + 1 of those. Jobs are aggregated in runs; the cost does not grow with the counts beyond one step per m.
[[nodiscard]] double makespan_bound(std::vector<JobRun> jobs, std::int64_t machines);

}  // namespace attnsim::bounds
