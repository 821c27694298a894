// SPDX-License-Identifier: Apache-2.0
// The three kinds of failure. Only sim/cli turns them into an exit code:
//   ConfigError -> 2 (the user can mend it), SimError -> 3 (the model can't go on), Invariant -> 4 (our fault).
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace attnsim {

// One wrong field. Rendered as
//   run.json: /workloads/0/shape/kv_heads: 7 does not divide q_heads 32; allowed: 1, 2, 4, 8, 16, 32
//   run.json: /chip: "h100-smx" is no chip; allowed: ...; nearest: "h100-sxm"
struct ConfigIssue {
  std::string file;     // "" when the document has no file
  std::string pointer;  // JSON pointer
  std::string value;    // as written, shortened
  std::string problem;
  std::string allowed;  // "" when nothing can be listed
  std::string nearest;  // "" when no name is near
};

class ConfigError : public std::runtime_error {
 public:
  explicit ConfigError(std::vector<ConfigIssue> issues);
  explicit ConfigError(ConfigIssue issue) : ConfigError(std::vector<ConfigIssue>{std::move(issue)}) {}
  [[nodiscard]] const std::vector<ConfigIssue>& issues() const { return issues_; }

 private:
  std::vector<ConfigIssue> issues_;
};

class SimError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Invariant : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

inline void require(bool ok, const char* what) {
  if (!ok) throw Invariant(what);
}

// The candidate with the smallest edit distance to `name`, "" if none is near (distance > max(2, size / 3)).
[[nodiscard]] std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace attnsim
