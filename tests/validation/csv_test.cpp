// SPDX-License-Identifier: Apache-2.0
#include "validation/csv.h"

#include <array>
#include <catch2/catch.hpp>

#include "validation/file_formats.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

const std::string kHeader =
    "device,library,kernel,phase,batch,q_len,kv_len,q_heads,kv_heads,head_dim,window,causal,dtype,latency_us,flops,min_bytes\n";
const std::string kRow = "a100_sxm,vllm-0.14.0,vllm_flash_attn,decode,1,1,8,24,8,128,0,1,bf16,12.5,98304,45056\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string csv_error(const std::string& text) {
  try {
    (void)read_library_attention(parse_csv(text, "library_attention.csv"));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("quoted fields hold commas, doubled quotes and line breaks") {
  const CsvTable table = parse_csv("a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\r\n3,\n", "t.csv");
  REQUIRE(table.header == std::vector<std::string>{"a", "b"});
  REQUIRE(table.records.size() == 2);
  CHECK(table.records[0].fields == std::vector<std::string>{"x, \"y\"", "two\nlines"});
  CHECK(table.records[0].line == 2);
  CHECK(table.records[1].fields == std::vector<std::string>{"3", ""});
  CHECK(table.records[1].line == 4);
}

TEST_CASE("a file without a final line break and with blank lines reads the same") {
  CHECK(parse_csv("a\n1\n\n2", "t.csv").records.size() == 2);
  CHECK(parse_csv("\xEF\xBB\xBF"
                  "a\n1\n",
                  "t.csv")
            .header.front() == "a");
}

TEST_CASE("broken CSV text names file and line") {
  CHECK_THROWS_WITH(parse_csv("", "t.csv"), Contains("t.csv") && Contains("empty"));
  CHECK_THROWS_WITH(parse_csv("a,b\n1\n", "t.csv"), Contains("t.csv: line 2") && Contains("1 fields"));
  CHECK_THROWS_WITH(parse_csv("a,b\n1,2,3\n", "t.csv"), Contains("line 2") && Contains("3 fields"));
  CHECK_THROWS_WITH(parse_csv("a,a\n", "t.csv"), Contains("\"a\"") && Contains("two columns"));
  CHECK_THROWS_WITH(parse_csv("a\n\"x\n", "t.csv"), Contains("line 2") && Contains("not closed"));
  CHECK_THROWS_WITH(parse_csv("a\n\"x\"y\n", "t.csv"), Contains("line 2") && Contains("closing quote"));
}

TEST_CASE("a missing column is named with the nearest present one") {
  CHECK_THAT(csv_error(replaced(kHeader, "latency_us", "latency_ms") + kRow),
             Contains("library_attention.csv: line 1, column latency_us") && Contains("missing") && Contains("latency_ms"));
}

TEST_CASE("a malformed field is named by file, line, column and value") {
  const auto [from, to, column, complaint] = GENERATE(table<std::string, std::string, std::string, std::string>({
      {"12.5", "12;5", "latency_us", "no number"},
      {"12.5", "", "latency_us", "no number"},
      {"12.5", "nan", "latency_us", "no number"},
      {"12.5", "inf", "latency_us", "no number"},
      {"12.5", "-1", "latency_us", "too small"},
      {"12.5", "0", "latency_us", "too small"},
      {"12.5", "1e999", "latency_us", "out of range"},
      {"decode,1,1,8", "decode,1.5,1,8", "batch", "no integer"},
      {"decode,1,1,8", "decode,0,1,8", "batch", "out of range"},
      {"decode,1,1,8", "decode,99999999999999999999,1,8", "batch", "out of range"},
      {",24,8,", ",24,7,", "kv_heads", "does not divide"},
      {"128,0,1,bf16", "128,0,yes,bf16", "causal", "no integer"},
      {"128,0,1,bf16", "128,9,0,bf16", "causal", "window"},
  }));
  CHECK_THAT(csv_error(kHeader + kRow + replaced(kRow, from, to)),
             Contains("library_attention.csv: line 3, column " + column) && Contains(complaint));
}

TEST_CASE("all bad fields of a file are reported at once") {
  const std::string text = csv_error(kHeader + replaced(kRow, "12.5", "x") + replaced(kRow, "98304", "y"));
  CHECK_THAT(text, Contains("line 2, column latency_us") && Contains("line 3, column flops"));
}

TEST_CASE("a row of library_attention keeps the file's words and splits the version off the library") {
  const MeasuredRow row = read_library_attention(parse_csv(kHeader + kRow, "library_attention.csv")).at(0);
  CHECK(row.library == "vllm");
  CHECK(row.version == "0.14.0");
  CHECK(row.kernel == "vllm_flash_attn");
  CHECK(row.phase == "decode");
  CHECK(row.measured_us == 12.5);
  CHECK(row.flops == attention_flops(row, 1.0));
  CHECK(row.bytes == attention_bytes(row, 2.0));
  CHECK(row.paged == true);
}
