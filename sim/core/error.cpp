// SPDX-License-Identifier: Apache-2.0
#include "sim/core/error.h"

#include <algorithm>
#include <numeric>

namespace attnsim {

namespace {

std::string render(const std::vector<ConfigIssue>& issues) {
  std::string text;
  for (const ConfigIssue& issue : issues) {
    if (!text.empty()) text += '\n';
    if (!issue.file.empty()) text += issue.file + ": ";
    text += (issue.pointer.empty() ? std::string("/") : issue.pointer) + ": ";
    if (!issue.value.empty()) text += issue.value + " ";
    text += issue.problem;
    if (!issue.allowed.empty()) text += "; allowed: " + issue.allowed;
    if (!issue.nearest.empty()) text += "; nearest: \"" + issue.nearest + "\"";
  }
  return text;
}

// Insertions, deletions, substitutions and swaps of neighbours: the swap is the commonest slip.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

ConfigError::ConfigError(std::vector<ConfigIssue> issues) : std::runtime_error(render(issues)), issues_(std::move(issues)) {}

std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace attnsim
