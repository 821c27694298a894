// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/microbenchmarks.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>

#include "hwmodels/chip_loader.h"
#include "sim/core/error.h"
#include "tests/support/temporary_folder.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

class File {
 public:
  explicit File(const std::string& rows) { std::ofstream(path()) << "row_id,device,category,quantity,value,unit,conditions\n" << rows; }
  [[nodiscard]] std::filesystem::path path() const { return folder_.file("microbenchmarks.csv"); }

 private:
  test::TemporaryFolder folder_;
};

double value_of(const MicrobenchmarkTable& table, const std::string& path) {
  for (const MicrobenchmarkFigure& figure : table.figures)
    if (figure.path == path) return figure.value;
  FAIL("no figure " << path);
  return 0;
}

}  // namespace

TEST_CASE("figures follow from the measured quantities by their formulas") {
  const Chip chip = load_chip("a100-sxm-80gb");
  const File file(
      "1,A100-SXM4-80GB,x,stream_read_bandwidth_max,1600,GB/s,\n"
      "2,A100-SXM4-80GB,x,stream_scale_bandwidth_max,1280,GB/s,\n"
      "3,A100-SXM4-80GB,x,L2_latency,200,cycles,\n"
      "4,A100-SXM4-80GB,x,DRAM_latency,500,cycles,\"median, clock 1000 MHz\"\n"
      "5,A100-SXM4-80GB,x,MUFU.EX2 throughput,15,op/clk/SM,\n"
      "6,A100-SXM4-80GB,x,something else,1,GB/s,\n"
      "7,A100-SXM4-80GB,x,compute units,108 at 1410,text,\n"
      "8,L40,x,MUFU.EX2 throughput,99,op/clk/SM,\n");
  const MicrobenchmarkTable table = compare_microbenchmarks(file.path(), chip);
  CHECK(table.devices == std::vector<std::string>{"A100-SXM4-80GB"});
  CHECK(value_of(table, "hbm.efficiency") == Approx(1600 / chip.hbm.bandwidth_gb_per_s));
  CHECK(value_of(table, "hbm.write_cost") == Approx(2 * 1600.0 / 1280 - 1));
  CHECK(value_of(table, "latency.l2_cycles") == 200);
  CHECK(value_of(table, "latency.hbm_ns") == Approx(300));  // 300 cycles at the stated 1 GHz
  CHECK(value_of(table, "sm.sfu_lanes") == 15);
  CHECK(table.unused_rows == 2);
  CHECK(table.other_rows == 1);
  CHECK(settable_figures(table, {"sm.sfu_lanes"}).at("sm.sfu_lanes") == 15);
  CHECK_THROWS_WITH(settable_figures(table, {"latency.l2_cycles"}), Contains("is no figure that these microbenchmarks fix"));
  CHECK_THROWS_WITH(settable_figures(table, {"hbm.eficiency"}), Contains("nearest: \"hbm.efficiency\""));
}

TEST_CASE("the knee of the L2 curve lies where it has fallen a tenth of the way") {
  const Chip chip = load_chip("a100-sxm-80gb");
  // 1100 GB/s at 4096 kB falls by equal steps of the logarithm to 100 GB/s at 65536 kB: a tenth of the way is 1000 GB/s.
  const File file(
      "1,A100,x,L2_read_bandwidth,1050,GB/s,data set 1024 kB\n"
      "2,A100,x,L2_read_bandwidth,1100,GB/s,data set 4096 kB\n"
      "3,A100,x,L2_read_bandwidth,850,GB/s,data set 8192 kB\n"
      "4,A100,x,L2_read_bandwidth,100,GB/s,data set 65536 kB\n");
  const double kb = 4096 * std::pow(2.0, 100.0 / 250.0);
  CHECK(value_of(compare_microbenchmarks(file.path(), chip), "l2.effective_fraction") == Approx(kb / (chip.l2.capacity_mib * 1024)));
}

TEST_CASE("a device may be named, and one that the file lacks is refused") {
  const Chip chip = load_chip("h100-sxm");
  const File file("1,H800-PCIe,x,TMA extra latency vs regular load,170,cycles,\n");
  CHECK(compare_microbenchmarks(file.path(), chip).figures.empty());
  CHECK(value_of(compare_microbenchmarks(file.path(), chip, "H800-PCIe"), "latency.copy_engine_cycles") == 170);
  CHECK_THROWS_WITH(compare_microbenchmarks(file.path(), chip, "H800-PCIE"), Contains("nearest: \"H800-PCIe\""));
}

TEST_CASE("a table without its columns or with a value that is no number is refused") {
  const Chip chip = load_chip("a100-sxm-80gb");
  const File bad("1,A100,x,L2_latency,fast,cycles,\n");
  CHECK_THROWS_WITH(compare_microbenchmarks(bad.path(), chip), Contains("\"fast\" is no number"));
  const test::TemporaryFolder folder;
  const std::filesystem::path other = folder.file("other.csv");
  std::ofstream(other) << "device,amount\nA100,1\n";
  CHECK_THROWS_WITH(compare_microbenchmarks(other, chip), Contains("quantity") && Contains("missing"));
}
