// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "sim/core/json_reader.h"

using namespace attnsim;

namespace {

JsonDocument figures() {
  return parse_json(R"({"name": "toy", "hbm": {"bandwidth_gb_per_s": {"value": 100, "status": "published", "source": "sheet"},
                        "efficiency": {"value": 1, "status": "estimated", "source": "guess"}}, "list": [{"x": 1}]})",
                    "toy.json");
}

ConfigIssue issue_of(const std::string& path, const Json& value) {
  JsonDocument document = figures();
  try {
    set_by_path(document, path, value, "run.json", "/overrides");
  } catch (const ConfigError& error) {
    REQUIRE(error.issues().size() == 1);
    return error.issues()[0];
  }
  FAIL("no issue for " << path);
  return {};
}

}  // namespace

TEST_CASE("setting a figure replaces its value and marks it as an override") {
  JsonDocument document = figures();
  set_by_path(document, "hbm.bandwidth_gb_per_s", 6700, "run.json", "/overrides");
  CHECK(document.root["hbm"]["bandwidth_gb_per_s"] == Json({{"value", 6700}, {"status", "estimated"}, {"source", "override"}}));
  CHECK(document.root["hbm"]["efficiency"] == figures().root["hbm"]["efficiency"]);
}

TEST_CASE("setting a plain member or an array element replaces it") {
  JsonDocument document = figures();
  set_by_path(document, "name", "other", "", "");
  set_by_path(document, "list.0.x", 5, "", "");
  CHECK(document.root["name"] == "other");
  CHECK(document.root["list"][0]["x"] == 5);
}

TEST_CASE("a member that an object lacks is added where that is asked for, and nothing else is") {
  JsonDocument document = figures();
  set_by_path(document, "list.0.y", 7, "", "", AbsentMember::added);
  CHECK(document.root["list"] == Json::parse(R"([{"x": 1, "y": 7}])"));
  for (const std::string path : {"list.1", "lst.y", "name.y", "hbm.efficiency.y", "", "list.0."})
    CHECK_THROWS_AS(set_by_path(document, path, 7, "", "", AbsentMember::added), ConfigError);
}

TEST_CASE("an unknown path names the nearest and the possible paths") {
  const auto issue = issue_of("hbm.bandwith_gb_per_s", 1);
  CHECK(issue.file == "run.json");
  CHECK(issue.pointer == "/overrides");
  CHECK(issue.value == "\"hbm.bandwith_gb_per_s\"");
  CHECK(issue.nearest == "hbm.bandwidth_gb_per_s");
  CHECK(issue.allowed == "hbm.bandwidth_gb_per_s, hbm.efficiency");
}

TEST_CASE("paths to sections, into figures and beyond arrays are refused") {
  CHECK(issue_of("hbm", 5).problem == "names a section, not a single value");
  CHECK(issue_of("hbm.efficiency.value", 5).problem == "names nothing that can be set");
  CHECK(issue_of("list.1", 5).problem == "names nothing that can be set");
  CHECK(issue_of("list.1", 5).allowed == "list.0");
  CHECK(issue_of("", 5).problem == "names nothing that can be set");
}

TEST_CASE("canonical text has sorted keys, no spaces and one form for equal numbers") {
  CHECK(canonical(parse_json(R"({"b": 4.0, "a": [1, 0.1, -0.0]})", "").root) == R"({"a":[1,0.1,0],"b":4})");
  CHECK(canonical(parse_json(R"({"a": [1.0, 0.1, 0], "b": 4})", "").root) == R"({"a":[1,0.1,0],"b":4})");
  CHECK(canonical(Json(1e300)) == "1e+300");
}

TEST_CASE("the content hash is 64-bit FNV-1a") {
  CHECK(content_hash("") == "cbf29ce484222325");  // published test vectors
  CHECK(content_hash("a") == "af63dc4c8601ec8c");
  CHECK(content_hash("foobar") == "85944171f73967e8");
}
