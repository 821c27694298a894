// SPDX-License-Identifier: Apache-2.0
#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>

#include "tests/cli/process.h"

using namespace attnsim::test;

namespace {

std::vector<std::filesystem::path> malformed_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(shipped("tests/cli/malformed")))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

int rows_of(const std::filesystem::path& database) {
  if (!std::filesystem::exists(database)) return 0;
  const SQLite::Database db(database.string());
  int rows = 0;
  SQLite::Statement tables(db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'");
  std::vector<std::string> names;
  while (tables.executeStep()) names.push_back(tables.getColumn(0).getString());
  for (const std::string& name : names) {
    SQLite::Statement count(db, "SELECT count(*) FROM " + name);
    count.executeStep();
    rows += name == "meta" ? 0 : count.getColumn(0).getInt();
  }
  return rows;
}

}  // namespace

TEST_CASE("at least 45 kinds of malformed configs are kept") {
  REQUIRE(malformed_files().size() >= 45);
}

TEST_CASE("a malformed config ends with code 2 and one message that names file, place, value, what is allowed and the nearest name") {
  const Workspace workspace;
  for (const std::filesystem::path& file : malformed_files()) {
    DYNAMIC_SECTION(file.filename().string()) {
      const Finished finished = workspace.attnsim("run '" + file.string() + "' --db out.sqlite");
      INFO(finished.err);
      CHECK(finished.exit_code == 2);
      CHECK(finished.out.empty());
      CHECK(finished.err.rfind("attnsim: error: ", 0) == 0);
      CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
      CHECK(finished.err.find(file.filename().string() + ": ") != std::string::npos);
      std::istringstream expected(read_text(std::filesystem::path(file).replace_extension(".expect")));
      for (std::string part; std::getline(expected, part);) {
        INFO("expected: " << part);
        CHECK(finished.err.find(part) != std::string::npos);
      }
      CHECK(rows_of(workspace / "out.sqlite") == 0);
    }
  }
}

TEST_CASE("all problems of a document are reported at once, one a line") {
  const Workspace workspace;
  const std::string file = workspace.write("two.json", R"({"chip": "toy-sm80", "engine": "slow", "workloads": [
    {"variant": "causal", "shape": {"q_heads": 4, "kv_heads": 3, "q_len": 16, "head_dim": 64}}]})");
  const Finished finished = workspace.attnsim("run two.json");
  CHECK(finished.exit_code == 2);
  CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 2);
  CHECK(finished.err.find("/engine") != std::string::npos);
  CHECK(finished.err.find("/workloads/0/shape/kv_heads") != std::string::npos);
}

TEST_CASE("a config that isn't there ends with code 2 and the nearest file") {
  const Workspace workspace;
  (void)workspace.write("config.json", "{}");
  const Finished finished = workspace.attnsim("run confg.json --db out.sqlite");
  CHECK(finished.exit_code == 2);
  CHECK(finished.err.find("confg.json") != std::string::npos);
  CHECK(finished.err.find("nearest: \"config.json\"") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(workspace / "out.sqlite"));
}

TEST_CASE("mistakes on the command line end with code 2") {
  const Workspace workspace;
  const auto [arguments, expected] = GENERATE(table<std::string, std::string>({
      {"", "subcommand"},
      {"rnu x.json", "nearest: \"run\""},
      {"run", "config"},
      {"run . --jbos 2", "--jbos"},
      {"list variant", "nearest: \"variants\""},
      {"show h100-smx", "nearest: \"h100-sxm\""},
      {"run a.json --jobs -1", "--jobs"},
      {"dump --canonical", "--db"},
      {"dump --canonical --db none.sqlite", "none.sqlite"},
      {"validate --measurements nowhere", "nowhere"},
      {"validate --split half", "half"},
  }));
  const Finished finished = workspace.attnsim(arguments);
  INFO(arguments << "\n" << finished.err);
  CHECK(finished.exit_code == 2);
  CHECK(finished.out.empty());
  CHECK(finished.err.rfind("attnsim: error: ", 0) == 0);
  CHECK(finished.err.find(expected) != std::string::npos);
}

TEST_CASE("a malformed sweep ends with code 2 and names the place in the grid") {
  const Workspace workspace;
  (void)workspace.write("run.json", read_text(shipped("workloads/configs/toy.json")));
  const auto [grid, expected] = GENERATE(table<std::string, std::string>({
      {R"({"chip.hbm.bandwidth_tb_per_s": [1]})", "nearest: \"chip.hbm.bandwidth_gb_per_s\""},
      {R"({"shape.kv_length": [1]})", "nearest: \"shape.kv_len\""},
      {R"({"params.lefft": [1]})", "nearest: \"params.left\""},
      {R"({"chp.sm.count": [1]})", "nearest: \"chip\""},
      {R"({"workloads.decode.shape.q_len": [1]})", "workloads.causal-512"},
      {R"({"shape.kv_len": []})", "/grid/shape.kv_len"},
      {R"({"shape.kv_len": 8})", "/grid/shape.kv_len"},
      {R"({})", "/grid"},
  }));
  (void)workspace.write("sweep.json", R"({"run": "run.json", "grid": )" + grid + "}");
  const Finished finished = workspace.attnsim("sweep sweep.json --db out.sqlite");
  INFO(finished.err);
  CHECK(finished.exit_code == 2);
  CHECK(finished.err.find("sweep.json: /grid") != std::string::npos);
  CHECK(finished.err.find(expected) != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(workspace / "out.sqlite"));
}
