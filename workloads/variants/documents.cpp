// SPDX-License-Identifier: Apache-2.0
// Masks of packed training sequences: documents, prefixes, blocks, answers to one question.
#include <fmt/format.h>

#include <algorithm>

#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

constexpr const char* kEach = "4096 each";

MaskTest with_documents(const Problem& problem, std::int64_t entry) {
  MaskTest test;
  add_documents(test, text_param(problem, "documents", kEach), problem.q_len_of(entry), problem.kv_len_of(entry));
  return test;
}

Expression same_document() {
  return query_value(0) == key_value(0);
}

// Table 1: position of a token inside its document.
void add_offsets(MaskTest& test, std::int64_t q_len) {
  const TokenValues& documents = test.key_values.at(0);
  TokenValues offsets;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    offsets.push_back(i > 0 && documents[i] == documents[i - 1] ? offsets.back() + 1 : 0);
  }
  test.query_values.emplace_back(offsets.end() - q_len, offsets.end());
  test.key_values.push_back(std::move(offsets));
}

std::vector<HeadMask> document(const Problem& problem, std::int64_t entry) {
  MaskTest test = with_documents(problem, entry);
  if (flag_param(problem, "causal", true)) test.all_of.push_back(key() <= position(problem, entry));
  test.all_of.push_back(same_document());
  return for_all_heads(problem, entry, std::move(test));
}

constexpr std::int64_t kPrefix = 1024;

std::vector<HeadMask> prefix_lm(const Problem& problem, std::int64_t entry) {
  const Expression seen = key() < integer_param(problem, "prefix", kPrefix) || key() <= position(problem, entry);
  return for_all_heads(problem, entry, MaskTest{{seen}, {}, {}});
}

std::vector<HeadMask> prefix_lm_document(const Problem& problem, std::int64_t entry) {
  MaskTest test = with_documents(problem, entry);
  add_offsets(test, problem.q_len_of(entry));
  test.all_of = {same_document(), key_value(1) < integer_param(problem, "prefix", kPrefix) || key() <= position(problem, entry)};
  return for_all_heads(problem, entry, std::move(test));
}

constexpr std::int64_t kCausalBlock = 2048;

std::vector<HeadMask> block_causal_document(const Problem& problem, std::int64_t entry) {
  const std::int64_t block = count_param(problem, "block", kCausalBlock);
  MaskTest test = with_documents(problem, entry);
  test.all_of = {same_document(), key() / block <= position(problem, entry) / block};
  return for_all_heads(problem, entry, std::move(test));
}

// The last block sees everything before it, the others their own tokens only.
std::vector<HeadMask> causal_blockwise(const Problem& problem, std::int64_t entry) {
  const std::int64_t block = count_param(problem, "block", kCausalBlock);
  const std::int64_t last = (problem.kv_len_of(entry) - 1) / block;
  const Expression p = position(problem, entry);
  return for_all_heads(problem, entry, MaskTest{{key() <= p, p / block == key() / block || p / block == last}, {}, {}});
}

constexpr std::int64_t kQuestion = 1024;
constexpr std::int64_t kAnswer = 512;

std::vector<HeadMask> shared_question(const Problem& problem, std::int64_t entry) {
  const std::int64_t question = integer_param(problem, "question", kQuestion);
  const std::int64_t answer = count_param(problem, "answer", kAnswer);
  const Expression p = position(problem, entry);
  const Expression same_answer = (p - question) / answer == (key() - question) / answer;
  return for_all_heads(problem, entry, MaskTest{{key() < question || (same_answer && key() <= p)}, {}, {}});
}

constexpr std::int64_t kSource = 1024;
constexpr std::int64_t kWait = 3;

// Source tokens first. Target token t, which predicts its successor, has read wait + t source tokens.
std::vector<HeadMask> group_position(const Problem& problem, std::int64_t entry) {
  const std::int64_t source = integer_param(problem, "source", kSource);
  const std::int64_t wait = integer_param(problem, "wait", kWait);
  if (source > problem.kv_len_of(entry)) {
    bad_param("source", std::to_string(source), "is more than there are keys", fmt::format("up to {}", problem.kv_len_of(entry)));
  }
  const Expression p = position(problem, entry);
  return for_all_heads(problem, entry, MaskTest{{key() <= p, p < source || key() >= source || key() < p - source + wait}, {}, {}});
}

ParamSpec documents_spec() {
  return {"documents", std::string(kEach), "lengths of the documents: \"1000, 500, 2000\" or \"4096 each\"", {}};
}

constexpr std::string_view kLongCa = "Long-Context Attention Benchmark, arXiv 2510.17896";

}  // namespace

Variant document_variant() {
  return tile_list("document", "attention inside each document of a packed sequence, causal or in both directions",
                   "Krell et al., Efficient Sequence Packing without Cross-contamination, arXiv 2107.02027",
                   {documents_spec(), {"causal", true, "whether a query sees only what stands before it", {}}}, document, "A4-");
}

Variant prefix_lm_variant() {
  return tile_list("prefix-lm", "causal attention, and every query sees the whole prefix", "Raffel et al., T5, arXiv 1910.10683",
                   {{"prefix", kPrefix, "first keys, which all queries see", {}}}, prefix_lm, "A4-");
}

Variant prefix_lm_document_variant() {
  return tile_list("prefix-lm-document", "prefix-lm inside each document of a packed sequence", kLongCa,
                   {documents_spec(), {"prefix", kPrefix, "first keys of a document, which all its queries see", {}}}, prefix_lm_document,
                   "A4-");
}

Variant block_causal_document_variant() {
  return tile_list("block-causal-document", "attention to the query's own and earlier blocks of its document", kLongCa,
                   {documents_spec(), {"block", kCausalBlock, "tokens per block", {}}}, block_causal_document, "A4-");
}

Variant causal_blockwise_variant() {
  return tile_list("causal-blockwise", "causal attention inside blocks; the last block sees everything before it", kLongCa,
                   {{"block", kCausalBlock, "tokens per block", {}}}, causal_blockwise, "A4-");
}

Variant shared_question_variant() {
  return tile_list("shared-question", "one question and many answers: an answer sees the question and itself, causally", kLongCa,
                   {{"question", kQuestion, "first tokens, which all see", {}}, {"answer", kAnswer, "tokens per answer", {}}},
                   shared_question, "A4-");
}

Variant group_position_variant() {
  return tile_list(
      "group-position", "a target that reads its source as it streams in: the staircase of a wait-k policy",
      "LLM as Effective Streaming Processor (group position encoding), arXiv 2505.16983",
      {{"source", kSource, "first tokens: the source", {}}, {"wait", kWait, "source tokens read before the first target token", {}}},
      group_position, "A13-");
}

}  // namespace attnsim
