// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/calibrate.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>

#include "hwmodels/overlay.h"
#include "sim/core/data_dir.h"
#include "tests/support/temporary_folder.h"
#include "validation/file_formats.h"
#include "validation/validate.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kHeader =
    "device,library,kernel,phase,batch,q_len,kv_len,q_heads,kv_heads,head_dim,window,causal,dtype,latency_us,flops,min_bytes\n";

class Folder {
 public:
  [[nodiscard]] std::string file() const { return folder_.file("library_attention.csv").string(); }

 private:
  test::TemporaryFolder folder_;
};

// Decode calls of L40S of many sizes; `time_us(row, split)` says how long each took.
template <class Time>
void write_rows(const std::string& file, const std::vector<std::int64_t>& lengths, Time time_us) {
  const auto text = [&](const auto& us_of) {
    std::string csv = kHeader;
    for (const std::int64_t kv_len : lengths)
      for (const int batch : {1, 3, 8})
        csv += fmt::format("l40s,vllm-0.24.0,vllm_flash_attn_fa2,decode,{},1,{},8,2,128,0,1,bf16,{:.6g},1,1\n", batch, kv_len,
                           us_of(batch, kv_len));
    return csv;
  };
  // First with any time, to learn which half each row belongs to.
  std::ofstream(file) << text([](int, std::int64_t) { return 1.0; });
  std::map<std::pair<std::int64_t, std::int64_t>, Split> splits;
  for (const MeasuredRow& row : read_measurement_files("", {file}).rows) splits[{row.batch, row.kv_len}] = split_of(row);
  std::ofstream(file) << text([&](int batch, std::int64_t kv_len) { return time_us(batch, kv_len, splits.at({batch, kv_len})); });
}

// A law in closed form in place of the engine: start-up, a latency, and bytes at the sustained bandwidth.
double law_us(const Chip& chip, double batch, double kv_len, double constant_us) {
  const double mhz = chip.clock.boost_mhz;
  const double bytes = batch * kv_len * 2 * 2 * 128 * 2;
  return constant_us + chip.launch.cta_start_cycles / mhz + batch * chip.latency.l2_cycles / mhz +
         bytes / (chip.hbm.bandwidth_gb_per_s * 1e3 * chip.hbm.efficiency);
}

double law_of(const Request& request, const TimedKernels&) {
  return law_us(request.chip, static_cast<double>(request.problem.batch), static_cast<double>(request.problem.kv_len[0]),
                request.conditions.constant_us);
}

CalibrateOptions options_for(const std::string& file) {
  CalibrateOptions options;
  options.chip = "l40s";
  options.files = {file};
  options.evaluation.predict_us = law_of;
  options.evaluation.jobs = 1;
  return options;
}

double shipped_constant_us() {
  return load_harness("vllm-replay-l40s").conditions.constant_us;
}

const std::vector<std::int64_t> kLengths{64, 128, 256, 512, 1000, 2000, 4000, 9000, 20000, 50000};

const FittedParameter& find(const Calibration& calibration, std::string_view name) {
  for (const FittedParameter& fitted : calibration.parameters)
    if (fitted.parameter->name == name) return fitted;
  throw std::out_of_range(std::string(name));
}

}  // namespace

TEST_CASE("parameters that made the rows are found again within a per cent") {
  const Folder folder;
  Chip truth = load_chip("l40s");
  truth.launch.cta_start_cycles = 5000;
  truth.hbm.efficiency = 0.71;
  write_rows(folder.file(), kLengths, [&](int batch, std::int64_t kv_len, Split) {
    return law_us(truth, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  CalibrateOptions options = options_for(folder.file());
  options.harness = "vllm-replay-l40s";
  options.parameters = {"launch.cta_start_cycles", "hbm.efficiency"};
  const Calibration calibration = calibrate(options);
  CHECK(calibration.converged);
  CHECK(find(calibration, "launch.cta_start_cycles").value == Approx(5000).epsilon(0.01));
  CHECK(find(calibration, "hbm.efficiency").value == Approx(0.71).epsilon(0.01));
  CHECK(calibration.accepted);
  CHECK(*calibration.unseen_after.mape < 0.5);
  CHECK(*calibration.unseen_before.mape > 5);
  CHECK(calibration.calibration_rows + calibration.unseen_rows == 3 * kLengths.size());
}

TEST_CASE("a member of the harness is fitted beside a figure of the chip and written to the harness") {
  const Folder folder;
  Chip truth = load_chip("l40s");
  truth.hbm.efficiency = 0.7;
  write_rows(folder.file(), kLengths,
             [&](int batch, std::int64_t kv_len, Split) { return law_us(truth, batch, static_cast<double>(kv_len), 9.0); });
  CalibrateOptions options = options_for(folder.file());
  options.harness = "vllm-replay-l40s";
  options.parameters = {"hbm.efficiency", "constant_us"};
  const Calibration calibration = calibrate(options);
  CHECK(find(calibration, "constant_us").value == Approx(9.0).epsilon(0.01));
  CHECK(find(calibration, "hbm.efficiency").value == Approx(0.7).epsilon(0.01));
  CHECK(harness_of(calibration).at("constant_us").get<double>() == find(calibration, "constant_us").value);
  CHECK_FALSE(overlay_of(calibration).at("figures").contains("constant_us"));
}

TEST_CASE("a sensitivity is the part of the time that a parameter makes") {
  const Folder folder;
  const Chip truth = load_chip("l40s");
  write_rows(folder.file(), {50000}, [&](int batch, std::int64_t kv_len, Split) {
    return law_us(truth, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  CalibrateOptions options = options_for(folder.file());
  options.parameters = {"hbm.efficiency"};
  const Calibration calibration = calibrate(options);
  // Nearly all of these rows' time is bytes over bandwidth, which falls as the efficiency grows.
  double sum = 0;
  int bands = 0;
  for (const std::optional<double>& slope : find(calibration, "hbm.efficiency").sensitivity)
    if (slope) sum += *slope, ++bands;
  REQUIRE(bands > 0);
  CHECK(sum / bands == Approx(-1).margin(0.15));
}

TEST_CASE("a fit that makes the rows worse that it did not see is refused") {
  const Folder folder;
  const Chip shipped = load_chip("l40s");
  Chip other = shipped;
  other.hbm.efficiency = 0.65;
  // The unseen half was made by the shipped figures, so that every change worsens it.
  write_rows(folder.file(), kLengths, [&](int batch, std::int64_t kv_len, Split split) {
    return law_us(split == Split::calibration ? other : shipped, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  CalibrateOptions options = options_for(folder.file());
  options.parameters = {"hbm.efficiency"};
  const Calibration calibration = calibrate(options);
  CHECK(*calibration.fit_after.mape < *calibration.fit_before.mape);
  CHECK(*calibration.unseen_after.mape > *calibration.unseen_before.mape);
  CHECK_FALSE(calibration.accepted);
  CHECK_THAT(calibration.verdict, Contains("refused"));
}

TEST_CASE("a value beyond a bound ends at the bound and says so") {
  const Folder folder;
  const Chip chip = load_chip("l40s");
  write_rows(folder.file(), kLengths, [&](int batch, std::int64_t kv_len, Split) {
    Chip impossible = chip;
    impossible.hbm.efficiency = 1.4;  // faster than the peak
    return law_us(impossible, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  CalibrateOptions options = options_for(folder.file());
  options.parameters = {"hbm.efficiency"};
  const Calibration calibration = calibrate(options);
  CHECK(find(calibration, "hbm.efficiency").value == 1.0);
  CHECK(find(calibration, "hbm.efficiency").at_bound);
  CHECK_FALSE(find(calibration, "hbm.efficiency").standard_error);
  CHECK_THAT(overlay_of(calibration)["figures"]["hbm.efficiency"]["uncertainty"].get<std::string>(), Contains("bound"));
}

TEST_CASE("what is named and can't be fitted is refused before any fit") {
  const Folder folder;
  const Chip chip = load_chip("l40s");
  write_rows(folder.file(), kLengths, [&](int batch, std::int64_t kv_len, Split) {
    return law_us(chip, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  const auto [names, complaint] = GENERATE(table<std::vector<std::string>, std::string>({
      {{"power.hbm_pj_per_byte"}, "is seen by none of these rows"},
      {{"hbm.eficiency"}, "nearest: \"hbm.efficiency\""},
      {{"constant_us"}, "--harness"},
      {{"hbm.efficiency", "hbm.efficiency"}, "named twice"},
      {{"launch.cta_start_cycles", "launch.dependent_kernel_us", "launch.kernel_us", "latency.l2_cycles", "latency.hbm_ns",
        "hbm.efficiency", "hbm.write_cost"},
       "at most 6"},
  }));
  CalibrateOptions options = options_for(folder.file());
  options.parameters = names;
  CHECK_THROWS_WITH(calibrate(options), Contains(complaint));
}

TEST_CASE("rows of other chips or harnesses are no rows of a fit") {
  const Folder folder;
  const Chip chip = load_chip("l40s");
  write_rows(folder.file(), kLengths, [&](int batch, std::int64_t kv_len, Split) {
    return law_us(chip, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  CalibrateOptions options = options_for(folder.file());
  options.chip = "h20";
  CHECK_THROWS_WITH(calibrate(options), Contains("no calibration row"));
  options.chip = "l40s";
  options.harness = "benchmark-cold";
  CHECK_THROWS_WITH(calibrate(options), Contains("vllm-replay-l40s"));
}

TEST_CASE("the overlay that is written loads on its chip and keeps what the fit left alone") {
  const Folder folder;
  Chip truth = load_chip("l40s");
  truth.hbm.efficiency = 0.7;
  write_rows(folder.file(), kLengths, [&](int batch, std::int64_t kv_len, Split) {
    return law_us(truth, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  CalibrateOptions options = options_for(folder.file());
  options.parameters = {"hbm.efficiency"};
  const Calibration calibration = calibrate(options);
  const Json overlay = overlay_of(calibration);
  JsonDocument base = read_json_file(data_dir() / "hwmodels" / "chips" / "l40s.json");
  apply_overlay(base, {"written.json", overlay}, "l40s");
  const Chip loaded = parse_chip(base);
  CHECK(loaded.hbm.efficiency == Approx(0.7).epsilon(0.01));
  CHECK(loaded.latency.l2_cycles == load_chip("l40s").latency.l2_cycles);
  CHECK_THAT(overlay.at("fitted_on").get<std::string>(),
             Contains("did not see") && Contains("library_attention.csv") && Contains("seed 1"));
}

TEST_CASE("the engine's own parameters are found again within a per cent") {
  const Folder folder;
  JsonDocument document = chip_document("l40s");
  set_figure(document, "latency.l2_cycles", 450, "estimated", "test");
  set_figure(document, "launch.cta_start_cycles", 4000, "estimated", "test");
  const auto truth = std::make_shared<const Chip>(parse_chip(document));
  const KernelMaps maps = KernelMaps::load();
  Catalog catalog;
  const std::vector<std::int64_t> lengths{512, 4000, 30000};
  std::map<std::pair<std::int64_t, std::int64_t>, double> times;
  write_rows(folder.file(), lengths, [](int, std::int64_t, Split) { return 1.0; });
  for (const MeasuredRow& row : read_measurement_files("", {folder.file()}).rows) {
    MappedRow mapped = map_row(row, maps, catalog);
    mapped.chip = truth;
    times[{row.batch, row.kv_len}] = simulated_us(mapped.request(row, EngineKind::automatic));
  }
  write_rows(folder.file(), lengths, [&](int batch, std::int64_t kv_len, Split) { return times.at({batch, kv_len}); });
  CalibrateOptions options = options_for(folder.file());
  options.evaluation.predict_us = nullptr;
  options.evaluation.jobs = 2;
  options.parameters = {"latency.l2_cycles", "launch.cta_start_cycles"};
  const Calibration calibration = calibrate(options);
  CHECK(find(calibration, "latency.l2_cycles").value == Approx(450).epsilon(0.01));
  CHECK(find(calibration, "launch.cta_start_cycles").value == Approx(4000).epsilon(0.01));
  CHECK(calibration.accepted);
}

TEST_CASE("a fit of as many parameters as rows is refused") {
  const Folder folder;
  const Chip truth = load_chip("l40s");
  write_rows(folder.file(), kLengths, [&](int batch, std::int64_t kv_len, Split) {
    return law_us(truth, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  CalibrateOptions options = options_for(folder.file());
  options.parameters = {"latency.l2_cycles", "launch.cta_start_cycles"};
  options.most_rows = 2;
  CHECK_THROWS_WITH(calibrate(options), Contains("2 calibration rows for 2 parameters") && Contains("at least 3"));
  options.most_rows = 3;
  CHECK_NOTHROW(calibrate(options));
}

TEST_CASE("rows that judge are thinned on demand and stay apart from those of the fit") {
  const Folder folder;
  Chip truth = load_chip("l40s");
  truth.hbm.efficiency = 0.7;
  write_rows(folder.file(), kLengths, [&](int batch, std::int64_t kv_len, Split) {
    return law_us(truth, batch, static_cast<double>(kv_len), shipped_constant_us());
  });
  CalibrateOptions options = options_for(folder.file());
  options.parameters = {"hbm.efficiency"};
  options.most_rows = 6;
  options.most_unseen = 5;
  const Calibration calibration = calibrate(options);
  CHECK(calibration.fit_rows == 6);
  CHECK(calibration.unseen_rows == 5);
  CHECK(calibration.unseen_after.rows == 5);
  CHECK(calibration.accepted);
}
