// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/makespan.h"

#include <algorithm>

#include "sim/core/error.h"

namespace attnsim::bounds {

namespace {

// Jobs in descending order, with prefix sums over runs: sum(k) is the time of the k longest.
class Longest {
 public:
  explicit Longest(const std::vector<JobRun>& sorted) : runs_(&sorted) {
    for (const JobRun& run : sorted) {
      jobs_before_.push_back(jobs_);
      time_before_.push_back(time_);
      jobs_ += run.count;
      time_ += run.time * static_cast<double>(run.count);
    }
  }
  [[nodiscard]] std::int64_t jobs() const { return jobs_; }
  [[nodiscard]] double total() const { return time_; }
  // `run` is where the last call for a smaller k ended; 0 at first.
  [[nodiscard]] double sum(std::int64_t k, std::size_t& run) const {
    if (k <= 0) return 0;
    while (run + 1 < jobs_before_.size() && jobs_before_[run + 1] < k) ++run;
    return time_before_[run] + static_cast<double>(k - jobs_before_[run]) * (*runs_)[run].time;
  }

 private:
  const std::vector<JobRun>* runs_;
  std::vector<std::int64_t> jobs_before_;
  std::vector<double> time_before_;
  std::int64_t jobs_ = 0;
  double time_ = 0;
};

}  // namespace

double makespan_bound(std::vector<JobRun> jobs, std::int64_t machines) {
  require(machines > 0, "makespan_bound: no machines");
  std::erase_if(jobs, [](const JobRun& run) { return run.count <= 0; });
  const auto longer = [](const JobRun& a, const JobRun& b) { return a.time > b.time; };
  if (jobs.size() > 1 && jobs.front().time < jobs.back().time) std::reverse(jobs.begin(), jobs.end());
  if (!std::is_sorted(jobs.begin(), jobs.end(), longer)) std::stable_sort(jobs.begin(), jobs.end(), longer);
  const Longest longest(jobs);
  if (longest.jobs() == 0) return 0;
  double bound = std::max(longest.total() / static_cast<double>(machines), jobs.front().time);
  std::size_t upper = 0;
  std::size_t lower = 0;
  for (std::int64_t m = 1; m * machines + 1 <= longest.jobs(); ++m) {
    const std::int64_t considered = m * machines + 1;
    bound = std::max(bound, longest.sum(considered, upper) - longest.sum(considered - m - 1, lower));
  }
  return bound;
}

}  // namespace attnsim::bounds
