// SPDX-License-Identifier: Apache-2.0
// Parameters of a problem by name; a missing one has the given default, that of the variant's table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workloads/masks/expression.h"
#include "workloads/variant.h"

namespace attnsim {

[[nodiscard]] std::int64_t integer_param(const Problem& problem, const std::string& name, std::int64_t fallback);
[[nodiscard]] bool flag_param(const Problem& problem, const std::string& name, bool fallback);
// At least 1, as a divisor or a count.
[[nodiscard]] std::int64_t count_param(const Problem& problem, const std::string& name, std::int64_t fallback);
[[nodiscard]] std::string text_param(const Problem& problem, const std::string& name, const std::string& fallback);
// Reports a parameter that can't be used with this problem.
[[noreturn]] void bad_param(const std::string& name, const std::string& value, const std::string& problem, const std::string& allowed = "",
                            const std::string& nearest = "");

// Number of the document of each of `tokens` tokens. "1000, 500, 2000": lengths in turn, which must add up to the tokens; "4096 each":
// all of one length, the last as long as tokens are left.
[[nodiscard]] TokenValues documents_of(const std::string& text, std::int64_t tokens, const std::string& param = "documents",
                                       const std::string& what = "document");
// The same for queries and keys where queries are the last tokens: table 0 of both.
void add_documents(MaskTest& test, const std::string& text, std::int64_t q_len, std::int64_t kv_len);
// "30x48x80" -> {30, 48, 80}; {} for "".
[[nodiscard]] std::vector<std::int64_t> layout_of(const std::string& text);

// One mask for all heads of an entry.
[[nodiscard]] std::vector<HeadMask> for_all_heads(const Problem& problem, std::shared_ptr<const Mask> mask);
[[nodiscard]] std::vector<HeadMask> for_all_heads(const Problem& problem, std::int64_t entry, MaskTest test);
// Keys behind the first query: kv_len - q_len, so that the last query sees the last key.
[[nodiscard]] std::int64_t shift_of(const Problem& problem, std::int64_t entry);
// The key that a query stands at.
[[nodiscard]] Expression position(const Problem& problem, std::int64_t entry);

// A row of the table of variants, family tile-list.
[[nodiscard]] Variant tile_list(std::string_view name, std::string_view description, std::string_view paper, std::vector<ParamSpec> params,
                                std::vector<HeadMask> (*masks)(const Problem&, std::int64_t), std::string_view claims = "");

}  // namespace attnsim
