// SPDX-License-Identifier: Apache-2.0
#include "workloads/schedule.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"
#include "sim/core/json_schema.h"
#include "workloads/catalog.h"

using namespace attnsim;

namespace {

bool schema_accepts(const Json& document) {
  return JsonSchema("workloads/schedule.schema.json").accepts(document);
}

std::vector<ConfigIssue> issues_of(const Json& document) {
  try {
    (void)parse_schedule({"test.json", document});
  } catch (const ConfigError& error) {
    return error.issues();
  }
  return {};
}

Json base() {
  return schedule_document("fa3-sm90").root;
}

}  // namespace

TEST_CASE("every shipped schedule is accepted by its schema and by the program, and carries its file's name") {
  const auto names = schedule_names();
  CHECK(names.size() >= 9);
  for (const std::string& name : names) {
    INFO(name);
    CHECK(schema_accepts(schedule_document(name).root));
    const Schedule s = load_schedule(name);
    CHECK(s.name == name);
    CHECK_FALSE(s.source.empty());
  }
}

TEST_CASE("a malformed schedule is refused by schema and program alike, with the place of the error") {
  struct Case {
    const char* what;
    const char* pointer;
    Json value;
    const char* reported;
  };
  const std::vector<Case> cases{
      {"unknown key", "/tile", 3, "/tile"},
      {"wrong kind", "/pack_gqa", "yes", "/pack_gqa"},
      {"unknown matrix instruction", "/mma", "wmma", "/mma"},
      {"unknown grid", "/grid", "persistent", "/grid"},
      {"zero tile", "/tiles/0/tile_q", 0, "/tiles/0/tile_q"},
      {"negative tile", "/tiles/1/tile_kv", -128, "/tiles/1/tile_kv"},
      {"fraction", "/tiles/0/stages", 1.5, "/tiles/0/stages"},
      {"overflow", "/max_splits", 9000000000, "/max_splits"},
      {"unknown role", "/agents/1/loop/0/role", "qkt", "/agents/1/loop/0/role"},
      {"negative skew", "/agents/0/loop/2/skew", -1, "/agents/0/loop/2/skew"},
      {"unknown key in an agent", "/agents/0/warp", 4, "/agents/0/warp"},
      {"no heads", "/head_dims", Json::array(), "/head_dims"},
      {"no tiles", "/tiles", Json::array(), "/tiles"},
      {"agents of a wrong kind", "/agents", "producer", "/agents"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Json document = base();
    document[Json::json_pointer(c.pointer)] = c.value;
    CHECK_FALSE(schema_accepts(document));
    const auto issues = issues_of(document);
    REQUIRE_FALSE(issues.empty());
    CHECK(
        std::any_of(issues.begin(), issues.end(), [&](const ConfigIssue& i) { return i.pointer == c.reported && i.file == "test.json"; }));
  }
}

TEST_CASE("what a schema can't say is refused too") {
  struct Case {
    const char* what;
    Json patch;  // JSON patch operations on fa3-sm90
    const char* reported;
  };
  const auto set = [](const char* path, Json value) { return Json::array({{{"op", "add"}, {"path", path}, {"value", std::move(value)}}}); };
  const std::vector<Case> cases{
      {"rows that the consumers can't share", set("/tiles/0/tile_q", 200), "/tiles/0/tile_q"},
      {"columns no multiple of 8", set("/tiles/0/tile_kv", 130), "/tiles/0/tile_kv"},
      {"head_dims out of order", set("/head_dims", Json::array({128, 64})), "/head_dims"},
      {"a role twice", set("/agents/1/loop/-", {{"role", "qk"}}), "/agents/1/loop"},
      {"softmax before the scores", set("/agents/1/loop/0/skew", 1), "/agents/1/loop"},
      {"two producers", set("/agents/1/kind", "producer"), "/agents"},
      {"split without merging", set("/split", "fa3"), "/combine"},
      {"merging without split", set("/combine", "kernel"), "/combine"},
      {"shared columns without scores that are passed on", set("/tiles/0/split_columns", true), "/tiles/0/split_columns"},
      {"unfused with a producer", set("/form", "unfused"), "/agents"},
      {"eager without rules for softmax", set("/form", "eager"), "/agents"},
      {"scores in FP16 by wgmma", set("/f16_scores", true), "/f16_scores"},
      {"O in FP16 by wgmma", set("/f16_output", true), "/f16_output"},
      {"P in parts by wgmma", set("/p_parts", 2), "/p_parts"},
      {"interleaved softmax beside wgmma", set("/softmax_interleaved", true), "/softmax_interleaved"},
      {"both packings",
       Json::array(
           {{{"op", "add"}, {"path", "/pack_gqa"}, {"value", true}}, {{"op", "add"}, {"path", "/pack_gqa_decode_only"}, {"value", true}}}),
       "/pack_gqa_decode_only"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    const auto issues = issues_of(base().patch(c.patch));
    REQUIRE_FALSE(issues.empty());
    CHECK(issues.front().pointer == c.reported);
  }
}

TEST_CASE("O leaves through V only where no epilogue agent stores it") {
  Json document = schedule_document("fa4-sm100").root;
  document["stage_o_in_v"] = true;
  REQUIRE(issues_of(document).size() == 1);
  CHECK(issues_of(document).front().pointer == "/stage_o_in_v");
}

TEST_CASE("exponentials without fast math are for the special-function unit and accumulators in registers") {
  for (const char* name : {"fa4-sm100", "fa4-bwd-sm100", "triton-bwd"}) {
    INFO(name);
    Json document = schedule_document(name).root;
    document["precise_softmax"] = true;
    REQUIRE(issues_of(document).size() == 1);
    CHECK(issues_of(document).front().pointer == "/precise_softmax");
  }
}

TEST_CASE("the last CTA merges only what agents hold in registers") {
  Json document = schedule_document("trtllm-decode-keeps-sm100").root;
  REQUIRE(issues_of(document).empty());
  document["combine"] = "last_cta";
  REQUIRE(issues_of(document).size() == 1);
  CHECK(issues_of(document).front().pointer == "/combine");
}

TEST_CASE("with tcgen05 a backward schedule has a reducer where dQ comes by atomics, and only there, and a kernel of dQ no pairs") {
  Json document = schedule_document("fa4-bwd-sm100").root;
  document["backward"]["grad_query"] = "kernel";
  REQUIRE_FALSE(issues_of(document).empty());
  CHECK(issues_of(document).front().pointer == "/agents");
  document["agents"].erase(3);
  CHECK(issues_of(document).empty());
  document["cluster"] = 2;
  document["backward"]["pair"] = true;
  REQUIRE_FALSE(issues_of(document).empty());
  CHECK(issues_of(document).front().pointer == "/backward");
}

TEST_CASE("dQ is added in order by an agent of its own") {
  Json document = schedule_document("fa3-bwd-ordered-sm90").root;
  CHECK(issues_of(document).empty());
  Json atomic = schedule_document("cudnn-bwd-ordered-sm100").root;
  atomic["backward"]["grad_query"] = "atomic";
  REQUIRE(issues_of(atomic).size() == 1);
  CHECK(issues_of(atomic).front().pointer == "/backward/turns_fenced");
  document["agents"].erase(2);
  REQUIRE_FALSE(issues_of(document).empty());
  CHECK(issues_of(document).front().pointer == "/backward/grad_query");
}

TEST_CASE("agents that load themselves share columns only where each scores") {
  Json document = schedule_document("flashinfer-mla-unsharded-sm80").root;
  CHECK(issues_of(document).empty());
  document["tiles"][0]["each_scores"] = false;
  const auto issues = issues_of(document);
  REQUIRE_FALSE(issues.empty());
  CHECK(issues.front().pointer == "/tiles/0/consumers");
}

TEST_CASE("a loop that loads a slot before it is read is refused") {
  Json document = schedule_document("splitkv-decode-lastcta").root;
  CHECK(issues_of(document).empty());
  document["tiles"][0]["stages"] = 1;
  const auto issues = issues_of(document);
  REQUIRE_FALSE(issues.empty());
  CHECK(issues.front().pointer == "/tiles/0/stages");
}

TEST_CASE("a role that a schedule leaves out stands next to the role whose result it uses") {
  Json document = schedule_document("splitkv-decode-lastcta").root;
  document["agents"][0]["loop"] = Json::array({{{"role", "qk"}, {"skew", 1}}, {{"role", "pv"}, {"skew", 1}}});
  const Schedule s = parse_schedule({"test.json", document});
  std::vector<std::string> roles;
  for (const RolePlacement& p : s.agents[0].loop) roles.push_back(p.role);
  CHECK(roles == std::vector<std::string>{"load_q", "load_k", "load_v", "qk", "mask", "softmax", "convert_p", "rescale", "pv"});
  CHECK(s.agents[0].loop[4].skew == 1);
}

TEST_CASE("an unknown schedule is refused with the nearest name") {
  try {
    (void)load_schedule("fa3-sm9");
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK(error.issues().front().nearest == "fa3-sm90");
  }
}
