// SPDX-License-Identifier: Apache-2.0
// Whole outputs on toy chips: did any number or word move? After a wanted change, write them anew and review the diff:
//   ATTNSIM_UPDATE_GOLDEN=1 build/dev/tests/test_cli "[golden]"
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "tests/cli/process.h"

using namespace attnsim::test;

TEST_CASE("outputs on toy chips are those that were reviewed", "[golden]") {
  const Workspace workspace;
  const std::string configs = shipped("workloads/configs").string();
  const auto [file, arguments] = GENERATE_COPY(table<std::string, std::string>(
      {{"run-toy.txt", "run '" + configs + "/toy.json'"},
       {"trace-toy.txt", "trace '" + configs + "/toy.json' --workload window-128 --text"},
       {"explain-toy.txt", "explain '" + configs + "/toy.json' --brief"},
       {"explain-measured-toy.txt", "explain '" + configs + "/toy.json' --workload causal-512 --measured 0.1ms"},
       {"list-rungs.txt", "list rungs"},
       {"list-effects.txt", "list effects"},
       {"show-sliding-window.txt", "show sliding-window"}}));
  const Finished finished = workspace.attnsim(arguments);
  REQUIRE(finished.exit_code == 0);
  const std::filesystem::path golden = shipped("tests/cli/golden") / file;
  if (std::getenv("ATTNSIM_UPDATE_GOLDEN") != nullptr) std::ofstream(golden, std::ios::binary) << finished.out;
  CHECK(finished.out == read_text(golden));
}
