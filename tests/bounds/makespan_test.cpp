// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/makespan.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "tests/support/draw.h"

namespace attnsim::bounds {

namespace {

// The best makespan over all assignments of jobs to machines.
double optimal(const std::vector<double>& jobs, int machines) {
  double best = std::accumulate(jobs.begin(), jobs.end(), 0.0);
  std::vector<int> machine(jobs.size(), 0);
  while (true) {
    std::vector<double> load(static_cast<std::size_t>(machines), 0);
    for (std::size_t j = 0; j < jobs.size(); ++j) load[static_cast<std::size_t>(machine[j])] += jobs[j];
    best = std::min(best, *std::max_element(load.begin(), load.end()));
    std::size_t j = 0;
    while (j < jobs.size() && ++machine[j] == machines) machine[j++] = 0;
    if (j == jobs.size()) return best;
  }
}

}  // namespace

TEST_CASE("equal jobs take as many rounds as the fullest machine needs") {
  CHECK(makespan_bound({{3, 4}}, 3) == Approx(6));
  CHECK(makespan_bound({{3, 6}}, 3) == Approx(6));
  CHECK(makespan_bound({{3, 7}}, 3) == Approx(9));
  CHECK(makespan_bound({}, 3) == 0);
}

TEST_CASE("one long job bounds the makespan whatever the rest") {
  CHECK(makespan_bound({{1, 10}, {50, 1}}, 4) == Approx(50));
}

TEST_CASE("some machine gets two of the machines plus one largest jobs") {
  CHECK(makespan_bound({{5, 2}, {4, 1}, {1, 1}}, 2) == Approx(9));  // 5 + 4, above total / 2 = 7.5
}

TEST_CASE("the bound is never above the optimum and does not depend on how equal jobs are grouped") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    test::Draw draw(seed);
    const int machines = static_cast<int>(draw.integer(2, 3));
    std::vector<double> jobs;
    std::vector<JobRun> singles;
    for (std::int64_t i = draw.integer(1, 8); i > 0; --i) {
      jobs.push_back(static_cast<double>(draw.integer(0, 6)));
      singles.push_back({jobs.back(), 1});
    }
    std::vector<JobRun> runs;
    for (int time = 0; time <= 6; ++time) runs.push_back({static_cast<double>(time), std::count(jobs.begin(), jobs.end(), time)});
    const double bound = makespan_bound(singles, machines);
    INFO("seed " << seed);
    CHECK(bound <= optimal(jobs, machines) + 1e-12);
    CHECK(bound >= std::accumulate(jobs.begin(), jobs.end(), 0.0) / machines - 1e-12);
    CHECK(makespan_bound(runs, machines) == Approx(bound));
  }
}

}  // namespace attnsim::bounds
