// SPDX-License-Identifier: Apache-2.0
#include <SQLiteCpp/SQLiteCpp.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "sim/core/error.h"
#include "tests/store/sample.h"

using namespace attnsim;
using namespace attnsim::test;
using Catch::Matchers::Contains;

TEST_CASE("a file of a newer version is refused with its version and stays as it was, byte for byte") {
  const TemporaryFolder folder;
  const auto file = folder.file("newer.sqlite");
  { Store store(file); }
  { SQLite::Database(file.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 99"); }
  const std::string before = read_bytes(file);
  REQUIRE_THROWS_AS(Store(file), ConfigError);
  REQUIRE_THROWS_WITH(Store(file), Contains("newer attnsim") && Contains("99") && Contains("newer.sqlite"));
  REQUIRE(read_bytes(file) == before);
}

TEST_CASE("another program's database is refused and stays as it was") {
  const TemporaryFolder folder;
  const auto file = folder.file("foreign.sqlite");
  { SQLite::Database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("CREATE TABLE notes (text TEXT)"); }
  const std::string before = read_bytes(file);
  REQUIRE_THROWS_AS(Store(file), ConfigError);
  REQUIRE_THROWS_WITH(Store(file), Contains("another program's database"));
  REQUIRE(read_bytes(file) == before);
}

TEST_CASE("a text file is refused and stays as it was") {
  const TemporaryFolder folder;
  const auto file = folder.file("notes.txt");
  const std::string text(4096, 'x');
  std::ofstream(file) << text;
  REQUIRE_THROWS_AS(Store(file), ConfigError);
  REQUIRE_THROWS_WITH(Store(file), Contains("no SQLite database"));
  REQUIRE(read_bytes(file) == text);
}

TEST_CASE("a folder that does not exist is a config error and is not made") {
  const TemporaryFolder folder;
  const auto file = folder.file("nowhere") / "results.sqlite";
  REQUIRE_THROWS_AS(Store(file), ConfigError);
  REQUIRE_FALSE(std::filesystem::exists(file.parent_path()));
}

TEST_CASE("asked for an existing file, a missing one is an error and is not made") {
  const TemporaryFolder folder;
  const auto file = folder.file("missing.sqlite");
  REQUIRE_THROWS_WITH(Store(file, Access::existing), Contains("does not exist"));
  REQUIRE_FALSE(std::filesystem::exists(file));
}

TEST_CASE("an empty file becomes a database") {
  const TemporaryFolder folder;
  const auto file = folder.file("empty.sqlite");
  { std::ofstream touch(file); }
  Store store(file);
  REQUIRE(store.save(sample_run(), {.results = {sample_result("a")}}, 1).added == 1);
}
