// SPDX-License-Identifier: Apache-2.0
#include "workloads/variant.h"

#include "sim/core/error.h"

namespace attnsim {

namespace {

const ParamSpec& alignment_spec() {
  static const ParamSpec spec{"alignment",
                              std::string("bottom-right"),
                              "where the diagonal ends when q_len and kv_len differ: bottom-right lets the last query see the last key",
                              {"top-left", "bottom-right"}};
  return spec;
}

// A missing parameter has its default.
std::int64_t shift_of(const Problem& problem, std::int64_t q_len, std::int64_t kv_len) {
  const auto it = problem.params.find("alignment");
  if (it != problem.params.end() && std::get<std::string>(it->second) == "top-left") return 0;
  return kv_len - q_len;
}

std::int64_t integer_param(const Problem& problem, const char* name, std::int64_t fallback) {
  const auto it = problem.params.find(name);
  return it == problem.params.end() ? fallback : std::get<std::int64_t>(it->second);
}

Band dense_band(const Problem&, std::int64_t, std::int64_t) {
  return {};
}

Band causal_band(const Problem& problem, std::int64_t q_len, std::int64_t kv_len) {
  return {shift_of(problem, q_len, kv_len), -kUnbounded, 0};
}

Band window_band(const Problem& problem, std::int64_t q_len, std::int64_t kv_len) {
  const std::int64_t left = integer_param(problem, "left", 1023);
  const std::int64_t right = integer_param(problem, "right", 0);
  return {shift_of(problem, q_len, kv_len), left < 0 ? -kUnbounded : -left, right < 0 ? kUnbounded : right};
}

const std::vector<Variant>& table() {
  static const std::vector<Variant> rows{
      {"dense", "tile-list", "softmax attention, every query sees every key", "Vaswani et al., arXiv 1706.03762", {}, dense_band},
      {"causal",
       "tile-list",
       "softmax attention, a query sees the keys up to its own position",
       "Vaswani et al., arXiv 1706.03762",
       {alignment_spec()},
       causal_band},
      {"sliding-window",
       "tile-list",
       "softmax attention, a query sees `left` keys before and `right` keys after its own position",
       "Beltagy et al., arXiv 2004.05150; Jiang et al., arXiv 2310.06825",
       {{"left", std::int64_t{1023}, "keys kept before the query's own; -1: all", {}},
        {"right", std::int64_t{0}, "keys kept after the query's own; -1: all, 0: causal", {}},
        alignment_spec()},
       window_band},
      {"gemm",
       "gemm",
       "matrix product C = A B of m x k by k x n, as a linear layer runs it",
       "Dongarra et al., A Set of Level 3 Basic Linear Algebra Subprograms, 1990",
       {},
       nullptr,
       ShapeKind::gemm},
      {"softmax", "rowwise", "softmax of m rows of n columns", "Milakov and Gimelshein, arXiv 1805.02867", {}, nullptr, ShapeKind::rows},
      {"layernorm",
       "rowwise",
       "layer norm of m rows of n columns, without scale and shift",
       "Ba et al., arXiv 1607.06450",
       {},
       nullptr,
       ShapeKind::rows},
  };
  return rows;
}

}  // namespace

std::span<const Variant> variants() {
  return table();
}

const Variant& variant(const std::string& name) {
  std::vector<std::string> names;
  std::string allowed;
  for (const Variant& v : table()) {
    if (v.name == name) return v;
    names.emplace_back(v.name);
    allowed += (allowed.empty() ? "" : ", ") + std::string(v.name);
  }
  throw ConfigError(ConfigIssue{"", "/variant", "\"" + name + "\"", "is no variant", allowed, nearest_name(name, names)});
}

}  // namespace attnsim
