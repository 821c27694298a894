// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/row.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

using namespace attnsim;
using namespace attnsim::bench;

namespace {

class Folder {
 public:
  Folder() { std::filesystem::create_directories(path() / "validation"); }
  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path() / name, std::ios::binary) << text; }

 private:
  test::TemporaryFolder folder_;
};

Row sample_row() {
  Row row;
  row.backend = "host";
  row.device = {"CPU", "compiler", "host", 3000};
  row.kernel = {"host-fa", "", "host-fa", "validation/a.cpp"};
  row.source_hash = "abc";
  row.shape.dtype = "f32";
  row.shape.mask = "window";
  row.shape.left = 255;
  row.shape.right = 0;
  row.shape.q_len = row.shape.kv_len = 1024;
  row.timing.sample_us = {100, 102, 101};
  row.timing.throttled = 2;
  row.timing.clock_mhz = 2950;
  row.timing.counters = {{"tensor_flops", 1e9}, {"l2_bytes", 12}};
  row.harness = "single-launch";
  row.version = "attnsim 0";
  return row;
}

}  // namespace

TEST_CASE("a row reads back as it was written") {
  const Row row = sample_row();
  const Row back = parse_row(to_line(row), "line");
  CHECK(to_line(back) == to_line(row));
  CHECK(back.median_us() == 101);
  CHECK(back.shape.left == 255);
  CHECK(back.timing.throttled == 2);
  REQUIRE(back.timing.counters.size() == 2);
  CHECK(back.timing.counters[0].name == "l2_bytes");  // an object's keys come in order
  CHECK(back.timing.counters[0].value == 12);
  CHECK_THROWS_WITH(parse_row(R"({"counters": {"l2_bytes": "many"}})", "line"), Catch::Contains("/counters"));
  CHECK(label(back.shape) == "1x1/1 q1024 kv1024 d128 window 255/0 f32");
}

TEST_CASE("a killed run loses at most the line that it was writing") {
  const Folder folder;
  const std::filesystem::path path = folder.path() / "rows.jsonl";
  append_line(path, to_line(sample_row()));
  append_line(path, to_line(sample_row()));
  std::ofstream(path, std::ios::app | std::ios::binary) << R"({"backend":"ho)";
  CHECK(read_rows(path).size() == 2);
}

TEST_CASE("a malformed row is located") {
  const Folder folder;
  folder.write("rows.jsonl", to_line(sample_row()) + "\n{\"backend\":\"host\",\"kernle\":\"x\"}\n");
  CHECK_THROWS_WITH(read_rows(folder.path() / "rows.jsonl"), Catch::Contains("rows.jsonl:2") && Catch::Contains("kernle"));
}

TEST_CASE("the hash of a kernel follows its files and what they include from validation") {
  const Folder folder;
  folder.write("validation/a.cpp", "#include \"validation/b.h\"\nint a;\n");
  folder.write("validation/b.h", "int b;\n");
  const std::string before = hash_of_sources("validation/a.cpp", folder.path());
  CHECK(before.size() == 16);
  CHECK(hash_of_sources("validation/a.cpp", folder.path()) == before);
  folder.write("validation/b.h", "int c;\n");
  CHECK(hash_of_sources("validation/a.cpp", folder.path()) != before);
  CHECK(hash_of_sources("validation/missing.cpp", folder.path()).empty());
  CHECK(hash_of_sources("validation/a.cpp validation/b.h", folder.path()) == hash_of_sources("validation/a.cpp", folder.path()));
}
