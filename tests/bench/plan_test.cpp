// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/plan.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "hwmodels/chip_loader.h"
#include "sim/core/data_dir.h"
#include "tests/support/temporary_folder.h"
#include "validation/bench/overlay.h"
#include "validation/bench/row.h"

using namespace attnsim;
using namespace attnsim::bench;

namespace {

// Two kernels; one refuses head_dim 64.
class Stub final : public Backend {
 public:
  explicit Stub(std::string name) : name_(std::move(name)) {}
  std::string name() const override { return name_; }
  Device device() override { return {"stub", "none", "", 1000}; }
  std::vector<KernelInfo> kernels() const override { return {{"one-a", "", "", ""}, {"one-b", "", "", ""}}; }
  std::string refuses(const std::string& kernel, const Shape& shape) const override {
    return kernel == "one-b" && shape.head_dim == 64 ? "head_dim 64" : "";
  }
  Check check(const std::string&, const Shape&, std::uint64_t) override { return {}; }
  Timing time(const std::string&, const Shape&, const TimingPolicy&) override { return {}; }
  std::vector<Microbenchmark> microbenchmarks(const std::string&, double) override { return {}; }

 private:
  std::string name_;
};

Plan plan_of(const std::string& text) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder.file("plan.json");
  std::ofstream(path, std::ios::binary) << text;
  return load_plan(path.string(), Stub("cuda"));
}

}  // namespace

TEST_CASE("an entry of a plan stands for all combinations of its lists") {
  const Plan plan = plan_of(
      R"({"name": "p", "policy": {"seconds": 0.5}, "rows": [{"kernels": ["one-*"], "head_dim": [64, 128], "kv_len": [256, 512, 1024],
      "batch": [1, 2], "masks": ["dense", {"mask": "window", "left": 7}]}]})");
  // one-a: 2 x 3 x 2 x 2, one-b: half of them.
  CHECK(plan.rows.size() == 24 + 12);
  CHECK(plan.refused.empty());  // a pattern may match kernels that run only some of it
  CHECK(plan.policy.seconds == 0.5);
  std::set<std::string> labels;
  for (const PlannedRow& row : plan.rows) labels.insert(row.kernel + label(row.shape));
  CHECK(labels.size() == plan.rows.size());
}

TEST_CASE("a kernel named in full that refuses a shape is reported") {
  const Plan plan = plan_of(R"({"name": "p", "rows": [{"kernels": ["one-b"], "head_dim": [64, 128], "kv_len": [256]}]})");
  CHECK(plan.rows.size() == 1);
  REQUIRE(plan.refused.size() == 1);
  CHECK_THAT(plan.refused.front(), Catch::Contains("head_dim 64"));
}

TEST_CASE("tokens fix the batch by the length, and a plan's order is always the same") {
  const std::string text = R"({"name": "p", "rows": [{"kernels": ["one-a"], "tokens": 4096, "kv_len": [512, 1024, 2048, 4096, 8192]}]})";
  const Plan plan = plan_of(text);
  for (const PlannedRow& row : plan.rows) CHECK(row.shape.batch == std::max<std::int64_t>(1, 4096 / row.shape.kv_len));
  const Plan again = plan_of(text);
  for (std::size_t i = 0; i < plan.rows.size(); ++i) CHECK(label(plan.rows[i].shape) == label(again.rows[i].shape));
}

TEST_CASE("mistakes in a plan are named") {
  CHECK_THROWS_WITH(plan_of(R"({"name": "p", "rows": [{"kernel": ["one-a"], "kv_len": [1]}]})"), Catch::Contains("kernel"));
  CHECK_THROWS_WITH(load_plan("quikc", Stub("host")), Catch::Contains("quick"));
}

TEST_CASE("shipped plans of the host load and name kernels that run them") {
  std::string why_not;
  const auto backend = make_host_backend(1, why_not);
  for (const char* name : {"smoke", "quick", "full"}) {
    const Plan plan = load_plan(name, *backend);
    INFO(name);
    CHECK(plan.refused.empty());
    CHECK(plan.rows.size() >= 10);
  }
  CHECK(load_plan("quick", *backend).rows.size() >= 25);
}

TEST_CASE("microbenchmarks become measured figures of the chip") {
  Device device{"Some CPU", "compiler", "host", 3000};
  const std::vector<Microbenchmark> results{{"clock", "clock.boost_mhz", "MHz", "chain", 3210, 12, 15},
                                            {"curve", "", "GB/s", "4 MiB", 99, 1, 15},
                                            {"cores", "sm.count", "cores", "told", 6, 0, 1}};
  const Chip chip = load_chip("host", parse_json(overlay_text(device, results, "attnsim 0"), "overlay"));
  CHECK(chip.clock.boost_mhz == 3210);
  CHECK(chip.sm.count == 6);
  CHECK(chip.provenance.at("clock.boost_mhz").status == FigureStatus::measured);
  CHECK_THAT(chip.provenance.at("clock.boost_mhz").source, Catch::Contains("Some CPU") && Catch::Contains("12 MHz"));
}

TEST_CASE("what the CUDA microbenchmarks set are figures of a chip, and their overlay loads") {
  const JsonDocument chip = chip_document("h100-sxm");
  std::vector<Microbenchmark> results;
  for (const auto& file : std::filesystem::directory_iterator(data_dir() / "validation" / "cuda" / "micro")) {
    std::ifstream stream(file.path());
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    CAPTURE(file.path().string());
    CHECK(text.find("report(\"/") == std::string::npos);
    static const std::regex figure("\"((sm|tensor|latency|launch|l2|hbm|vector|clock)\\.[a-z0-9_.]+)\"");
    for (auto found = std::sregex_iterator(text.begin(), text.end(), figure); found != std::sregex_iterator(); ++found) {
      const std::string path = (*found)[1];
      std::string pointer = "/" + path + "/value";
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      CAPTURE(path);
      REQUIRE(chip.root.contains(Json::json_pointer(pointer)));
      results.push_back({path, path, "", "", chip.root.at(Json::json_pointer(pointer)).get<double>(), 0.1, 5});
    }
  }
  CHECK(results.size() >= 15);
  const Device device{"Some GPU", "driver", "h100-sxm", 1980};
  const Chip measured = load_chip("h100-sxm", parse_json(overlay_text(device, results, "attnsim 0"), "overlay"));
  CHECK(measured.provenance.at("sm.sfu_lanes").status == FigureStatus::measured);
  CHECK(measured.power.tensor_pj_per_flop == load_chip("h100-sxm").power.tensor_pj_per_flop);  // what they leave alone stays
}
