// SPDX-License-Identifier: Apache-2.0
// Editors complete from the schemas; the reader decides. Here the two are held together.
#include <catch2/catch.hpp>

#include "sim/core/data_dir.h"
#include "sim/core/json_reader.h"
#include "sim/core/json_schema.h"
#include "workloads/harness.h"
#include "workloads/kernel_map.h"

using namespace attnsim;

namespace {

template <class Read>
bool reads(Read read) {
  try {
    read();
    return true;
  } catch (const ConfigError&) {
    return false;
  }
}

void check_folder(const std::string& folder, const std::string& schema_file) {
  const JsonSchema validator("workloads/" + schema_file);
  for (const auto& file : std::filesystem::directory_iterator(data_dir() / "workloads" / folder)) {
    INFO(file.path().filename().string());
    CHECK(validator.accepts(read_json_file(file.path()).root));
  }
}

}  // namespace

TEST_CASE("the shipped kernel maps and harnesses follow their schemas") {
  check_folder("kernel_maps", "kernel_map.schema.json");
  check_folder("harnesses", "harness.schema.json");
}

TEST_CASE("what the schema of kernel maps refuses, the reader refuses") {
  const JsonSchema validator("workloads/kernel_map.schema.json");
  const std::string text =
      GENERATE(as<std::string>{}, R"({"entries": []})", R"({"library": "l", "entries": [{"kernel": "k", "devices": "d"}]})",
               R"({"library": "l", "entries": [{"kernel": "k", "schedule": "s", "harness": "h", "source": "x"}]})",
               R"({"library": "l", "entries": [{"kernel": "k", "devices": [], "unmapped": "u"}]})",
               R"({"library": "l", "entries": [{"kernel": "k", "devices": "d", "unmapped": "u", "schedule": "s"}]})",
               R"({"library": "l", "entries": [{"kernel": "k", "devices": "d", "unmapped": "u", "paged": 1}]})",
               R"({"library": "l", "entries": [{"kernel": "k", "devices": "d", "unmapped": "u", "q_len": {"min": 0}}]})",
               R"({"library": "l", "entries": [{"kernel": "k", "devices": "d", "unmapped": "u", "mask": "x"}]})");
  INFO(text);
  const JsonDocument document = parse_json(text, "map.json");
  CHECK_FALSE(validator.accepts(document.root));
  CHECK_FALSE(reads([&] { KernelMaps().add(document); }));
}

TEST_CASE("what the schema of harnesses refuses, the reader refuses") {
  const JsonSchema validator("workloads/harness.schema.json");
  const std::string text =
      GENERATE(as<std::string>{}, R"({"name": "n", "l2_start": "cold"})", R"({"name": "n", "clock": {}, "l2_start": "cold"})",
               R"({"name": "n", "clock": {"policy": "boost"}})", R"({"name": "n", "clock": {"policy": "boost"}, "l2_start": "hot"})",
               R"({"name": "n", "clock": {"policy": "boost"}, "l2_start": "cold", "constant_us": -1})",
               R"({"name": "n", "clock": {"policy": "boost"}, "l2_start": "cold", "fitted": ["x"]})",
               R"({"name": "n", "clock": {"policy": "boost"}, "l2_start": "cold", "launch": true})");
  INFO(text);
  const JsonDocument document = parse_json(text, "harness.json");
  CHECK_FALSE(validator.accepts(document.root));
  CHECK_FALSE(reads([&] { (void)parse_harness(document); }));
}
