// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <tuple>

#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

using Stratum = std::tuple<std::string, std::string, std::string, int>;

Stratum stratum_of(const MeasuredRow& row) {
  return {row.file, row.kernel, row.phase, static_cast<int>(std::floor(std::log10(row.measured_us)))};
}

std::string draw_key(const MeasuredRow& row, std::uint64_t seed) {
  const std::string identity = fmt::format("{}|{}|{}|{}|{}|{}", seed, row.file, row.device, row.kernel, row.shape, row.id);
  return content_hash(identity) + identity;
}

// How many of `most` each stratum gets, by largest remainder; ties in the order of the strata.
std::vector<std::size_t> shares(const std::vector<std::size_t>& sizes, std::size_t most) {
  const std::size_t all = std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
  std::vector<std::size_t> share(sizes.size(), 0);
  std::vector<std::pair<std::size_t, std::size_t>> remainders;  // remainder, stratum
  std::size_t given = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    share[i] = std::max<std::size_t>(sizes[i] * most / all, given < most ? 1 : 0);
    given += share[i];
    remainders.emplace_back(sizes[i] * most % all, i);
  }
  std::stable_sort(remainders.begin(), remainders.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (std::size_t turn = 0; given < most; ++turn) {
    const std::size_t i = remainders[turn % remainders.size()].second;
    if (share[i] == sizes[i]) continue;
    ++share[i];
    ++given;
  }
  // The minimum of one may have given too much away: the largest strata pay.
  while (given > most) {
    --*std::max_element(share.begin(), share.end());
    --given;
  }
  return share;
}

}  // namespace

std::vector<std::size_t> stratified_sample(std::span<const MeasuredRow> rows, std::size_t most, std::uint64_t seed) {
  std::vector<std::size_t> chosen(rows.size());
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  if (most == 0 || most >= rows.size()) return chosen;

  std::map<Stratum, std::vector<std::pair<std::string, std::size_t>>> strata;
  for (std::size_t i = 0; i < rows.size(); ++i) strata[stratum_of(rows[i])].emplace_back(draw_key(rows[i], seed), i);
  std::vector<std::size_t> sizes;
  for (const auto& [stratum, members] : strata) sizes.push_back(members.size());
  const std::vector<std::size_t> share = shares(sizes, most);

  chosen.clear();
  std::size_t s = 0;
  for (auto& [stratum, members] : strata) {
    std::sort(members.begin(), members.end());
    for (std::size_t i = 0; i < share[s]; ++i) chosen.push_back(members[i].second);
    ++s;
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace attnsim
