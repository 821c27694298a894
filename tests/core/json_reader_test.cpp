// SPDX-License-Identifier: Apache-2.0
#include "sim/core/json_reader.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

using namespace attnsim;

namespace {

template <class Function>
std::vector<ConfigIssue> issues_of(Function function) {
  try {
    function();
  } catch (const ConfigError& error) {
    return error.issues();
  }
  return {};
}

// The single issue of reading `text` with `read`; fails if there is another number of them.
template <class Read>
ConfigIssue single_issue(const std::string& text, Read read) {
  const auto issues = issues_of([&] {
    const JsonDocument document = parse_json(text, "run.json");
    FieldReader reader(document);
    read(reader);
    reader.finish();
  });
  REQUIRE(issues.size() == 1);
  return issues[0];
}

std::vector<ConfigIssue> parse_issues(const std::string& text) {
  return issues_of([&] { (void)parse_json(text, "run.json"); });
}

}  // namespace

TEST_CASE("a duplicate key is an error that names its pointer") {
  const auto issues = parse_issues(R"({"a": 1, "b": [{"c/d": 1, "c/d": 2}], "a": 3})");
  REQUIRE(issues.size() == 2);
  CHECK(issues[0].pointer == "/b/0/c~1d");
  CHECK(issues[1].pointer == "/a");
  CHECK(issues[0].file == "run.json");
  CHECK(issues[0].problem == "is given more than once");
}

TEST_CASE("equal keys of different objects are no duplicates") {
  CHECK(parse_issues(R"({"a": {"x": 1}, "b": {"x": 1, "a": 2}})").empty());
}

TEST_CASE("64 levels of nesting are read and 65 are refused") {
  CHECK(parse_issues(std::string(64, '[') + std::string(64, ']')).empty());
  const auto issues = parse_issues(std::string(65, '[') + std::string(65, ']'));
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].problem == "is nested too deeply");
  CHECK(parse_issues(std::string(2000000, '[')).size() == 1);
}

TEST_CASE("a syntax error reports the line and column of the offending character") {
  const auto issues = parse_issues("{\n  \"a\": 1,\n  \"b\": }\n");
  REQUIRE(issues.size() == 1);
  CHECK_THAT(issues[0].problem, Catch::StartsWith("line 3, column 8: "));
  CHECK(issues[0].pointer == "/b");
}

TEST_CASE("broken texts are config errors") {
  for (const char* text : {"", "{", "[1,", "{\"a\" 1}", "nul", "NaN", "{\"a\": 1} x", "{\"a\": 1e400}", "\"\x80\"", "[01]"}) {
    INFO(text);
    CHECK(parse_issues(text).size() == 1);
  }
}

TEST_CASE("every proper prefix of a document is a config error with one issue") {
  const std::string text = R"({"a": [1, -2.5e3, {"b\u0041": null}], "c": "\n)"
                           "\xc3\xa9"
                           R"(", "d": {"e": true}})";
  CHECK(parse_issues(text).empty());
  for (std::size_t size = 0; size < text.size(); ++size) {
    INFO(text.substr(0, size));
    CHECK(parse_issues(text.substr(0, size)).size() == 1);
  }
}

TEST_CASE("a root that is no object is one issue") {
  const auto issue = single_issue("[1, 2]", [](FieldReader& r) { r.integer("batch", {}); });
  CHECK(issue.problem == "is not an object");
  CHECK(issue.value == "[1,2]");
}

TEST_CASE("an integer field accepts the ends of its range and refuses what lies beyond") {
  const JsonDocument document = parse_json(R"({"low": 1, "high": 8})", "run.json");
  FieldReader reader(document);
  CHECK(reader.integer("low", {1, 8}) == 1);
  CHECK(reader.integer("high", {1, 8}) == 8);
  CHECK_NOTHROW(reader.finish());
  for (const char* text : {R"({"n": 0})", R"({"n": 9})", R"({"n": -1})", R"({"n": 18446744073709551615})"}) {
    INFO(text);
    const auto issue = single_issue(text, [](FieldReader& r) { r.integer("n", {1, 8}); });
    CHECK(issue.pointer == "/n");
    CHECK(issue.problem == "is out of range");
    CHECK(issue.allowed == "integers from 1 to 8");
  }
}

TEST_CASE("an integer field refuses fractions, texts, booleans, null and floating notation") {
  for (const char* value : {"3.7", "\"3\"", "1e30", "1e0", "true", "null", "[3]", "{}"}) {
    INFO(value);
    const auto issue = single_issue(std::string("{\"n\": ") + value + "}", [](FieldReader& r) { r.integer("n", {1, 8}); });
    CHECK(issue.problem == "is not an integer");
  }
}

TEST_CASE("an unsigned number above 2^63 - 1 is out of range even without limits") {
  CHECK(single_issue(R"({"n": 9223372036854775808})", [](FieldReader& r) { r.integer("n", {}); }).problem == "is out of range");
  const JsonDocument document = parse_json(R"({"n": 9223372036854775807})", "run.json");
  CHECK(FieldReader(document).integer("n", {}) == INT64_MAX);
}

TEST_CASE("a number field respects an exclusive minimum") {
  const NumberRange fraction{0, 1, true};
  CHECK(single_issue(R"({"x": 0})", [&](FieldReader& r) { r.number("x", fraction); }).allowed == "numbers > 0 and <= 1");
  CHECK(single_issue(R"({"x": 1.5})", [&](FieldReader& r) { r.number("x", fraction); }).value == "1.5");
  CHECK(single_issue(R"({"x": false})", [&](FieldReader& r) { r.number("x", fraction); }).problem == "is not a number");
  const JsonDocument document = parse_json(R"({"x": 1, "y": 1e-300})", "run.json");
  FieldReader reader(document);
  CHECK(reader.number("x", fraction) == 1);
  CHECK(reader.number("y", fraction) == 1e-300);
}

TEST_CASE("a choice names what is allowed and what is nearest") {
  const auto issue = single_issue(R"({"chip": "h100-smx"})", [](FieldReader& r) { r.text("chip", {"a100", "h100-sxm", "l40s"}); });
  CHECK(issue.value == "\"h100-smx\"");
  CHECK(issue.allowed == "a100, h100-sxm, l40s");
  CHECK(issue.nearest == "h100-sxm");
}

TEST_CASE("an unknown key is reported with the nearest key that was asked for") {
  const auto issue = single_issue(R"({"shape": {"kv_haeds": 7}})", [](FieldReader& r) {
    FieldReader shape = r.child("shape");
    shape.integer("kv_heads", {1, 8}, 1);
    shape.integer("batch", {1, 8}, 1);
  });
  CHECK(issue.pointer == "/shape/kv_haeds");
  CHECK(issue.problem == "is an unknown key");
  CHECK(issue.nearest == "kv_heads");
  CHECK(issue.allowed == "kv_heads, batch");
}

TEST_CASE("all issues of a document are reported at once") {
  const auto issues = issues_of([] {
    const JsonDocument document = parse_json(R"({"a": "x", "b": 9, "zz": 1, "list": [{"c": 1.5}, 4]})", "run.json");
    FieldReader r(document);
    CHECK(r.integer("a", {}) == 0);
    CHECK(r.integer("b", {1, 8}, 2) == 2);
    CHECK(r.integer("missing", {}) == 0);
    for (FieldReader& element : r.children("list")) element.integer("c", {});
    CHECK_FALSE(r.ok());
    r.finish();
  });
  std::vector<std::string> pointers;
  for (const auto& issue : issues) pointers.push_back(issue.pointer);
  CHECK(pointers == std::vector<std::string>{"/a", "/b", "/missing", "/list/1", "/list/0/c", "/zz"});
}

TEST_CASE("the required fields of an absent object are missing, those of a wrong kind are not reported again") {
  const auto read = [](FieldReader& r) { r.child("shape").integer("batch", {1, 8}); };
  CHECK(single_issue("{}", read).pointer == "/shape/batch");
  CHECK(single_issue(R"({"shape": 3})", read).pointer == "/shape");
}

TEST_CASE("an editor's $schema key is accepted at the root only") {
  const JsonDocument document = parse_json(R"({"$schema": "x.json"})", "run.json");
  FieldReader reader(document);
  CHECK_NOTHROW(reader.finish());
  CHECK(single_issue(R"({"a": {"$schema": "x"}})", [](FieldReader& r) { (void)r.child("a"); }).pointer == "/a/$schema");
}

TEST_CASE("integers takes one integer or an array and names the wrong element") {
  const JsonDocument document = parse_json(R"({"one": 4, "many": [1, 2, 3]})", "run.json");
  FieldReader reader(document);
  CHECK(reader.integers("one", {1, 8}) == std::vector<std::int64_t>{4});
  CHECK(reader.integers("many", {1, 8}) == std::vector<std::int64_t>{1, 2, 3});
  CHECK(single_issue(R"({"n": [1, 2.5]})", [](FieldReader& r) { r.integers("n", {1, 8}); }).pointer == "/n/1");
}

TEST_CASE("a long value is shown shortened") {
  const std::string text = "{\"n\": \"" + std::string(500, 'x') + "\"}";
  const auto issue = single_issue(text, [](FieldReader& r) { r.integer("n", {}); });
  CHECK(issue.value.size() <= 60);
  CHECK_THAT(issue.value, Catch::EndsWith("..."));
}

TEST_CASE("a missing file is a config error with the nearest file of its folder") {
  const test::TemporaryFolder temporary;
  const auto& folder = temporary.path();
  std::ofstream(folder / "run.json") << "{}";
  const auto issues = issues_of([&] { (void)read_json_file(folder / "rnu.json"); });
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].file == (folder / "rnu.json").string());
  CHECK(issues[0].problem == "does not exist");
  CHECK(issues[0].nearest == "run.json");
  CHECK(issues_of([&] { (void)read_json_file(folder); }).size() == 1);
  CHECK(read_json_file(folder / "run.json").root.is_object());
}
