// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/tune.h"

#include <catch2/catch.hpp>

#include "sim/core/json_reader.h"
#include "workloads/masks/gna.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

TuneConfig tune_config_of(const std::string& json) {
  return parse_tune_config(parse_json(json, "tune.json"));
}

// Strides of the candidates that need no test of scores, smallest first.
Extents smallest_block_sparse(const Tuning& tuning) {
  const TuneCandidate* best = nullptr;
  for (const TuneCandidate& c : tuning.candidates)
    if (c.block_sparse && (best == nullptr || volume(c.stride) < volume(best->stride))) best = &c;
  REQUIRE(best != nullptr);
  return best->stride;
}

}  // namespace

TEST_CASE("of 32768 tokens and a window of 2048, stride 256 is the smallest that is fully block-sparse, on Hopper and Blackwell") {
  const std::string chip = GENERATE("h100-sxm", "b200");
  const TuneConfig config = tune_config_of(R"({"chip": ")" + chip + R"(", "layout": "32768", "windows": ["2048"], "tokens": "boxes"})");
  const Tuning tuning = tune(config, 1);
  CHECK(smallest_block_sparse(tuning) == Extents{256});
  // 12 powers of two up to 2048; those that are fully block-sparse do equal work per tile only where they visit the same tiles.
  CHECK(tuning.strides_seen == 12);
  CHECK(tuning.candidates.front().block_sparse);  // every tile of the others is tested
  for (const TuneCandidate& c : tuning.candidates) CHECK(c.sparsity == Approx(1 - 1.0 / 16));
}

TEST_CASE("leaving candidates out by their bounds changes neither the first places nor the front") {
  const std::string json =
      R"({"chip": "h100-sxm", "layout": "24x32", "windows": ["8x12", "16x16"], "head_dim": 64, "tokens": "boxes", "top": )";
  const Tuning few = tune(tune_config_of(json + "2}"), 2), all = tune(tune_config_of(json + "10000}"), 1);
  REQUIRE(few.candidates.size() == all.candidates.size());
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(few.candidates[i].time_us == all.candidates[i].time_us);
    CHECK(few.candidates[i].stride == all.candidates[i].stride);
  }
  const auto front = [](const Tuning& tuning) {
    std::vector<std::pair<double, std::int64_t>> points;
    for (const TuneCandidate& c : tuning.candidates)
      if (c.front) points.emplace_back(*c.time_us, volume(c.stride));
    return points;
  };
  CHECK(front(few) == front(all));
  for (const TuneCandidate& c : all.candidates) {
    REQUIRE(c.time_us);
    CHECK(c.bound_us <= *c.time_us);
  }
}

TEST_CASE("strides that are joined visit the same tiles") {
  const Tuning tuning =
      tune(tune_config_of(R"({"chip": "h100-sxm", "layout": "1024", "windows": ["256"], "strides": ["1", "2", "3", "4", "128", "256"],
                                           "tokens": "boxes"})"),
           1);
  std::int64_t strides = 0;
  for (const TuneCandidate& c : tuning.candidates) strides += c.equal_strides;
  CHECK(strides == 6);
  CHECK(tuning.strides_seen == 6);
}

TEST_CASE("mistakes of a tune config are named with their place") {
  const auto [json, expected] = GENERATE(table<std::string, std::string>({
      {R"({"chip": "h100-sx", "layout": "1024", "windows": ["256"]})", "h100-sxm"},
      {R"({"chip": "h100-sxm", "layout": "1024y", "windows": ["256"]})", "/layout"},
      {R"({"chip": "h100-sxm", "layout": "1024", "windows": ["2048"]})", "/windows"},
      {R"({"chip": "h100-sxm", "layout": "32x32", "windows": ["8x8x8"]})", "/windows"},
      {R"({"chip": "h100-sxm", "layout": "1024", "windows": ["256"], "strides": ["512"]})", "/strides"},
      {R"({"chip": "h100-sxm", "layout": "1024", "windows": ["256"], "schedules": ["natten-fna-sm9"]})", "natten-fna-sm90"},
      {R"({"chip": "h100-sxm", "layout": "1024", "windows": ["256"], "head_dims": 64})", "head_dim"},
      {R"({"chip": "h100-sxm", "layout": "1024"})", "windows"},
  }));
  CHECK_THROWS_WITH(tune_config_of(json), Contains(expected));
}
