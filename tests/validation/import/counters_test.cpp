// SPDX-License-Identifier: Apache-2.0
// Counters of a profile: from its file into rows, and beside the prediction. The samples hold invented numbers.
#include <catch2/catch.hpp>

#include "sim/core/json_reader.h"
#include "tests/validation/import/files.h"
#include "validation/counter_values.h"
#include "validation/import/import.h"
#include "validation/import/number_text.h"
#include "validation/report.h"
#include "validation/rows_format.h"
#include "validation/validate.h"

using namespace attnsim;
using namespace attnsim::test;
using Catch::Matchers::Contains;

namespace {

Imported of_profile() {
  return import_rows({.file = sample("ncu-counters.csv"), .set = {{"batch", "2"}, {"q_heads", "16"}, {"q_len", "4096"}}});
}

Imported of_decode(const std::filesystem::path& file) {
  return import_rows({.file = file,
                      .device = "A100-SXM4-80GB",
                      .set = {{"batch", "1"},
                              {"q_heads", "8"},
                              {"q_len", "1"},
                              {"kv_len", "4096"},
                              {"head_dim_qk", "128"},
                              {"mask", "full"},
                              {"dtype", "fp16"}}});
}

}  // namespace

TEST_CASE("counters of a profile come in base units, as medians over the launches, and unknown metrics not at all") {
  const Imported imported = of_profile();
  REQUIRE(imported.rows.size() == 1);
  const std::map<std::string, double> counters = read_counters_cell(imported.rows[0].at("counters"));
  CHECK(counters.at("dram__bytes_read.sum") == Approx(101e6));
  CHECK(counters.at("lts__t_sector_hit_rate.pct") == Approx(96));
  CHECK(counters.at("sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed") == Approx(61));
  CHECK(counters.at("sm__inst_executed.sum") == Approx(80e6));  // of the launch that has it
  CHECK(counters.size() == 4);
}

TEST_CASE("sections of the details page are the metrics that they show") {
  const std::string head = "\"ID\",\"Process ID\",\"Kernel Name\",\"Stream\",\"Metric Name\",\"Metric Unit\",\"Metric Value\"\n";
  const auto line = [](const std::string& name, const std::string& unit, const std::string& value) {
    return "\"0\",\"1\",\"flash_fwd_splitkv_kernel\",\"7\",\"" + name + "\",\"" + unit + "\",\"" + value + "\"\n";
  };
  const std::filesystem::path path =
      written("sections.csv", head + line("Duration", "us", "40") + line("L2 Hit Rate", "%", "71.5") + line("DRAM Throughput", "%", "55") +
                                  line("Memory Throughput", "Gbyte/second", "900"));
  const Imported imported = of_decode(path);
  REQUIRE(imported.rows.size() == 1);
  CHECK(imported.rows[0].at("counters") == "dram__throughput.avg.pct_of_peak_sustained_elapsed=55;lts__t_sector_hit_rate.pct=71.5");
}

TEST_CASE("a combine kernel adds its sums and weighs its percentages by time") {
  const std::string head =
      "\"ID\",\"Process ID\",\"Kernel Name\",\"Stream\",\"gpu__time_duration.sum\",\"dram__bytes_read.sum\","
      "\"lts__t_sector_hit_rate.pct\"\n\"\",\"\",\"\",\"\",\"us\",\"Kbyte\",\"%\"\n";
  const std::filesystem::path path =
      written("parts.csv", head + "\"0\",\"1\",\"flash_fwd_splitkv_kernel\",\"7\",\"30\",\"1000\",\"50\"\n" +
                               "\"1\",\"1\",\"flash_fwd_splitkv_combine_kernel\",\"7\",\"10\",\"24\",\"90\"\n");
  const Imported imported = of_decode(path);
  REQUIRE(imported.rows.size() == 1);
  CHECK(imported.parts == 1);
  CHECK(imported.rows[0].at("counters") == "dram__bytes_read.sum=1024000;lts__t_sector_hit_rate.pct=60");  // (30 * 50 + 10 * 90) / 40
}

TEST_CASE("a table of one's own may have counters as columns, and what was imported can be imported again") {
  const std::string columns = "gpu,library,kernel,batch,heads,seqlen,head_dim,dtype,time_us,tensor_flops,remark\n";
  const Imported first =
      import_rows({.file = written("plain.csv", columns + "H100-SXM5-80GB,FlashAttention-3,flash_fwd,1,8,1024,128,bf16,50,4.3e9,fine\n")});
  REQUIRE(first.rows.size() == 1);
  CHECK(first.rows[0].at("counters") == "tensor_flops=4.3e+09");
  CHECK(first.notes == std::vector<std::string>{"column remark is not read"});
  const Imported again = import_rows({.file = written("again.csv", rows_csv(first.rows)), .format = "csv"});
  REQUIRE(again.rows.size() == 1);
  CHECK(again.rows[0].at("counters") == "tensor_flops=4.3e+09");
}

TEST_CASE("imported counters stand beside those of the prediction") {
  ValidateOptions options;
  options.files = {written("rows.csv", rows_csv(of_profile().rows)).string()};
  options.jobs = 1;
  const Validation validation = validate(options);
  REQUIRE(validation.outcomes.size() == 1);
  const RowOutcome& outcome = validation.outcomes[0];
  REQUIRE(outcome.unmapped.empty());
  REQUIRE(outcome.counters.size() == 4);
  for (const CounterPair& counter : outcome.counters) {
    CAPTURE(counter.name);
    REQUIRE(counter.predicted);
    // Q, K and V of 2 x 16 heads, 4096 x 128 elements of two bytes, once; little of it again.
    constexpr double kOnce = 3.0 * 2 * 16 * 4096 * 128 * 2;
    if (counter.name == "dram__bytes_read.sum") CHECK((*counter.predicted > 0.99 * kOnce && *counter.predicted < 1.3 * kOnce));
  }
  const std::string text = report_text(validation.groups, validation.outcomes, false);
  CHECK_THAT(text, Contains("dram__bytes_read.sum") && Contains("counted in the kernel or by a profiler"));
  const Json json = Json::parse(report_json(validation.groups, validation.outcomes, true));
  CHECK(json["rows"][0]["counters"]["lts__t_sector_hit_rate.pct"]["measured"] == 96);
}

TEST_CASE("a counters cell that is no list of names and numbers is an error with line and column") {
  Imported imported = of_profile();
  imported.rows[0]["counters"] = "dram__bytes_read.sum=many";
  CHECK_THROWS_WITH(read_row_table(parse_csv(rows_csv(imported.rows), "rows.csv")),
                    Contains("counters") && Contains("dram__bytes_read.sum=many") && Contains("name=value"));
}

TEST_CASE("prefixes of units") {
  CHECK(prefix_of("Mbyte") == 1e6);
  CHECK(prefix_of("Kinst") == 1e3);
  CHECK(prefix_of("byte") == 1);
  CHECK(prefix_of("%") == 1);
  CHECK(prefix_of("nsecond") == 1);
}
