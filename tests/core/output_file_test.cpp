// SPDX-License-Identifier: Apache-2.0
#include "sim/core/output_file.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/core/error.h"

using namespace attnsim;
namespace fs = std::filesystem;

namespace {

// A folder of its own, removed at the end.
struct Folder {
  Folder() : path(fs::temp_directory_path() / ("attnsim-output-" + std::to_string(getpid()))) { fs::create_directory(path); }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string file(const std::string& name) const { return (path / name).string(); }
  [[nodiscard]] long files() const { return std::distance(fs::directory_iterator(path), fs::directory_iterator()); }

  fs::path path;
};

std::string text_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE("an output file replaces the old one whole, by commit only") {
  const Folder folder;
  const std::string path = folder.file("a.json");
  OutputFile(path).commit("old");
  {
    OutputFile given_up(path);
    given_up.out() << "half of the ne" << std::flush;
    CHECK(text_of(path) == "old");
  }
  CHECK(text_of(path) == "old");
  OutputFile(path).commit("new\n");
  CHECK(text_of(path) == "new\n");
  CHECK(folder.files() == 1);  // nothing partial is left
}

TEST_CASE("an output file that can't be written is told when it is opened") {
  const Folder folder;
  CHECK_THROWS_AS(OutputFile(folder.file("no/such/folder.json")), ConfigError);
  CHECK(folder.files() == 0);
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
