// SPDX-License-Identifier: Apache-2.0
// `attnsim calibrate --measured`: rows that attnsim-bench wrote, with the overlay of its microbenchmarks.
#include "validation/own_rows.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "hwmodels/overlay.h"
#include "tests/support/own_bench_row.h"
#include "tests/support/temporary_folder.h"
#include "validation/calibrate/calibrate.h"
#include "validation/calibrate/own_model_rows.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

bench::Row bench_row(std::int64_t length, const std::string& mask, int heads) {
  bench::Row row = test::own_bench_row(length, mask, heads);
  row.shape.density = 0.5;
  row.shape.head_dim = 64;
  return row;
}

// A device folder whose times the model itself makes with these figures, on top of its overlay.json; it goes with the object.
class DeviceFolder {
 public:
  explicit DeviceFolder(const std::map<std::string, double>& truth) {
    std::filesystem::create_directories(path() / "some-cpu");
    std::ofstream(path() / "some-cpu" / "overlay.json")
        << R"({"chip": "host", "description": "CPU", "fitted_on": "nothing", "figures": {"clock.boost_mhz": )"
        << R"({"value": 4000, "status": "measured", "source": "clock", "uncertainty": "+- 1"}}})";
    JsonDocument document = chip_document("host", read_json_file(path() / "some-cpu" / "overlay.json"));
    for (const auto& [figure, value] : truth) set_figure(document, figure, value, "estimated", "test");
    const Chip chip = parse_chip(document);
    std::ofstream stream(path() / "some-cpu" / "rows.jsonl");
    for (const std::int64_t length : {96, 192, 384, 768})
      for (const std::string mask : {"dense", "causal", "block-sparse"})
        for (const int heads : {1, 2, 5}) {
          OwnRow row = own_row(bench_row(length, mask, heads));
          predict_row(row, chip);
          REQUIRE(row.predicted_us);
          row.row.timing.sample_us.assign(3, *row.predicted_us);
          stream << bench::to_line(row.row) << '\n';
        }
    bench::Row stale = bench_row(96, "dense", 3);
    stale.source_hash = "0";
    stale.timing.sample_us.assign(3, 1e6);
    stream << bench::to_line(stale) << '\n';
  }
  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }

 private:
  test::TemporaryFolder folder_;
};

CalibrateOptions own_rows_options(const DeviceFolder& folder) {
  CalibrateOptions options;
  options.chip = "host";
  options.own_rows = folder.path();
  options.evaluation.jobs = 1;
  return options;
}

}  // namespace

TEST_CASE("figures that made a device's own rows are found again, and its overlay stays beside them") {
  const DeviceFolder folder({{"tensor.efficiency", 0.7}, {"launch.kernel_us", 4}});
  CalibrateOptions options = own_rows_options(folder);
  options.parameters = {"tensor.efficiency", "launch.kernel_us"};
  const Calibration c = calibrate(options);
  REQUIRE(c.parameters.size() == 2);
  CHECK(c.parameters[0].value == Approx(0.7).epsilon(0.01));
  CHECK(c.parameters[1].value == Approx(4).epsilon(0.01));
  CHECK(c.accepted);
  CHECK(*c.unseen_after.mape < 0.5);
  CHECK(c.calibration_rows + c.unseen_rows == 36);
  CHECK(c.unmapped == std::map<std::string, std::size_t>{{"stale: the kernel's source has changed since", 1}});
  CHECK(c.files == std::vector<std::string>{"some-cpu/rows.jsonl"});
  const Json overlay = overlay_of(c);
  CHECK(overlay.at("figures").at("clock.boost_mhz").at("value") == 4000);
  CHECK(overlay.at("figures").at("tensor.efficiency").at("status") == "fitted");
  CHECK(load_chip("host", {"written.json", overlay}).tensor.efficiency == Approx(0.7).epsilon(0.01));
}

TEST_CASE("a device's halves are those of validate --measured") {
  const DeviceFolder folder({});
  const OwnModelRows rows = own_model_rows(folder.path() / "some-cpu", "host");
  const auto split_of_id = [](const ModelRow& row) {
    MeasuredRow identity;
    identity.device = row.row.device;
    identity.kernel = row.row.kernel;
    identity.shape = row.row.shape;
    return split_of(identity);
  };
  for (const ModelRow& row : rows.calibration) CHECK(split_of_id(row) == Split::calibration);
  for (const ModelRow& row : rows.unseen) CHECK(split_of_id(row) == Split::test);
}

TEST_CASE("own rows that a chip can't be fitted to are refused with the reason") {
  const DeviceFolder folder({});
  CHECK_THROWS_WITH(own_model_rows(folder.path(), "h100-sxm"), Contains("has no rows of attnsim-bench there") && Contains("host"));
  std::filesystem::copy(folder.path() / "some-cpu", folder.path() / "other-cpu");
  CHECK_THROWS_WITH(own_model_rows(folder.path(), "host"), Contains("several devices"));
}
