// SPDX-License-Identifier: Apache-2.0
#include "validation/own_rows.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "hwmodels/chip_loader.h"
#include "sim/core/data_dir.h"
#include "validation/measured.h"

using namespace attnsim;

namespace {

bench::Row bench_row(const std::string& mask, double us, std::int64_t length = 2048) {
  bench::Row row;
  row.backend = "host";
  row.device = {"CPU", "", "host", 3000};
  row.kernel = {"host-fa", "", "host-fa", "validation/host/prefill.cpp"};
  row.source_hash = bench::hash_of_sources(row.kernel.source, data_dir());
  row.shape.dtype = "f32";
  row.shape.mask = mask;
  row.shape.q_len = row.shape.kv_len = length;
  row.shape.q_heads = row.shape.kv_heads = 4;
  if (mask == "window") row.shape.left = 255, row.shape.right = 0;
  row.timing.sample_us = {us, us, us};
  row.harness = "single-launch";
  return row;
}

OwnRow made(const std::string& mask, double measured_us, double predicted_us, std::int64_t length = 2048) {
  OwnRow row = own_row(bench_row(mask, measured_us, length));
  row.predicted_us = predicted_us;
  return row;
}

}  // namespace

TEST_CASE("speedups are taken over the dense row of the same problem") {
  std::vector<OwnRow> rows{made("causal", 50, 60), made("dense", 100, 120), made("dense", 900, 900, 4096)};
  add_speedups(rows);
  CHECK(rows[0].speedup.value() == Approx(2));
  CHECK(rows[0].predicted_speedup.value() == Approx(2));
  CHECK_FALSE(rows[1].speedup);
}

TEST_CASE("only a clear speedup that is predicted the other way round is a disorder") {
  CHECK(disorders(std::vector<OwnRow>{made("dense", 100, 100), made("causal", 50, 101)}).size() == 1);
  CHECK(disorders(std::vector<OwnRow>{made("dense", 100, 100), made("causal", 50, 99)}).empty());
  CHECK(disorders(std::vector<OwnRow>{made("dense", 100, 100), made("causal", 80, 101)}).empty());        // 1.25x is not clear
  CHECK(disorders(std::vector<OwnRow>{made("dense", 100, 100), made("causal", 50, 101, 4096)}).empty());  // other problems
  CHECK(clear_pairs(std::vector<OwnRow>{made("dense", 100, 100), made("causal", 50, 99), made("window", 20, 10)}) == 3);
  std::vector<OwnRow> noisy{made("dense", 100, 100), made("causal", 50, 101)};
  noisy[0].half_width_us = 40;
  CHECK(disorders(noisy).empty());
}

TEST_CASE("host rows are predicted, faster with fewer keys, and bf16 has no unit there") {
  const Chip chip = load_chip("host");
  OwnRow dense = own_row(bench_row("dense", 100));
  OwnRow causal = own_row(bench_row("causal", 50));
  OwnRow window = own_row(bench_row("window", 20));
  for (OwnRow* row : {&dense, &causal, &window}) {
    predict_row(*row, chip);
    REQUIRE(row->predicted_us);
  }
  CHECK(*dense.predicted_us > 1.5 * *causal.predicted_us);
  CHECK(*causal.predicted_us > 1.5 * *window.predicted_us);
  // Two cores of 32 FLOP per clock at 3 GHz: 4 x 4 heads x 2048^2 x 128 FLOP take at least so long.
  CHECK(*dense.predicted_us > 4.0 * 4 * 2048 * 2048 * 128 / (2 * 32 * 3e3));
  OwnRow other = own_row(bench_row("dense", 100));
  other.row.shape.dtype = "bf16";
  predict_row(other, chip);
  CHECK_FALSE(other.predicted_us);
  CHECK_FALSE(other.unmapped.empty());
}

TEST_CASE("committed rows are read by device and stale ones are told and left out") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "attnsim-measured-test";
  std::filesystem::remove_all(folder);
  CHECK_THAT(measured_text(validate_measured(folder, 1, {})), Catch::StartsWith("no measurements of our own"));
  std::filesystem::create_directories(folder / "some-cpu");
  bench::Row stale = bench_row("window", 20);
  stale.source_hash = "0";
  {
    std::ofstream stream(folder / "some-cpu" / "rows.jsonl", std::ios::binary);
    for (const bench::Row& row : {bench_row("dense", 100), bench_row("causal", 50), stale}) stream << bench::to_line(row) << "\n";
  }
  const MeasuredValidation validation = validate_measured(folder, 2, {});
  REQUIRE(validation.devices.size() == 1);
  CHECK(validation.devices[0].rows.size() == 3);
  CHECK(validation.devices[0].rows[2].stale);
  CHECK(validation.devices[0].rows[1].speedup.value() == Approx(2));
  const std::string text = measured_text(validation);
  CHECK_THAT(text, Catch::Contains("1 stale"));
  CHECK_THAT(text, !Catch::Contains("window"));
  std::filesystem::remove_all(folder);
}
