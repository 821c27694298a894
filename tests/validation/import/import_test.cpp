// SPDX-License-Identifier: Apache-2.0
// The samples hold invented numbers, small enough to check by hand.
#include "validation/import/import.h"

#include <catch2/catch.hpp>

#include "sim/core/json_reader.h"
#include "tests/validation/import/files.h"
#include "validation/file_formats.h"
#include "validation/import/number_text.h"
#include "validation/rows_format.h"

using namespace attnsim;
using namespace attnsim::test;
using Catch::Matchers::Contains;

namespace {

int count_of(const Imported& imported, const std::string& part_of_reason) {
  int count = 0;
  for (const UnmatchedReason& reason : imported.unmatched)
    if (reason.reason.find(part_of_reason) != std::string::npos) count += reason.count;
  return count;
}

// Every entry of the file became a row's sample, a part of one, or stands in the report.
void check_nothing_lost(const Imported& imported) {
  int samples = 0;
  for (const RowFields& row : imported.rows) samples += std::stoi(row.at("samples"));
  CHECK(samples + imported.parts + imported.unmatched_count() == imported.launches);
}

}  // namespace

TEST_CASE("Nsight Compute's raw page gives rows with the clock of the run") {
  const Imported imported = import_rows({.file = sample("ncu-raw.csv"), .set = {{"batch", "2"}, {"q_heads", "16"}, {"q_len", "4096"}}});
  CHECK(imported.format == "ncu-csv");
  REQUIRE(imported.rows.size() == 1);
  const RowFields& row = imported.rows[0];
  CHECK(row.at("device") == "A100-SXM4-80GB");
  CHECK(row.at("library") == "FlashAttention-2");
  CHECK(row.at("dtype") == "fp16");       // the seventh argument of the kernel's traits
  CHECK(row.at("head_dim_qk") == "128");  // their first
  CHECK(row.at("mask") == "causal");      // the third argument of the kernel
  CHECK(row.at("kv_heads") == "16");
  CHECK(row.at("time_us") == "1100");  // median of 1000 and 1200
  CHECK(row.at("samples") == "2");
  CHECK(row.at("sm_clock_mhz") == "1410");
  CHECK(row.at("harness") == "ncu-kernel");
  CHECK(count_of(imported, "element-wise") == 1);
  CHECK(count_of(imported, "n/a") == 1);
  check_nothing_lost(imported);
}

TEST_CASE("without merging every launch is a row") {
  const Imported imported =
      import_rows({.file = sample("ncu-raw.csv"), .set = {{"batch", "2"}, {"q_heads", "16"}, {"q_len", "4096"}}, .merge = false});
  CHECK(imported.rows.size() == 2);
  check_nothing_lost(imported);
}

TEST_CASE("a shape that no one states keeps launches out of the rows and says what is missing") {
  const Imported imported = import_rows({.file = sample("ncu-raw.csv")});
  CHECK(imported.rows.empty());
  CHECK(count_of(imported, "not known: batch, q_heads, q_len") == 2);
  check_nothing_lost(imported);
}

TEST_CASE("Nsight Compute's long form adds the combine kernel to the split kernel before it on its stream") {
  const Imported imported = import_rows({.file = sample("ncu-long.csv"),
                                         .device = "A100-SXM4-80GB",
                                         .set = {{"batch", "16"},
                                                 {"q_heads", "32"},
                                                 {"kv_heads", "8"},
                                                 {"q_len", "1"},
                                                 {"kv_len", "4096"},
                                                 {"head_dim_qk", "128"},
                                                 {"mask", "causal"},
                                                 {"dtype", "bf16"}}});
  REQUIRE(imported.rows.size() == 1);
  CHECK(imported.rows[0].at("time_us") == "45");  // 40 + 5
  CHECK(imported.rows[0].at("phase") == "decode");
  CHECK(imported.rows[0].at("sm_clock_mhz") == "1200");
  CHECK(imported.parts == 1);
  CHECK(count_of(imported, "part of a flash_fwd_splitkv kernel") == 1);  // alone on stream 13
  check_nothing_lost(imported);
}

TEST_CASE("a Kineto trace gives shapes from the operators above each kernel") {
  const Imported imported = import_rows({.file = sample("kineto.json")});
  CHECK(imported.format == "kineto");
  REQUIRE(imported.rows.size() == 2);
  const RowFields& attention = imported.rows[0];
  CHECK(attention.at("device") == "H100-SXM5-80GB");
  CHECK(attention.at("library") == "PyTorch SDPA flash");
  CHECK(attention.at("batch") == "2");
  CHECK(attention.at("q_heads") == "16");
  CHECK(attention.at("kv_heads") == "4");
  CHECK(attention.at("q_len") == "1024");
  CHECK(attention.at("mask") == "causal");  // stated by the outer operator only
  CHECK(attention.at("dtype") == "bf16");
  CHECK(attention.at("time_us") == "210");
  CHECK(attention.at("samples") == "2");
  CHECK(attention.at("harness") == "profiler-kernel");
  const RowFields& gemm = imported.rows[1];
  CHECK(gemm.at("phase") == "gemm");
  CHECK(gemm.at("m") == "2048");
  CHECK(gemm.at("k") == "512");
  CHECK(gemm.at("n") == "4096");
  CHECK(count_of(imported, "KV-cache write") == 1);
  CHECK(count_of(imported, "no rule") == 1);
  CHECK(count_of(imported, "not known: dtype, batch") == 1);  // FA3 without an operator above it
  check_nothing_lost(imported);
}

TEST_CASE("NATTEN's table gives time per call, and its other tables and total give nothing") {
  const Imported imported = import_rows(
      {.file = sample("natten.txt"),
       .device = "H100-SXM5-80GB",
       .set = {{"batch", "1"}, {"q_heads", "24"}, {"q_len", "4096"}, {"head_dim_qk", "128"}, {"mask", "full"}, {"dtype", "fp16"}}});
  CHECK(imported.format == "natten");
  REQUIRE(imported.rows.size() == 1);
  CHECK(imported.rows[0].at("library") == "cuDNN");
  CHECK(imported.rows[0].at("time_us") == "2000");  // 4 ms in two calls
  CHECK(imported.rows[0].at("version") == "Sm90");
  CHECK(count_of(imported, "elementwise") == 1);
  CHECK(imported.launches == 2);
  check_nothing_lost(imported);
}

TEST_CASE("a plain CSV may use other names of columns and units, and its bad lines stand in the report") {
  const Imported imported = import_rows({.file = sample("plain.csv")});
  CHECK(imported.format == "csv");
  REQUIRE(imported.rows.size() == 2);
  CHECK(imported.rows[0].at("device") == "L40S");
  CHECK(imported.rows[0].at("mask") == "causal");
  CHECK(imported.rows[0].at("kv_len") == "2048");
  CHECK(imported.rows[0].at("time_us") == "500");
  CHECK(imported.rows[1].at("mask") == "full");
  CHECK(count_of(imported, "\"many\" is no integer") == 1);
  CHECK(count_of(imported, "\"soon\" is no time") == 1);
  REQUIRE(imported.notes.size() == 1);
  CHECK_THAT(imported.notes[0], Contains("comment"));
  check_nothing_lost(imported);
}

TEST_CASE("what is written is what validate reads, under any file name") {
  const Imported imported = import_rows({.file = sample("kineto.json")});
  const std::filesystem::path path = written("rows-of-mine.csv", rows_csv(imported.rows));
  const Measurements read = read_measurement_files("", {path.string()});
  REQUIRE(read.rows.size() == 2);
  CHECK(read.rows[0].measured_us == 210);
  CHECK(read.rows[0].kv_heads == 4);
  CHECK(read.rows[0].mask == MaskKind::causal);
  CHECK(read.rows[0].harness == "profiler-kernel");
  CHECK(read.rows[1].flops == 2.0 * 2048 * 4096 * 512);
}

TEST_CASE("a run config holds the rows that a schedule stands for, with their times") {
  const Imported imported = import_rows({.file = sample("kineto.json")});
  std::vector<std::string> left_out;
  const Json config = run_config_of(imported.rows, left_out);
  CHECK(config.at("chip") == "h100-sxm");
  CHECK(config.at("harness") == "profiler-kernel");
  REQUIRE(config.at("workloads").size() + left_out.size() == imported.rows.size());
  CHECK(config["workloads"][0]["variant"] == "causal");
  CHECK(config["workloads"][0]["measured_us"] == 210.0);
  CHECK(config["workloads"][0]["shape"]["kv_heads"] == 4);
}

TEST_CASE("a file in no known format, a broken one and an absent one are refused") {
  const auto [name, text, complaint] = GENERATE(table<std::string, std::string, std::string>({
      {"empty", "", "no format that is known"},
      {"prose.txt", "nothing of interest\n", "no format that is known"},
      {"cut.json", "{\"traceEvents\": [{\"ph\": \"X\", \"cat\": \"kernel\"", "no valid JSON"},
      {"no-kernel.json", "{\"traceEvents\": [{\"ph\": \"X\", \"cat\": \"cpu_op\"}]}", "holds no kernel"},
      {"object.json", "{\"traceEvents\": {\"ph\": 1}}", "no list of events"},
      {"packed.json.gz", "\x1f\x8b rest", "compressed"},
      {"ragged.csv", "\"ID\",\"Process ID\",\"Kernel Name\",\"gpu__time_duration.sum\"\n\"0\",\"1\"\n", "2 fields"},
      {"no-time.csv", "device,kernel,batch\nL40S,k,1\n", "no format that is known"},
  }));
  const std::filesystem::path path = written(name, text);
  CHECK_THROWS_WITH(import_rows({.file = path}), Contains(complaint));
}

TEST_CASE("an absent file, an unknown format and an unknown column are refused with what there is") {
  CHECK_THROWS_WITH(import_rows({.file = "absent.json"}), Contains("absent.json") && Contains("can't be read"));
  CHECK_THROWS_WITH(import_rows({.file = sample("natten.txt"), .format = "nattn"}), Contains("nearest: \"natten\""));
  CHECK_THROWS_WITH(import_rows({.file = sample("natten.txt"), .format = "kineto"}), Contains("natten.txt"));
  CHECK_THROWS_WITH(import_rows({.file = sample("natten.txt"), .set = {{"q_length", "1"}}}), Contains("q_len"));
}

TEST_CASE("bad events of a trace go to the report and do not stop it") {
  const std::filesystem::path path = written("odd.json", R"({"traceEvents": [7, null, {"ph": "X", "cat": 3},
      {"ph": "X", "cat": "kernel", "name": 5, "dur": "long", "args": []},
      {"ph": "X", "cat": "kernel", "name": "flash_fwd_kernel", "dur": 10, "args": {"grid": "x", "External id": "9"}}]})");
  const Imported imported = import_rows({.file = path});
  CHECK(imported.launches == 2);
  CHECK(count_of(imported, "no duration") == 1);
  check_nothing_lost(imported);
}

TEST_CASE("numbers are read with the separators of several locales") {
  CHECK(number_of("1,000,000") == 1e6);
  CHECK(number_of("1,234.5") == 1234.5);
  CHECK(number_of("1.234,5") == 1234.5);
  CHECK(number_of("27.595.520") == 27595520);
  CHECK(number_of("65,77") == 65.77);
  CHECK(number_of("117.344") == 117.344);
  CHECK_FALSE(number_of("n/a"));
  CHECK_FALSE(number_of(""));
  CHECK(duration_us("424.766us") == Approx(424.766));
  CHECK(duration_us("1.158s") == Approx(1.158e6));
  CHECK_FALSE(duration_us("12 parsecs"));
  CHECK(megahertz_of("cycle/nsecond") == 1e3);
  CHECK(triple_of("(128, 2, 1)") == std::array<std::int64_t, 3>{128, 2, 1});
}

TEST_CASE("arguments of templates are found by their place") {
  CHECK(template_argument("void f<g<64, half, h<1, 2>>, (bool)1>(int, int)", "f", "0.1") == "half");
  CHECK(template_argument("void f<g<64, half, h<1, 2>>, (bool)1>(int, int)", "f", "1") == "(bool)1");
  CHECK(template_argument("void f<g<64, half, h<1, 2>>, (bool)1>(int, int)", "f", "0.2.1") == "2");
  CHECK_FALSE(template_argument("f", "f", "0"));
  CHECK_FALSE(template_argument("f<1>", "f", "3"));
  CHECK_FALSE(template_argument("g<1>", "f", "0"));
}
