// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>

#include "hwmodels/chip.h"
#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"
#include "sim/predict/schema_check.h"
#include "sim/result/conditions.h"
#include "workloads/harness.h"
#include "workloads/schedule.h"
#include "workloads/variant.h"

using namespace attnsim;

namespace {

Json run_schema() {
  return read_json_file(data_dir() / "workloads" / "run.schema.json").root;
}

std::vector<std::string> names_at(const Json& schema, const std::string& pointer) {
  std::vector<std::string> names = schema.at(Json::json_pointer(pointer));
  names.erase(std::remove_if(names.begin(), names.end(), [](const std::string& n) { return n == "auto" || n == "best"; }), names.end());
  std::sort(names.begin(), names.end());
  return names;
}

Json minimal() {
  return Json::parse(R"({"chip": "toy-sm80", "workloads": [{"variant": "dense", "shape": {"q_heads": 1, "q_len": 1, "head_dim": 64}}]})");
}

}  // namespace

TEST_CASE("the run schema offers editors exactly the names that ship") {
  const Json schema = run_schema();
  CHECK(names_at(schema, "/properties/chip/anyOf/0/anyOf/0/enum") == chip_names());
  CHECK(names_at(schema, "/definitions/chip_reference/properties/name/anyOf/0/enum") == chip_names());
  CHECK(names_at(schema, "/properties/harness/anyOf/0/anyOf/0/enum") == harness_names());
  CHECK(names_at(schema, "/definitions/schedule/anyOf/0/anyOf/0/enum") == schedule_names());
  CHECK(names_at(schema, "/definitions/schedule/anyOf/1/properties/name/anyOf/0/enum") == schedule_names());
  std::vector<std::string> variant_names;
  for (const Variant& v : variants()) variant_names.emplace_back(v.name);
  std::sort(variant_names.begin(), variant_names.end());
  CHECK(names_at(schema, "/definitions/variant/enum") == variant_names);
  std::vector<std::string> effect_names;
  for (const Effect& effect : effects()) effect_names.push_back(effect.name);
  std::sort(effect_names.begin(), effect_names.end());
  CHECK(names_at(schema, "/properties/without/items/enum") == effect_names);
}

TEST_CASE("the run schema completes every parameter of every variant") {
  const Json params = run_schema().at("/definitions/workload/properties/params/properties"_json_pointer);
  for (const Variant& v : variants())
    for (const ParamSpec& spec : v.params) CHECK(params.contains(std::string(spec.name)));
}

TEST_CASE("a document that fits passes the schema check, one that does not names the place") {
  CHECK_NOTHROW(check_schema({"r.json", minimal()}, "workloads/run.schema.json"));
  Json wrong = minimal();
  wrong["workloads"][0]["shape"]["q_len"] = 0;
  try {
    check_schema({"r.json", wrong}, "workloads/run.schema.json");
    FAIL("accepted");
  } catch (const ConfigError& error) {
    const bool named = std::any_of(error.issues().begin(), error.issues().end(), [](const ConfigIssue& issue) {
      return issue.file == "r.json" && issue.pointer.rfind("/workloads/0/shape/q_len", 0) == 0;
    });
    INFO(error.what());
    CHECK(named);
  }
}
