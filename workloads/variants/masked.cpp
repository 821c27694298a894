// SPDX-License-Identifier: Apache-2.0
// Attention under a mask that the config writes out.
#include <fmt/format.h>

#include <functional>
#include <map>
#include <numeric>

#include "workloads/masks/expression_mask.h"
#include "workloads/masks/parser.h"
#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

constexpr const char* kDefault = "k <= q + shift";

void check_layout(const std::vector<std::int64_t>& layout, const std::string& text, std::int64_t q_len, std::int64_t kv_len) {
  if (layout.empty()) return;
  const std::int64_t tokens = std::accumulate(layout.begin(), layout.end(), std::int64_t{1}, std::multiplies<>());
  if (tokens != kv_len || tokens != q_len) {
    bad_param("layout", "\"" + text + "\"", fmt::format("holds {} tokens, the problem has {} queries and {} keys", tokens, q_len, kv_len));
  }
}

std::vector<HeadMask> parsed_masks(const Problem& problem, std::int64_t entry) {
  const std::string text = text_param(problem, "mask", kDefault);
  const std::string documents = text_param(problem, "documents", "");
  const std::string layout = text_param(problem, "layout", "");
  const std::int64_t q_len = problem.q_len_of(entry);
  const std::int64_t kv_len = problem.kv_len_of(entry);
  MaskTest tables;
  if (!documents.empty()) add_documents(tables, documents, q_len, kv_len);
  Vocabulary words;
  words.documents = !documents.empty();
  words.layout = layout_of(layout);
  check_layout(words.layout, layout, q_len, kv_len);
  words.numbers = {{"head", 0}, {"heads", problem.q_heads}, {"q_len", q_len}, {"kv_len", kv_len}, {"shift", kv_len - q_len}};

  std::map<std::string, std::shared_ptr<const Mask>> known;
  std::vector<HeadMask> list;
  for (std::int64_t head = 0; head < problem.q_heads; ++head) {
    words.numbers["head"] = head;
    const Expression e = parse_mask(text, words);
    const std::string name = to_text(e);
    auto found = known.find(name);
    if (found == known.end()) {
      MaskTest test = tables;
      test.all_of = {e};
      found = known.emplace(name, std::make_shared<ExpressionMask>(std::move(test), q_len, kv_len)).first;
    }
    if (!list.empty() && list.back().mask == found->second) {
      ++list.back().heads;
    } else {
      list.push_back({head, 1, found->second});
    }
  }
  return list;
}

}  // namespace

Variant masked_variant() {
  Variant v;
  v.name = "masked";
  v.family = "tile-list";
  v.description = "softmax attention under a mask written in the config, over query q, key k, head, documents and coordinates";
  v.paper = "Dong et al., Flex Attention, arXiv 2412.05496";
  v.params = {
      {"mask",
       std::string(kDefault),
       "which keys k a query q keeps; q and k count from 0, the queries are the last tokens when there are fewer (q + shift among the "
       "keys). Also: head, heads, q_len, kv_len, shift, doc(q), doc(k), q.x q.y q.z k.x ..., coord(q, axis), abs, min, max, "
       "+ - * / %, comparisons, && || !",
       {}},
      {"documents", std::string(""), "lengths of the documents that doc() numbers: \"1000, 500, 2000\" or \"4096 each\"", {}},
      {"layout", std::string(""), "extents of the grid whose axes are x, y, z, slowest first: \"30x48x80\"", {}}};
  v.masks = parsed_masks;
  return v;
}

}  // namespace attnsim
