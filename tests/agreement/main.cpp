// SPDX-License-Identifier: Apache-2.0
// agreement_corpus FIRST COUNT [--rows] [--wide | --masked]: plays COUNT seeds with both engines and prints how far `fast` is from
// `detailed`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "tests/agreement/compare.h"

using namespace attnsim::test;

namespace {

void print(const std::string& name, const std::vector<Agreement>& rows) {
  std::vector<double> time;
  std::vector<double> hits;
  for (const Agreement& row : rows) {
    time.push_back(100 * row.error);
    hits.push_back(row.hit_points);
  }
  const Spread t = spread_of(time);
  const Spread h = spread_of(hits);
  fmt::print("{:<10}{:>6}  {:>+7.2f}{:>7.2f}{:>7.2f}{:>7.2f}{:>7.2f}   {:>+7.2f}{:>7.2f}{:>7.2f}{:>7.2f}{:>7.2f}\n", name, t.count, t.mean,
             t.p50, t.p90, t.p99, t.worst, h.mean, h.p50, h.p90, h.p99, h.worst);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "agreement_corpus FIRST COUNT [--rows] [--wide | --masked]\n");
    return 2;
  }
  const std::uint64_t first = std::stoull(argv[1]);
  const std::uint64_t count = std::stoull(argv[2]);
  const std::vector<std::string> flags(argv + 3, argv + argc);
  const auto given = [&](const char* flag) { return std::find(flags.begin(), flags.end(), flag) != flags.end(); };
  const bool print_rows = given("--rows");
  const CorpusChips chips = given("--wide") ? CorpusChips::wide : given("--masked") ? CorpusChips::masked : CorpusChips::small;
  std::vector<Agreement> rows;
  std::map<std::string, std::vector<Agreement>> groups;
  std::size_t fallbacks = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    rows.push_back(compare(seed, chips));
    const Agreement& row = rows.back();
    groups["limit " + row.limiter].push_back(row);
    groups[row.phase].push_back(row);
    fallbacks += row.fell_back ? 1 : 0;
    if (print_rows) {
      fmt::print("{:>6} {:>+7.2f} % {:>+7.2f} pt {:>9.2f} us {:>9.2f} us {} {}\n", row.seed, 100 * row.error, row.hit_points,
                 row.detailed_us, row.fast_us, row.limiter, row.text);
    }
  }
  fmt::print("{:<10}{:>6}  {:>35}   {:>35}\n", "", "", "time, % (mean, P50 P90 P99 worst)", "L2 hits, points");
  print("all", rows);
  for (const auto& [name, group] : groups) print(name, group);
  fmt::print("fallbacks to detailed: {} of {}\n", fallbacks, rows.size());
  std::sort(rows.begin(), rows.end(), [](const Agreement& a, const Agreement& b) { return std::abs(a.error) > std::abs(b.error); });
  fmt::print("worst by time:\n");
  for (std::size_t i = 0; i < std::min<std::size_t>(8, rows.size()); ++i) {
    fmt::print("{:>6} {:>+7.2f} % {:>+7.2f} pt {} {}\n", rows[i].seed, 100 * rows[i].error, rows[i].hit_points, rows[i].limiter,
               rows[i].text);
  }
  return 0;
}
