// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/process.h"

using namespace attnsim::test;
using Json = nlohmann::json;

TEST_CASE("list names what ships, as text and as JSON") {
  const Workspace workspace;
  const auto [what, name] = GENERATE(table<std::string, std::string>({{"variants", "sliding-window"},
                                                                      {"schedules", "fa3-sm90"},
                                                                      {"chips", "h100-sxm"},
                                                                      {"harnesses", "default"},
                                                                      {"rungs", "roofline"},
                                                                      {"metrics", "time_simulated_us"},
                                                                      {"effects", "l2_contention"},
                                                                      {"parameters", "hbm.efficiency"}}));
  const Finished text = workspace.attnsim("list " + what);
  INFO(text.err);
  REQUIRE(text.exit_code == 0);
  CHECK(text.out.find(name) != std::string::npos);
  const Json list = Json::parse(workspace.attnsim("list --json " + what).out);
  REQUIRE(list.is_array());
  bool found = false;
  for (const Json& entry : list) {
    CHECK_FALSE(entry["description"].get<std::string>().empty());
    found = found || entry["name"] == name;
  }
  CHECK(found);
}

TEST_CASE("list rungs prints the ladder from the bottom to the top") {
  const Workspace workspace;
  const std::string out = workspace.attnsim("list rungs").out;
  std::size_t last = 0;
  for (const char* rung : {"\nflops", "\nroofline", "\ntile", "\nschedule", "\nsimulated", "\nmeasured"}) {
    const std::size_t at = out.find(rung);
    REQUIRE(at != std::string::npos);
    CHECK(at >= last);
    last = at;
  }
}

TEST_CASE("show tells everything about a name of any kind") {
  const Workspace workspace;
  const auto [name, part] = GENERATE(table<std::string, std::string>({{"sliding-window", "left"},
                                                                      {"fa3-sm90", "tile_kv"},
                                                                      {"toy-sm80", "toy chip: round number for checks by hand"},
                                                                      {"ncu-locked-1500", "1500"}}));
  const Finished text = workspace.attnsim("show " + name);
  INFO(text.err);
  REQUIRE(text.exit_code == 0);
  CHECK(text.out.find(part) != std::string::npos);
  const Json document = Json::parse(workspace.attnsim("show --json " + name).out);
  CHECK(document["name"] == name);
}

TEST_CASE("show derives the peaks of a chip from its primitives") {
  const Workspace workspace;
  // toy-sm80: 4 SMs x 1024 FLOP/clk x 1000 MHz = 4.096 TFLOP/s
  const std::string out = workspace.attnsim("show toy-sm80").out;
  const std::size_t line = out.find("tensor f16");
  REQUIRE(line != std::string::npos);
  CHECK(out.substr(line, out.find('\n', line) - line).find(" 4.1  TFLOP/s") != std::string::npos);
}

TEST_CASE("show --fitted leaves out what nobody fitted") {
  const Workspace workspace;
  const std::string all = workspace.attnsim("show toy-sm80").out;
  const std::string fitted = workspace.attnsim("show toy-sm80 --fitted").out;
  CHECK(all.find("hbm.bandwidth_gb_per_s") != std::string::npos);
  CHECK(fitted.find("hbm.bandwidth_gb_per_s") == std::string::npos);
}

TEST_CASE("option --version names the version, --help teaches with examples and ends with code 0") {
  const Workspace workspace;
  const Finished version = workspace.attnsim("--version");
  CHECK(version.exit_code == 0);
  CHECK(version.out.rfind("attnsim 0.", 0) == 0);
  const Finished help = workspace.attnsim("--help");
  CHECK(help.exit_code == 0);
  CHECK(help.out.find("Examples:") != std::string::npos);
  for (const char* command : {"run", "explain", "sweep", "validate", "list", "show", "graph", "program", "dump"}) {
    const Finished own = workspace.attnsim(std::string(command) + " --help");
    CHECK(own.exit_code == 0);
    CHECK(help.out.find(command) != std::string::npos);
  }
}
