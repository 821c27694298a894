// SPDX-License-Identifier: Apache-2.0
// `attnsim trace` as a user runs it.
#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/core/json_reader.h"
#include "tests/cli/process.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

std::string toy() {
  return "'" + shipped("workloads/configs/toy.json").string() + "'";
}

// Traces and their unfinished parts.
std::vector<std::string> traces_in(const Workspace& workspace) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(workspace / ".")) {
    const std::string name = entry.path().filename().string();
    if (name.find(".json") != std::string::npos || name.find(".part") != std::string::npos) out.push_back(name);
  }
  return out;
}

}  // namespace

TEST_CASE("a trace is one whole JSON file that says what it is of", "[trace]") {
  const Workspace workspace;
  const Finished finished = workspace.attnsim("trace " + toy() + " --workload window-128 --out t.json");
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.out.find("t.json: ") != std::string::npos);
  CHECK(traces_in(workspace) == std::vector<std::string>{"t.json"});  // nothing half written beside it
  const Json document = Json::parse(read_text(workspace / "t.json"));
  CHECK(document.at("otherData").at("workload") == "window-128");
  CHECK(document.at("otherData").at("chip") == "toy-sm80");
  CHECK(document.at("otherData").at("clock_mhz") == 1000);
  const Json& events = document.at("traceEvents");
  CHECK(std::any_of(events.begin(), events.end(), [](const Json& e) { return e.at("name") == "softmax+convert_p"; }));
}

TEST_CASE("the same trace is written twice alike", "[trace]") {
  const Workspace workspace;
  REQUIRE(workspace.attnsim("trace " + toy() + " --out a.json").exit_code == 0);
  const std::string first = read_text(workspace / "a.json");
  REQUIRE(workspace.attnsim("trace " + toy() + " --out a.json").exit_code == 0);
  CHECK(read_text(workspace / "a.json") == first);
}

TEST_CASE("a trace that reaches its limit says so and is whole", "[trace]") {
  const Workspace workspace;
  const Finished finished = workspace.attnsim("trace " + toy() + " --max-events 500 --out t.json");
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.out.find("stopped at 500 events") != std::string::npos);
  CHECK(finished.out.find("--max-events") != std::string::npos);
  CHECK(Json::parse(read_text(workspace / "t.json")).at("traceEvents").size() >= 500);
}

TEST_CASE("mistakes of a trace are told in one line and leave no file", "[trace]") {
  const Workspace workspace;
  const auto [arguments, part] = GENERATE(table<std::string, std::string>({
      {"--out t.json --workload causal-521", "nearest: \"causal-512\""},
      {"--out t.json --kernel 7", "allowed: 0 ("},
      {"--out t.json --sms 99", "allowed: 0-"},
      {"--out t.json --sms 3-1", "ends before it begins"},
      {"--out t.json --sms one", "NUMBER or FIRST-LAST"},
      {"--out t.json --from 10 --to 5", "lies before --from"},
      {"", "--out"},
      {"--out missing/t.json", "can't be written"},
      {"--text --width 20", "--width"},
  }));
  const Finished finished = workspace.attnsim("trace " + toy() + " " + arguments);
  INFO(arguments << "\n" << finished.err);
  CHECK(finished.exit_code == 2);
  CHECK(finished.err.find(part) != std::string::npos);
  CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  CHECK(traces_in(workspace).empty());
}
