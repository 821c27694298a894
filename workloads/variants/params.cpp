// SPDX-License-Identifier: Apache-2.0
#include "workloads/variants/params.h"

#include <fmt/format.h>

#include <charconv>
#include <numeric>

#include "sim/core/error.h"
#include "workloads/masks/expression_mask.h"

namespace attnsim {

namespace {

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::optional<std::int64_t> positive(const std::string& text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value <= 0) return std::nullopt;
  return value;
}

std::vector<std::string> pieces(const std::string& text, char separator) {
  std::vector<std::string> list;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = text.find(separator, begin);
    list.push_back(trimmed(text.substr(begin, end == std::string::npos ? end : end - begin)));
    if (end == std::string::npos) return list;
    begin = end + 1;
  }
}

}  // namespace

std::int64_t integer_param(const Problem& problem, const std::string& name, std::int64_t fallback) {
  const auto it = problem.params.find(name);
  return it == problem.params.end() ? fallback : std::get<std::int64_t>(it->second);
}

bool flag_param(const Problem& problem, const std::string& name, bool fallback) {
  const auto it = problem.params.find(name);
  return it == problem.params.end() ? fallback : std::get<bool>(it->second);
}

std::int64_t count_param(const Problem& problem, const std::string& name, std::int64_t fallback) {
  const std::int64_t value = integer_param(problem, name, fallback);
  if (value < 1) bad_param(name, std::to_string(value), "is less than 1", "1 or more");
  return value;
}

std::string text_param(const Problem& problem, const std::string& name, const std::string& fallback) {
  const auto it = problem.params.find(name);
  return it == problem.params.end() ? fallback : std::get<std::string>(it->second);
}

void bad_param(const std::string& name, const std::string& value, const std::string& problem, const std::string& allowed,
               const std::string& nearest) {
  throw ConfigError(ConfigIssue{"", "/params/" + name, value, problem, allowed, nearest});
}

TokenValues documents_of(const std::string& text, std::int64_t tokens, const std::string& param, const std::string& what) {
  const char* const kForms = "\"1000, 500, 2000\" or \"4096 each\"";
  TokenValues documents;
  documents.reserve(static_cast<std::size_t>(tokens));
  const std::string all = trimmed(text);
  if (all.size() > 5 && all.substr(all.size() - 5) == " each") {
    const std::optional<std::int64_t> length = positive(trimmed(all.substr(0, all.size() - 5)));
    if (!length) bad_param(param, "\"" + text + "\"", "has no length before `each`", kForms);
    for (std::int64_t t = 0; t < tokens; ++t) documents.push_back(t / *length);
    return documents;
  }
  std::int64_t number = 0;
  for (const std::string& piece : pieces(all, ',')) {
    const std::optional<std::int64_t> length = positive(piece);
    if (!length) bad_param(param, "\"" + piece + "\"", fmt::format("is no length of {} {}", what, number), kForms);
    if (static_cast<std::int64_t>(documents.size()) + *length > tokens) {
      bad_param(param, "\"" + text + "\"", fmt::format("adds up to more than the {} tokens", tokens), kForms);
    }
    documents.insert(documents.end(), static_cast<std::size_t>(*length), number++);
  }
  if (static_cast<std::int64_t>(documents.size()) < tokens) {
    bad_param(param, "\"" + text + "\"", fmt::format("adds up to {} of the {} tokens", documents.size(), tokens), kForms);
  }
  return documents;
}

void add_documents(MaskTest& test, const std::string& text, std::int64_t q_len, std::int64_t kv_len) {
  if (q_len > kv_len) {
    bad_param("documents", "\"" + text + "\"",
              fmt::format("numbers the keys, but there are more queries ({}) than keys ({})", q_len, kv_len));
  }
  test.key_values.push_back(documents_of(text, kv_len));
  const TokenValues& keys = test.key_values.back();
  test.query_values.emplace_back(keys.end() - q_len, keys.end());
}

std::vector<std::int64_t> layout_of(const std::string& text) {
  std::vector<std::int64_t> extents;
  if (trimmed(text).empty()) return extents;
  for (const std::string& piece : pieces(text, 'x')) {
    const std::optional<std::int64_t> extent = positive(piece);
    if (!extent)
      bad_param("layout", "\"" + text + "\"", fmt::format("has an extent `{}`", piece), "numbers with x between, as in \"30x48x80\"");
    extents.push_back(*extent);
  }
  return extents;
}

std::vector<HeadMask> for_all_heads(const Problem& problem, std::shared_ptr<const Mask> mask) {
  return {{0, problem.q_heads, std::move(mask)}};
}

std::vector<HeadMask> for_all_heads(const Problem& problem, std::int64_t entry, MaskTest test) {
  return for_all_heads(problem, std::make_shared<ExpressionMask>(std::move(test), problem.q_len_of(entry), problem.kv_len_of(entry)));
}

std::int64_t shift_of(const Problem& problem, std::int64_t entry) {
  return problem.kv_len_of(entry) - problem.q_len_of(entry);
}

Expression position(const Problem& problem, std::int64_t entry) {
  return query() + Expression(shift_of(problem, entry));
}

Variant tile_list(std::string_view name, std::string_view description, std::string_view paper, std::vector<ParamSpec> params,
                  std::vector<HeadMask> (*masks)(const Problem&, std::int64_t), std::string_view claims) {
  Variant v;
  v.name = name;
  v.family = "tile-list";
  v.description = description;
  v.paper = paper;
  v.params = std::move(params);
  v.masks = masks;
  v.claims = claims;
  return v;
}

}  // namespace attnsim
