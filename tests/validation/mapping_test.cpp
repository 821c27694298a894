// SPDX-License-Identifier: Apache-2.0
#include "validation/mapping.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/core/json_reader.h"
#include "validation/csv.h"
#include "validation/evaluate.h"
#include "validation/file_formats.h"
#include "validation/validate.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

MeasuredRow decode_row() {
  MeasuredRow row;
  row.file = "library_attention.csv";
  row.device = "h100_sxm";
  row.library = "vllm";
  row.version = "0.24.0";
  row.kernel = "vllm_flash_attn_fa3";
  row.phase = "decode";
  row.dtype = "bf16";
  row.batch = 4;
  row.q_heads = 32;
  row.kv_heads = 8;
  row.q_len = 1;
  row.kv_len = 4096;
  row.head_dim_qk = row.head_dim_v = 128;
  row.mask = MaskKind::causal;
  row.paged = true;
  row.measured_us = 30;
  row.flops = attention_flops(row, 1.0);
  row.bytes = attention_bytes(row, 2.0);
  return row;
}

}  // namespace

TEST_CASE("every schedule that a kernel map names is shipped") {
  const std::vector<std::string> names = schedule_names();
  const KernelMaps maps = KernelMaps::load();
  for (const KernelMapEntry& entry : maps.entries()) {
    if (entry.schedule.empty()) continue;
    INFO(entry.place << " " << entry.schedule);
    CHECK(std::find(names.begin(), names.end(), entry.schedule) != names.end());
    if (!entry.then_backward.empty()) CHECK(std::find(names.begin(), names.end(), entry.then_backward) != names.end());
  }
}

TEST_CASE("every chip that a device name means is shipped") {
  const KernelMaps maps = KernelMaps::load();
  for (const char* device :
       {"a100_sxm", "h100_sxm",        "h200_sxm", "l40s",  "b200_sxm",       "gb200_sxm", "B300", "gb300_sxm", "rtx_pro_6000",
        "RTX 4090", "A100-SXM4-40GB",  "A30",      "A5000", "H100-PCIe-80GB", "H20",       "L20",  "L40",       "L4",
        "RTX 3090", "RTX 3080 Laptop", "RTX 5090", "MI210", "MI325X",         "MI355X"}) {
    INFO(device);
    REQUIRE(maps.chip_of(device));
    const std::vector<std::string> names = chip_names();
    CHECK(std::find(names.begin(), names.end(), *maps.chip_of(device)) != names.end());
  }
}

TEST_CASE("a decode row becomes a dense problem under the replay harness") {
  Catalog catalog;
  const MappedRow mapped = map_row(decode_row(), KernelMaps::load(), catalog);
  REQUIRE(mapped.unmapped == "");
  CHECK(mapped.chip->name == "h100-sxm");
  CHECK(mapped.variant->name == "dense");
  CHECK(mapped.problem.kv_len == std::vector<std::int64_t>{4096});
  CHECK(mapped.conditions.extra_kernels.size() == 1);
}

TEST_CASE("a window counts the query's own key, and a window longer than the keys stays a window") {
  Catalog catalog;
  MeasuredRow row = decode_row();
  row.window = 8192;
  const MappedRow mapped = map_row(row, KernelMaps::load(), catalog);
  REQUIRE(mapped.variant != nullptr);
  CHECK(mapped.variant->name == "sliding-window");
  CHECK(std::get<std::int64_t>(mapped.problem.params.at("left")) == 8191);
  CHECK(std::get<std::int64_t>(mapped.problem.params.at("right")) == 0);
}

TEST_CASE("a kernel that only masks by the window is predicted with the tiles that it visits") {
  const KernelMaps maps = KernelMaps::load();
  Catalog catalog;
  MeasuredRow row = decode_row();
  row.device = "gb200_sxm";
  row.library = row.kernel = "cuDNN";
  row.version.clear();
  row.phase = row.pass = "bwd";
  row.q_len = row.kv_len = 4096;
  row.head_dim_qk = row.head_dim_v = 64;
  row.window = 128;
  row.mask = MaskKind::causal_window;
  row.paged.reset();
  row.dtype = "fp8";
  const MappedRow eight_bit = map_row(row, maps, catalog);
  REQUIRE(eight_bit.unmapped.empty());
  CHECK(eight_bit.variant->name == "causal");
  CHECK(eight_bit.problem.params.count("left") == 0);
  row.dtype = "bf16";  // skips what the window hides
  const MappedRow sixteen_bit = map_row(row, maps, catalog);
  REQUIRE(sixteen_bit.unmapped.empty());
  CHECK(sixteen_bit.variant->name == "sliding-window");
}

TEST_CASE("a kernel may compute in another type than its row names, and visit what it masks") {
  const KernelMaps maps = KernelMaps::load();
  Catalog catalog;
  MeasuredRow row = decode_row();
  row.device = "b200_sxm";
  row.library = "Triton tutorial FA2";
  row.kernel = "CUDA TileIR backend Triton [FP8]";
  row.version.clear();
  row.phase = row.pass = "bwd";
  row.q_heads = row.kv_heads = 32;
  row.q_len = row.kv_len = 4096;
  row.paged.reset();
  row.dtype = "fp8";
  const MappedRow mapped = map_row(row, maps, catalog);
  REQUIRE(mapped.unmapped == "");
  CHECK(mapped.variant->name == "dense");
  CHECK(mapped.problem.dtype == ir::DType::f16);
}

TEST_CASE(
    "rows of selected blocks become problems with lists as their benchmark draws them, by pass and chip, and other block masks have none") {
  const std::string text =
      "row_id,table_id,device,library,kernel,version,dtype,pass,batch,q_heads,kv_heads,head_dim_qk,head_dim_v,q_len,kv_len,mask,window,"
      "time_ms\n"
      "1,t,A100,native-sparse-attention-triton,topk_sparse_attention topk=8 block=64,,bf16,fwd,1,64,4,128,128,4096,4096,block_sparse,,1\n"
      "2,t,H100,native-sparse-attention-triton,topk_sparse_attention topk=16 block=64,,bf16,bwd,1,64,4,128,128,4096,4096,block_sparse,,1\n"
      "3,t,H100,some library,some kernel,,bf16,fwd,1,64,4,128,128,4096,4096,block_sparse,,1\n";
  const std::vector<MeasuredRow> rows = read_attention_published(parse_csv(text, "attention_published.csv"));
  REQUIRE(rows.size() == 3);
  const KernelMaps maps = KernelMaps::load();
  Catalog catalog;
  const MappedRow forward = map_row(rows[0], maps, catalog);
  REQUIRE(forward.unmapped == "");
  CHECK(forward.variant->name == "selected-blocks");
  CHECK(forward.schedule->name == "nsa-selected-sm80");
  CHECK(std::get<std::int64_t>(forward.problem.params.at("selected")) == 8);
  CHECK(std::get<std::int64_t>(forward.problem.params.at("block")) == 64);
  CHECK(std::get<std::string>(forward.problem.params.at("from")) == "all");
  CHECK(std::get<bool>(forward.problem.params.at("first")));
  CHECK_FALSE(std::get<bool>(forward.problem.params.at("own")));
  const MappedRow backward = map_row(rows[1], maps, catalog);
  REQUIRE(backward.unmapped == "");
  CHECK(backward.schedule->name == "nsa-selected-bwd-sm90");
  CHECK(backward.problem.pass == Pass::backward);
  CHECK(std::get<std::int64_t>(backward.problem.params.at("selected")) == 16);
  CHECK(map_row(rows[2], maps, catalog).unmapped == "no variant for mask \"block_sparse\"");
}

namespace {

MeasuredRow two_passes(const char* library, const char* kernel) {
  MeasuredRow row = decode_row();
  row.file = "attention_published.csv";
  row.device = "B200";
  row.library = library;
  row.kernel = kernel;
  row.version.clear();
  row.phase = row.pass = "fwd_bwd";
  row.q_heads = row.kv_heads = 32;
  row.q_len = row.kv_len = 2048;
  row.paged.reset();
  return row;
}

}  // namespace

TEST_CASE("a row whose source names another device is predicted for that one") {
  MeasuredRow row = decode_row();
  row.library = "CUTLASS FMHA via FlashInfer";
  row.kernel = "blackwell cutlass fmha";
  row.device = "B200";
  row.phase = "fwd";
  row.q_len = 4096;
  Catalog catalog;
  const MappedRow mapped = map_row(row, KernelMaps::load(), catalog);
  REQUIRE(mapped.unmapped.empty());
  CHECK(mapped.chip->name == "b300");
}

TEST_CASE("every device that a kernel map corrects to has a chip") {
  const KernelMaps maps = KernelMaps::load();
  for (const KernelMapEntry& entry : maps.entries()) {
    INFO(entry.place << " " << entry.measured_on);
    CHECK((entry.measured_on.empty() || maps.chip_of(entry.measured_on)));
  }
}

TEST_CASE("a row that times both passes is the sum of two predictions, the constant in the first alone") {
  KernelMaps maps = KernelMaps::load();
  Catalog catalog;
  MeasuredRow row = two_passes("FlashAttention-2", "flash_attn_func");
  MappedRow mapped = map_row(row, maps, catalog);
  REQUIRE(mapped.unmapped.empty());
  mapped.conditions.constant_us = 7;
  const std::vector<Request> passes = mapped.requests(row, EngineKind::automatic);
  REQUIRE(passes.size() == 2);
  CHECK(passes[0].problem.pass == Pass::forward);
  CHECK(passes[0].schedule.name == "fa2-sm80");
  CHECK(passes[0].conditions.constant_us == 7);
  CHECK(passes[0].conditions.extra_kernels.empty());
  CHECK(passes[1].problem.pass == Pass::backward);
  CHECK(passes[1].schedule.name == "fa2-bwd-sm80");
  CHECK(passes[1].conditions.constant_us == 0);
  CHECK(passes[1].conditions.chained);
  CHECK(passes[1].conditions.extra_kernels == std::vector{ExtraKernel::add_gradients});
  CHECK(mapped.schedules() == "fa2-sm80 + fa2-bwd-sm80");

  EvaluateOptions options;
  options.predict_us = [](const Request& request, const TimedKernels&) { return request.problem.pass == Pass::forward ? 3.0 : 40.0; };
  MeasuredRow forward = row;
  forward.phase = forward.pass = "fwd";
  const std::vector<RowOutcome> outcomes = evaluate({row, forward}, maps, catalog, options);
  CHECK(outcomes[0].predicted_us == 43.0);
  CHECK(outcomes[1].predicted_us == 3.0);
}

TEST_CASE("a row of two passes needs an entry of two, and a row of one pass an entry of one") {
  Catalog catalog;
  const std::string devices = R"("devices": ["B200"], "schedule": "fa2-sm80", "harness": "benchmark-cold", "source": "s")";
  KernelMaps maps = KernelMaps::load();
  maps.add(parse_json(R"({"library": "own", "entries": [{"kernel": "one", )" + devices + R"(}, {"kernel": "two", )" + devices +
                          R"(, "then_backward": "fa2-bwd-sm80"}]})",
                      "map.json"));
  CHECK_THAT(map_row(two_passes("own", "one"), maps, catalog).unmapped, Contains("entry for one"));
  CHECK(map_row(two_passes("own", "two"), maps, catalog).unmapped.empty());
  MeasuredRow forward = two_passes("own", "two");
  forward.phase = forward.pass = "fwd";
  CHECK_THAT(map_row(forward, maps, catalog).unmapped, Contains("entry for two"));
}

TEST_CASE("a row's own clock replaces the harness's") {
  Catalog catalog;
  MeasuredRow row = decode_row();
  row.library = "fa3-isolated";
  row.kernel = "fa3 forward";
  row.phase = "";
  row.paged = false;
  row.locked_clock_mhz = 1200;
  const MappedRow mapped = map_row(row, KernelMaps::load(), catalog);
  REQUIRE(mapped.unmapped == "");
  CHECK(mapped.conditions.clock == ClockPolicy::locked);
  CHECK(mapped.conditions.locked_mhz == 1200);
}

TEST_CASE("rows of unknown devices, kernels and types are unmapped with a reason") {
  Catalog catalog;
  const KernelMaps maps = KernelMaps::load();
  MeasuredRow row = decode_row();
  row.device = "abacus";
  CHECK_THAT(map_row(row, maps, catalog).unmapped, Contains("abacus"));
  row = decode_row();
  row.dtype = "nvfp4";
  CHECK_THAT(map_row(row, maps, catalog).unmapped, Contains("nvfp4"));
  row = decode_row();
  row.no_mapping = "no backward pass yet";
  CHECK(map_row(row, maps, catalog).unmapped == "no backward pass yet");
}

TEST_CASE("equal requests are predicted once, in any number of threads with the same answers") {
  Catalog catalog;
  const KernelMaps maps = KernelMaps::load();
  std::vector<MeasuredRow> rows;
  for (int i = 0; i < 60; ++i) {
    rows.push_back(decode_row());
    rows.back().kv_len = 1024 * (1 + i % 20);  // 20 different problems
    rows.back().measured_us = 10 + i;
  }
  const auto run = [&](int jobs) {
    std::atomic<int> calls{0};
    EvaluateOptions options;
    options.jobs = jobs;
    options.predict_us = [&](const Request& request, const TimedKernels&) {
      ++calls;
      if (request.problem.kv_len[0] == 2048) throw SimError("stuck");
      if (request.problem.kv_len[0] == 3072) throw ConfigError({"", "/schedule", "tile", "does not fit", "", ""});
      return static_cast<double>(request.problem.kv_len[0]);
    };
    std::vector<RowOutcome> outcomes = evaluate(rows, maps, catalog, options);
    CHECK(calls == 20);
    return outcomes;
  };
  const std::vector<RowOutcome> one = run(1), many = run(7);
  REQUIRE(one.size() == rows.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].predicted_us == many[i].predicted_us);
    CHECK(one[i].unmapped == many[i].unmapped);
    if (rows[i].kv_len == 2048)
      CHECK_THAT(one[i].unmapped, Contains("stuck"));
    else if (rows[i].kv_len == 3072)
      CHECK_THAT(one[i].unmapped, Contains("does not fit"));
    else
      CHECK(one[i].predicted_us == static_cast<double>(rows[i].kv_len));
  }
}

TEST_CASE("the spec roofline of a row is FLOPs over peak or bytes over bandwidth") {
  Catalog catalog;
  const MeasuredRow row = decode_row();
  const std::vector<RowOutcome> outcomes = without_prediction({row}, KernelMaps::load(), catalog);
  const Chip chip = load_chip("h100-sxm");
  REQUIRE(outcomes[0].roofline);
  CHECK(outcomes[0].roofline->flop_us == Approx(row.flops / chip.peak_tflops("bf16") * 1e-6));
  CHECK(outcomes[0].roofline->byte_us == Approx(row.bytes / chip.hbm.bandwidth_gb_per_s * 1e-3));
  CHECK(spec_roofline_us(*outcomes[0].roofline) == std::max(outcomes[0].roofline->flop_us, outcomes[0].roofline->byte_us));
}

TEST_CASE("an internal fault costs its row and is named, and anything else stops validation") {
  Catalog catalog;
  const KernelMaps maps = KernelMaps::load();
  EvaluateOptions options;
  options.predict_us = [](const Request&, const TimedKernels&) -> double { throw Invariant("broken"); };
  const std::vector<RowOutcome> outcomes = evaluate({decode_row()}, maps, catalog, options);
  CHECK_FALSE(outcomes[0].predicted_us);
  CHECK(outcomes[0].unmapped == "internal fault: broken");
  options.predict_us = [](const Request&, const TimedKernels&) -> double { throw std::bad_alloc(); };
  CHECK_THROWS_AS(evaluate({decode_row(), decode_row()}, maps, catalog, options), std::bad_alloc);
}
