// SPDX-License-Identifier: Apache-2.0
#include "validation/own_rows.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "hwmodels/chip_loader.h"
#include "tests/support/own_bench_row.h"
#include "tests/support/temporary_folder.h"
#include "validation/measured.h"
#include "validation/own_problem.h"

using namespace attnsim;

namespace {

bench::Row bench_row(const std::string& mask, double us, std::int64_t length = 2048) {
  bench::Row row = test::own_bench_row(length, mask, 4);
  if (mask == "window") row.shape.left = 255, row.shape.right = 0;
  row.timing.sample_us = {us, us, us};
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
  const test::TemporaryFolder temporary;
  const std::filesystem::path folder = temporary.file("measurements");
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
}

TEST_CASE("what a kernel counted stands beside the same number of the prediction") {
  // 20 query tiles of 96 by 15 KV tiles of 128: no padding. Four heads of head_dim 128.
  OwnRow row = own_row(bench_row("dense", 100, 1920));
  row.row.timing.counters = {{"tensor_flops", 1}, {"l2_bytes", 1}, {"kv_tiles", 1}, {"launch__grid_size", 1}};
  predict_row(row, load_chip("host"));
  REQUIRE(row.counters.size() == 4);
  const double head_bytes = 1920.0 * 128 * 4;
  CHECK(row.counters[0].predicted.value() == Approx(4 * 4.0 * 1920 * 1920 * 128));
  // Q, O; K and V once per query tile; the model also writes the log-sum-exp, which the host's kernels do not.
  CHECK(row.counters[1].predicted.value() == Approx(4 * (head_bytes * (2 + 2 * 20) + 1920 * 4)));
  CHECK_FALSE(row.counters[2].predicted);
  CHECK(row.counters[3].predicted.value() == 2);  // as many CTAs as cores
  CHECK_THAT(own_rows_text(std::vector<OwnRow>{row}), Catch::Contains("tensor_flops") && Catch::Contains("launch__grid_size"));
}

TEST_CASE("the blocks of a block-sparse row are the tiles that its kernel keeps") {
  bench::Row row = bench_row("block-sparse", 100, 384);
  row.shape.density = 0;  // the first KV tile alone
  CHECK(kept_blocks(row, 96, 128, 32) ==
        "12 12 1\n0 0 0 4\n0 1 0 4\n0 2 0 4\n0 3 0 4\n0 4 0 4\n0 5 0 4\n0 6 0 4\n0 7 0 4\n0 8 0 4\n0 9 0 4\n0 10 0 4\n0 11 0 4\n");
  row.shape.density = 1;
  row.shape.kv_len = 300;  // ten blocks, the last one of twelve keys
  row.shape.q_len = 33;
  CHECK(kept_blocks(row, 96, 128, 32) == "2 10 1\n0 0 0 10\n0 1 0 10\n");
  // A third of the keys, a third of the work.
  OwnRow dense = own_row(bench_row("dense", 100, 384));
  OwnRow sparse = own_row(bench_row("block-sparse", 100, 384));
  sparse.row.shape.density = 0;
  for (OwnRow* own : {&dense, &sparse}) {
    own->row.timing.counters = {{"tensor_flops", 1}};
    predict_row(*own, load_chip("host"));
    REQUIRE(own->unmapped.empty());
  }
  CHECK(*dense.counters[0].predicted == Approx(3 * *sparse.counters[0].predicted));
}

TEST_CASE("products and gradients and neighbourhoods are predicted as what they are") {
  const Chip chip = load_chip("h100-sxm");
  bench::Row row = bench_row("dense", 100);
  row.backend = "cuda";
  row.harness = "sustained-loop";
  row.shape.dtype = "bf16";
  row.kernel.schedule = "attnsim-gemm-sm90";
  row.shape.q_len = 1024, row.shape.kv_len = 2048, row.shape.head_dim = 512;
  row.timing.counters = {{"useful_tensor_flops", 1}};
  OwnRow product = own_row(row);
  predict_row(product, chip);
  REQUIRE(product.unmapped == "");
  CHECK(product.counters[0].predicted.value() == Approx(2.0 * 1024 * 2048 * 512));
  row.kernel.schedule = "fa2-bwd-sm80";
  row.shape.q_len = row.shape.kv_len = 1024, row.shape.head_dim = 64;
  row.shape.backward = true;
  OwnRow gradients = own_row(row);
  predict_row(gradients, chip);
  REQUIRE(gradients.unmapped == "");
  CHECK(gradients.counters[0].predicted.value() == Approx(4 * 5 * 2.0 * 1024 * 1024 * 64));  // five products per head
  row.shape.backward = false;
  row.kernel.schedule = "attnsim-fa2-sm80";
  row.shape.mask = "gna";
  row.shape.layout = {32, 32}, row.shape.window = {8, 8}, row.shape.stride = {1, 1}, row.shape.dilation = {1, 1};
  OwnRow neighbours = own_row(row);
  predict_row(neighbours, chip);
  REQUIRE(neighbours.unmapped == "");
  CHECK(neighbours.counters[0].predicted.value() == Approx(4 * 4.0 * 1024 * 64 * 64));  // 64 keys a query
}

TEST_CASE("a library's rows stand beside own ones: without sources they are never stale, and the device is that of the own rows") {
  const test::TemporaryFolder temporary;
  const std::filesystem::path folder = temporary.file("measurements");
  std::filesystem::create_directories(folder / "some-gpu");
  bench::Row own = bench_row("dense", 100);
  own.device = {"GPU", "", "h100-sxm", 1900};
  std::ofstream(folder / "some-gpu" / "rows.jsonl", std::ios::binary) << bench::to_line(own) << "\n";
  // As scripts/torch_rows.py writes it.
  std::ofstream(folder / "some-gpu" / "torch.jsonl", std::ios::binary)
      << R"({"backend": "torch", "device": "GPU", "driver": "PyTorch", "kernel": "torch-flash", "shape": {"batch": 1, "q_heads": 16, )"
      << R"("kv_heads": 16, "q_len": 1024, "kv_len": 1024, "head_dim": 128, "dtype": "bf16", "mask": "causal"}, "l2": "warm", )"
      << R"("median_us": 60.5, "samples_us": [60.5, 60.0, 61.0], "clock_mhz": 1700, "schedule": "fa2-sm80", "harness": "sustained-loop"})"
      << "\n";
  const MeasuredValidation validation = validate_measured(folder, 1, {});
  REQUIRE(validation.devices.size() == 1);
  CHECK(validation.devices[0].chip == "h100-sxm");
  REQUIRE(validation.devices[0].rows.size() == 2);
  CHECK_FALSE(validation.devices[0].rows[1].stale);
  CHECK(validation.devices[0].rows[1].predicted_us);
}
