// SPDX-License-Identifier: Apache-2.0
#include "hwmodels/chip_schema.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "hwmodels/chip_loader.h"
#include "hwmodels/figures.h"
#include "sim/core/json_reader.h"
#include "sim/core/json_schema.h"

using namespace attnsim;

namespace {

const std::filesystem::path kSchemaFile = std::filesystem::path(ATTNSIM_SOURCE_DIR) / "hwmodels" / "chip.schema.json";

bool parses(const JsonDocument& document) {
  try {
    (void)parse_chip(document);
    return true;
  } catch (const ConfigError&) {
    return false;
  }
}

}  // namespace

TEST_CASE("the committed schema is the one that the figure table generates") {
  INFO("regenerate with: test_hwmodels \"[.write-schema]\"");
  CHECK(read_json_file(kSchemaFile).root == chip_schema());
}

TEST_CASE("write the chip schema", "[.write-schema]") {
  std::ofstream file(kSchemaFile);
  file << chip_schema().dump(2) << '\n';
  CHECK(file.good());
}

TEST_CASE("every shipped chip satisfies the schema, with and without its overlay") {
  const JsonSchema validator("hwmodels/chip.schema.json");
  for (const std::string& name : chip_names()) {
    INFO(name);
    CHECK(validator.accepts(chip_document(name).root));
    CHECK(validator.accepts(read_json_file(std::filesystem::path(ATTNSIM_SOURCE_DIR) / "hwmodels" / "chips" / (name + ".json")).root));
  }
}

TEST_CASE("schema and reader refuse the same wrong figures") {
  const JsonSchema validator("hwmodels/chip.schema.json");
  for (const Figure& figure : figure_table()) {
    INFO(figure.path);
    std::string pointer = "/" + std::string(figure.path);
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    std::vector<Json> values = {"1", nullptr, true, 1.5, figure.max * 2, figure.min - 1, figure.min, figure.max};
    for (const Json& value : values) {
      INFO(value.dump());
      JsonDocument document = chip_document("toy-sm90");
      document.root[Json::json_pointer(pointer)]["value"] = value;
      const bool accepted = validator.accepts(document.root);
      const bool integral_double = figure.kind == FigureKind::integer && value.is_number_float() &&
                                   value.get<double>() == static_cast<double>(static_cast<std::int64_t>(value.get<double>()));
      if (integral_double) continue;  // 4.0 is an integer to the schema and none to the reader
      if (!accepted) CHECK_FALSE(parses(document));
      if (parses(document)) CHECK(accepted);  // the reader also checks across figures
    }
    for (const char* key : {"value", "status", "source"}) {
      JsonDocument document = chip_document("toy-sm90");
      document.root[Json::json_pointer(pointer)].erase(key);
      CHECK_FALSE(validator.accepts(document.root));
      CHECK_FALSE(parses(document));
    }
  }
}

TEST_CASE("schema and reader refuse unknown keys, isas, instructions and statuses") {
  const JsonSchema validator("hwmodels/chip.schema.json");
  const auto refused = [&](const char* pointer, const Json& value) {
    JsonDocument document = chip_document("toy-sm80");
    document.root[Json::json_pointer(pointer)] = value;
    return !validator.accepts(document.root) && !parses(document);
  };
  CHECK(refused("/hmb", 1));
  CHECK(refused("/sm/cuont", 1));
  CHECK(refused("/sm/count/unit", "SMs"));
  CHECK(refused("/isa", "sm_81"));
  CHECK(refused("/tensor/instructions", Json::array({"mma"})));
  CHECK(refused("/tensor/instructions", Json::array()));
  CHECK(refused("/hbm/efficiency/status", "guessed"));
  CHECK(refused("/hbm/efficiency/source", ""));
  CHECK(refused("/links/0/latency_us/value", -1));
  CHECK(refused("/name", 5));
}
