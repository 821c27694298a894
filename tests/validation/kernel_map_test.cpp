// SPDX-License-Identifier: Apache-2.0
#include "workloads/kernel_map.h"

#include <catch2/catch.hpp>

#include "sim/core/json_reader.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

KernelMaps maps_of(const std::string& entries) {
  KernelMaps maps;
  maps.add(parse_json(R"({"library": "lib", "versions": "1.*", "entries": [)" + entries + "]}", "map.json"));
  return maps;
}

MapKey key(const std::string& kernel, std::int64_t head_dim = 64) {
  return {.library = "lib",
          .version = "1.2",
          .kernel = kernel,
          .device = "dev_1",
          .phase = "prefill",
          .dtype = "bf16",
          .head_dim = head_dim,
          .q_len = 100,
          .windowed = false,
          .paged = std::nullopt};
}

const std::string kEntry = R"({"kernel": "k*", "devices": ["dev_*"], "schedule": "s", "harness": "h", "source": "x")";

std::string map_error(const std::string& entries) {
  try {
    (void)maps_of(entries);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a star stands for any text, also none") {
  CHECK(matches_pattern("a*c", "abbc"));
  CHECK(matches_pattern("a*c", "ac"));
  CHECK(matches_pattern("*", ""));
  CHECK(matches_pattern("*b*b", "abab"));
  CHECK(matches_pattern("a**", "a"));
  CHECK_FALSE(matches_pattern("a*c", "abcd"));
  CHECK_FALSE(matches_pattern("abc", "ab"));
  CHECK_FALSE(matches_pattern("", "a"));
}

TEST_CASE("a backward pass follows the whole call of a forward one") {
  CHECK(maps_of(kEntry + R"(, "then_backward": "b"})").entries().front().then_backward == "b");
  CHECK_THAT(map_error(kEntry + R"(, "then_backward": "b", "timed": {"attention": 1}})"), Contains("then_backward"));
}

TEST_CASE("the first entry that matches decides, also when it says unmapped") {
  const KernelMaps maps = maps_of(R"({"kernel": "k2", "devices": ["*"], "unmapped": "too new"}, )" + kEntry + "}");
  CHECK(maps.find(key("k1")).entry->schedule == "s");
  CHECK(maps.find(key("k2")).entry == nullptr);
  CHECK(maps.find(key("k2")).reason == "too new");
  CHECK(maps.find(key("other")).entry == nullptr);
  CHECK_THAT(maps.find(key("other")).reason, Contains("other") && Contains("dev_1"));
}

TEST_CASE("each condition of an entry is checked on both sides") {
  const KernelMaps maps = maps_of(kEntry + R"(, "phases": ["prefill"], "dtypes": ["bf16"], "head_dim": {"min": 64, "max": 128},
                                             "q_len": {"min": 16}, "group": {"min": 5, "max": 8}, "windowed": false, "paged": true})");
  MapKey good = key("k");
  good.group = 8;
  good.paged = true;
  REQUIRE(maps.find(good).entry != nullptr);
  const auto refused = [&](auto change) {
    MapKey changed = good;
    change(changed);
    return maps.find(changed).entry == nullptr;
  };
  CHECK(refused([](MapKey& k) { k.library = "lib2"; }));
  CHECK(refused([](MapKey& k) { k.version = "2.1"; }));
  CHECK(refused([](MapKey& k) { k.device = "gpu"; }));
  CHECK(refused([](MapKey& k) { k.phase = "decode"; }));
  CHECK(refused([](MapKey& k) { k.dtype = "fp16"; }));
  CHECK(refused([](MapKey& k) { k.head_dim = 63; }));
  CHECK(refused([](MapKey& k) { k.head_dim = 129; }));
  CHECK_FALSE(refused([](MapKey& k) { k.head_dim = 128; }));
  CHECK(refused([](MapKey& k) { k.q_len = 15; }));
  CHECK_FALSE(refused([](MapKey& k) { k.q_len = 16; }));
  CHECK(refused([](MapKey& k) { k.group = 4; }));
  CHECK(refused([](MapKey& k) { k.group = 9; }));
  CHECK_FALSE(refused([](MapKey& k) { k.group = 5; }));
  CHECK(refused([](MapKey& k) { k.windowed = true; }));
  CHECK(refused([](MapKey& k) { k.paged = false; }));
  CHECK(refused([](MapKey& k) { k.paged = std::nullopt; }));
}

TEST_CASE("an entry may ask for options that a row states") {
  const KernelMaps maps =
      maps_of(R"({"kernel": "k", "options": "*det=True*", "devices": ["*"], "schedule": "ordered", "harness": "h", "source": "x"}, )" +
              kEntry + "}");
  MapKey row = key("k");
  CHECK(maps.find(row).entry->schedule == "s");
  row.options = "det=False;model=m";
  CHECK(maps.find(row).entry->schedule == "s");
  row.options = "det=True;model=m";
  CHECK(maps.find(row).entry->schedule == "ordered");
}

TEST_CASE("a malformed kernel map is refused with file and pointer") {
  CHECK_THAT(map_error(R"({"kernel": "k", "devices": ["d"]})"), Contains("map.json") && Contains("/entries/0/schedule"));
  CHECK_THAT(map_error(kEntry + R"(, "unmapped": "why"})"), Contains("/entries/0/schedule"));
  CHECK_THAT(map_error(R"({"kernel": "k", "devices": ["d"], "schedule": "s", "source": "x"})"), Contains("/entries/0/harness"));
  CHECK_THAT(map_error(R"({"kernel": "k", "devices": ["d"], "schedule": "s", "harness": "h"})"), Contains("/entries/0/source"));
  CHECK_THAT(map_error(kEntry + R"(, "head_dims": 64})"), Contains("head_dims") && Contains("head_dim"));
  CHECK_THAT(map_error(kEntry + R"(, "head_dim": {"min": 128, "max": 64}})"), Contains("/entries/0/head_dim/min"));
  CHECK_THAT(map_error(kEntry + R"(, "phases": [1]})"), Contains("/entries/0/phases"));
}

TEST_CASE("the shipped maps serve every library kernel that has a schedule, and say why for the others") {
  const KernelMaps maps = KernelMaps::load();
  struct Case {
    const char *version, *kernel, *device, *phase;
    std::int64_t head_dim, q_len;
    bool paged;
    const char* schedule;  // "" = unmapped
  };
  const Case c = GENERATE(values<Case>({
      {"0.14.0", "vllm_flash_attn", "a100_sxm", "prefill", 128, 4096, true, "fa2-sm80-paged"},
      {"0.14.0", "vllm_flash_attn", "a100_sxm", "prefill", 128, 1, true, "splitkv-decode"},
      {"0.14.0", "vllm_flash_attn", "a100_sxm", "decode", 128, 1, true, "splitkv-decode"},
      {"0.24.0", "vllm_flash_attn_fa2", "l40s", "prefill", 192, 64, true, "fa2-sm80-paged"},
      {"0.24.0", "vllm_flash_attn_fa2", "l40s", "decode", 256, 1, true, "splitkv-decode"},
      {"0.24.0", "vllm_flash_attn_fa3", "h100_sxm", "prefill", 64, 16, true, "fa3-sm90-paged"},
      {"0.24.0", "vllm_flash_attn_fa3", "h100_sxm", "prefill", 64, 15, true, "splitkv-decode-sm90"},
      {"0.24.0", "vllm_flash_attn_fa3", "h200_sxm", "decode", 128, 1, true, "splitkv-decode-sm90"},
      {"0.24.0", "vllm_vit_flash_attn_fa3", "h100_sxm", "encoder", 72, 1, false, "fa3-sm90-varlen"},
      {"0.24.0", "vllm_flash_attn_fa4", "h100_sxm", "decode", 512, 1, true, "fa4-sm90-d512-decode"},
      {"0.24.0", "vllm_flashinfer_trtllmdecode", "b200_sxm", "decode", 128, 1, true, "trtllm-decode-sm100"},
      {"0.24.0", "vllm_flashinfer_trtllmdecode", "gb300", "decode", 512, 1, true, "trtllm-decode-sm100"},
      {"0.24.0", "vllm_flashinfer_trtllmprefill", "b200_sxm", "prefill", 128, 4096, true, "trtllm-prefill-sm100"},
      {"0.24.0", "vllm_flashinfer_trtllmprefill", "b200_sxm", "prefill", 512, 4096, true, "trtllm-prefill-sm100"},
      {"0.24.0", "vllm_vit_flash_attn_fa4", "b200_sxm", "encoder", 64, 4096, false, "fa4-sm100-varlen"},
      {"0.24.0", "vllm_vit_flash_attn_fa4", "h100_sxm", "encoder", 64, 4096, false, ""},
  }));
  const KernelMaps::Found found = maps.find({.library = "vllm",
                                             .version = c.version,
                                             .kernel = c.kernel,
                                             .device = c.device,
                                             .phase = c.phase,
                                             .dtype = "bf16",
                                             .head_dim = c.head_dim,
                                             .q_len = c.q_len,
                                             .windowed = false,
                                             .paged = c.paged});
  INFO(c.kernel << " " << c.device << " " << c.phase << " d" << c.head_dim << " q" << c.q_len);
  if (*c.schedule == '\0') {
    CHECK(found.entry == nullptr);
    CHECK_FALSE(found.reason.empty());
  } else {
    REQUIRE(found.entry != nullptr);
    CHECK(found.entry->schedule == c.schedule);
    CHECK_FALSE(found.entry->source.empty());
  }
  CHECK(maps.chip_of(c.device).has_value());
}

TEST_CASE("a device without a chip file has no chip") {
  CHECK_FALSE(KernelMaps::load().chip_of("RTX 2080 Ti"));
  CHECK(KernelMaps::load().chip_of("h100_sxm") == "h100-sxm");
}
