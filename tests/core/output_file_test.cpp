// SPDX-License-Identifier: Apache-2.0
#include "sim/core/output_file.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/core/error.h"
#include "tests/support/temporary_folder.h"

using namespace attnsim;
namespace fs = std::filesystem;

namespace {

long files_in(const test::TemporaryFolder& folder) {
  return std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator());
}

std::string text_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE("an output file replaces the old one whole, by commit only") {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("a.json").string();
  OutputFile(path).commit("old");
  {
    OutputFile given_up(path);
    given_up.out() << "half of the ne" << std::flush;
    CHECK(text_of(path) == "old");
  }
  CHECK(text_of(path) == "old");
  {
    const OutputFile untouched(path);  // a run that is killed leaves nothing behind
    CHECK(files_in(folder) == 1);
  }
  OutputFile(path).commit("new\n");
  CHECK(text_of(path) == "new\n");
  CHECK(files_in(folder) == 1);  // nothing partial is left
}

TEST_CASE("an output file that can't be written is told when it is opened") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_AS(OutputFile(folder.file("no/such/folder.json").string()), ConfigError);
  CHECK(files_in(folder) == 0);
}

TEST_CASE("an output file without a name is none") {
  CHECK_FALSE(OutputFile(""));
  CHECK(OutputFile("/dev/null"));
}

TEST_CASE("a disk that is full is told, and what is no regular file stays what it is") {
  if (!fs::exists("/dev/full")) return;
  CHECK_THROWS_AS(OutputFile("/dev/full").commit("text"), ConfigError);
  CHECK(fs::is_character_file("/dev/full"));
}
