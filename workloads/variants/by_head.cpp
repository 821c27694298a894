// SPDX-License-Identifier: Apache-2.0
// Patterns that differ by head.
#include <algorithm>
#include <charconv>
#include <map>

#include "workloads/masks/expression_mask.h"
#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

constexpr std::int64_t kHeadBlock = 64;
constexpr std::int64_t kLocal = 8;
constexpr std::int64_t kStride = 16;

// Neighbours of equal patterns are one class; other heads of an equal pattern share the mask.
class HeadClasses {
 public:
  HeadClasses(const Problem& problem, std::int64_t entry) : q_len_(problem.q_len_of(entry)), kv_len_(problem.kv_len_of(entry)) {}

  // Adds `heads` heads whose mask is known by a number.
  template <class MakeTest>
  void add(std::int64_t heads, std::int64_t number, MakeTest&& test) {
    auto found = known_.find(number);
    if (found == known_.end()) found = known_.emplace(number, std::make_shared<ExpressionMask>(test(), q_len_, kv_len_)).first;
    if (!list_.empty() && list_.back().mask == found->second) {
      list_.back().heads += heads;
    } else {
      list_.push_back({next_, heads, found->second});
    }
    next_ += heads;
  }
  std::vector<HeadMask> take() { return std::move(list_); }

 private:
  std::int64_t q_len_;
  std::int64_t kv_len_;
  std::int64_t next_ = 0;
  std::vector<HeadMask> list_;
  std::map<std::int64_t, std::shared_ptr<const Mask>> known_;
};

std::vector<HeadMask> s2_attention(const Problem& problem, std::int64_t entry) {
  const std::int64_t block = integer_param(problem, "block", kHeadBlock);
  const std::int64_t local = integer_param(problem, "local", kLocal);
  const std::int64_t stride = integer_param(problem, "stride", kStride);
  const std::int64_t offset = integer_param(problem, "offset", 0);
  if (block < 1) bad_param("block", std::to_string(block), "is less than 1", "1 or more");
  if (stride < 1) bad_param("stride", std::to_string(stride), "is less than 1", "1 or more");
  const std::int64_t step = std::max<std::int64_t>(1, stride / problem.kv_heads);
  const Expression p = position(problem, entry);
  HeadClasses classes(problem, entry);
  for (std::int64_t h = 0; h < problem.kv_heads; ++h) {
    const std::int64_t phase = (h * step + offset) % stride;
    classes.add(problem.group(), phase, [&] {
      const Expression near = p / block - key() / block < local;
      return MaskTest{{key() <= p, near || (key() / block + phase) % stride == 0}, {}, {}};
    });
  }
  return classes.take();
}

constexpr const char* kRules = "0+1/8, 0+1/4, 0+1/2, 0+1";
constexpr std::int64_t kSink = 64;
constexpr std::int64_t kSpanUnit = 64;

// span = alpha + N * numerator / denominator
struct SpanRule {
  std::int64_t alpha = 0;
  std::int64_t numerator = 1;
  std::int64_t denominator = 1;
};

const char* const kRuleForm = "\"alpha+beta\" per head, the list repeated, as in \"-1024+1/2, 0+1/8, 1024+1/4\"";

SpanRule rule_of(const std::string& text) {
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  const auto number = [&](std::int64_t& value) {
    while (at != end && *at == ' ') ++at;
    const auto [stop, error] = std::from_chars(at, end, value);
    if (error != std::errc()) bad_param("rules", "\"" + text + "\"", "is no rule of a span", kRuleForm);
    at = stop;
  };
  SpanRule rule;
  number(rule.alpha);
  if (at == end || *at++ != '+') bad_param("rules", "\"" + text + "\"", "lacks the part that grows with the length", kRuleForm);
  number(rule.numerator);
  if (at != end && *at == '/') {
    ++at;
    number(rule.denominator);
  }
  while (at != end && *at == ' ') ++at;
  if (at != end || rule.denominator < 1 || rule.numerator < 0) bad_param("rules", "\"" + text + "\"", "is no rule of a span", kRuleForm);
  return rule;
}

std::vector<SpanRule> rules_of(const std::string& text) {
  std::vector<SpanRule> rules;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    rules.push_back(rule_of(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return rules;
}

// Sink and band together hold `span` keys.
std::vector<HeadMask> moa(const Problem& problem, std::int64_t entry) {
  const std::vector<SpanRule> rules = rules_of(text_param(problem, "rules", kRules));
  const std::int64_t sink = integer_param(problem, "sink", kSink);
  const std::int64_t n = problem.kv_len_of(entry);
  const Expression p = position(problem, entry);
  HeadClasses classes(problem, entry);
  for (std::int64_t h = 0; h < problem.q_heads; ++h) {
    const SpanRule& rule = rules[static_cast<std::size_t>(h) % rules.size()];
    const std::int64_t wanted = rule.alpha + n * rule.numerator / rule.denominator;
    const std::int64_t span = std::clamp((wanted + kSpanUnit - 1) / kSpanUnit * kSpanUnit, kSpanUnit, n);
    const std::int64_t band = std::max<std::int64_t>(span - sink, 1);
    classes.add(1, band, [&] { return MaskTest{{key() <= p, key() < sink || p - key() < band}, {}, {}}; });
  }
  return classes.take();
}

}  // namespace

Variant s2_attention_variant() {
  Variant v;
  v.name = "s2-attention";
  v.family = "tile-list";
  v.description = "causal attention to local blocks and to every stride-th block, shifted by KV head so that heads together see all";
  v.paper = "Lin et al., S2-Attention, arXiv 2407.17678";
  v.params = {{"block", kHeadBlock, "tokens per block", {}},
              {"local", kLocal, "latest blocks that a query sees, its own included", {}},
              {"stride", kStride, "distance of the other blocks it sees", {}},
              {"offset", std::int64_t{0}, "added to every head's shift, in blocks", {}}};
  v.masks = s2_attention;
  v.claims = "A5-";
  return v;
}

Variant moa_variant() {
  Variant v;
  v.name = "moa";
  v.family = "tile-list";
  v.description =
      "causal attention to sinks and a window whose span grows with the length by a rule of each head: mixture of attention spans";
  v.paper = "Fu et al., MoA, arXiv 2406.14909";
  v.params = {{"rules", std::string(kRules), "span of the heads in turn, repeated: alpha + beta N, rounded up to 64 keys", {}},
              {"sink", kSink, "first keys, which every query sees; part of the span", {}}};
  v.masks = moa;
  v.claims = "moa-";
  return v;
}

}  // namespace attnsim
