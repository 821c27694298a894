// SPDX-License-Identifier: Apache-2.0
#include "tests/value/lowered_attention.h"

#include <catch2/catch.hpp>

#include "tests/support/chips.h"

using namespace attnsim;
using attnsim::test::check;
using attnsim::test::problem;

namespace {

const Params kTopLeft{{"alignment", std::string("top-left")}};

}  // namespace

TEST_CASE("lowered prefill kernels agree with the reference in every order that their tokens allow", "[value]") {
  const auto [schedule, chip] = GENERATE(table<std::string, Chip>({{"fa2-sm80", test::a100()},
                                                                   {"fa2-sm80-paged", test::a100()},
                                                                   {"fa3-sm90", test::h100()},
                                                                   {"fa3-sm90-paged", test::h100()},
                                                                   {"fa4-sm100", test::b200()},
                                                                   {"fa4-sm100-varlen", test::b200()},
                                                                   {"cudnn-918-sm100", test::b200()},
                                                                   {"trtllm-prefill-sm100", test::b200()},
                                                                   {"fused-generic", test::a100()},
                                                                   {"fused-generic", test::systolic()},
                                                                   {"naive-unfused", test::a100()}}));
  check({schedule, chip, "dense", problem(1, 2, 1, {200}, {300}, 64)});
  check({schedule, chip, "causal", problem(1, 2, 2, {300}, {300}, 40)});
  check({schedule, chip, "causal", problem(2, 2, 1, {70}, {450}, 64)});
  check({schedule, chip, "causal", problem(1, 1, 1, {260}, {100}, 64)});
  check({schedule, chip, "causal", problem(1, 1, 1, {200}, {330}, 64, kTopLeft)});
  check({schedule, chip, "sliding-window", problem(1, 2, 1, {400}, {400}, 64, test::window(50, 0))});
  check({schedule, chip, "sliding-window", problem(1, 1, 1, {300}, {420}, 64, test::window(70, 30))});
  check({schedule, chip, "causal", problem(3, 2, 1, {130, 40, 130}, {200, 90, 340}, 64)});
  check({schedule, chip, "sliding-window", problem(2, 2, 2, {130, 40}, {200, 90}, 64, test::window(33, 5))});
}

TEST_CASE("attention written out kernel by kernel agrees with the reference", "[value]") {
  for (const auto& [schedule, chip] : {std::pair("pytorch-eager", test::a100()), std::pair("pytorch-eager-sm100", test::b200())}) {
    check({schedule, chip, "dense", problem(1, 2, 1, {200}, {300}, 64)});
    check({schedule, chip, "causal", problem(2, 2, 2, {300}, {300}, 40)});
    check({schedule, chip, "causal", problem(1, 1, 1, {260}, {100}, 64)});  // rows without keys
    check({schedule, chip, "sliding-window", problem(1, 1, 1, {300}, {420}, 64, test::window(70, 30))});
    check({schedule, chip, "dense", problem(1, 1, 1, {20}, {1100}, 16)});  // a CTA per row
  }
  Chip tf32 = test::b200();
  tf32.tensor.flop_per_clk_per_sm["f32"] = 2048;
  check({"pytorch-sdpa-math-sm100", tf32, "dense", problem(1, 4, 2, {70}, {150}, 64)});
  check({"pytorch-sdpa-math-sm100", tf32, "causal", problem(2, 4, 1, {150}, {150}, 40)});
  check({"pytorch-sdpa-math-sm100", tf32, "causal", problem(1, 1, 1, {150}, {90}, 128)});  // rows without keys are cleared
  Problem modified = problem(1, 2, 1, {130}, {200}, 32);
  modified.score.softcap = 1.5;
  modified.score.alibi = true;
  check({"pytorch-eager", test::a100(), "causal", modified});
}

TEST_CASE("lowered kernels of further libraries agree with the reference", "[value]") {
  const auto [schedule, chip] =
      GENERATE(table<std::string, Chip>({{"triton-fa-sm80", test::a100()},
                                         {"triton-fa-masked-sm80", test::a100()},
                                         {"xformers-sm80", test::a100()},
                                         {"ffpa-sm80", test::a100()},
                                         {"triton-fa-sm90", test::h100()},
                                         {"triton-fa-masked-sm90", test::h100()},
                                         {"fmha-ws-sm90", test::h100()},
                                         {"fmha-coop-sm90", test::h100()},
                                         {"cutlass-fmha-sm90", test::h100()},
                                         {"flashinfer-cute-sm100", test::b200()},
                                         {"fmha-pingpong-sm90", test::h100()},
                                         {"cudnn-sm90", test::h100()},
                                         {"fa2-cdna", test::lowering_chip("cdna", "cdna3", 304, 63, {"mma_sync"})}}));
  check({schedule, chip, "dense", problem(1, 2, 1, {200}, {300}, 64)});
  check({schedule, chip, "causal", problem(2, 2, 1, {70}, {450}, 64)});
  check({schedule, chip, "sliding-window", problem(1, 1, 1, {300}, {420}, 64, test::window(70, 30))});
}

TEST_CASE("streamed kernels agree with the reference beyond head_dim 256", "[value]") {
  const std::string schedule = GENERATE("xformers-wide-sm80", "ffpa-sm80");
  check({schedule, test::a100(), "dense", problem(1, 1, 1, {100}, {300}, 320)});
  check({schedule, test::a100(), "causal", problem(1, 2, 1, {150}, {150}, 512)});
}

TEST_CASE("streamed kernels that accumulate in FP16 agree with the reference beyond head_dim 256", "[value]") {
  Problem wide = problem(1, 1, 1, {150}, {300}, 512);
  wide.dtype = ir::DType::f16;
  check({GENERATE("ffpa-f16-sm80", "ffpa-mixed-sm80"), test::a100(), "causal", wide});
}

TEST_CASE("kernels that accumulate in FP16 agree with the reference, whose numbers are exact", "[value]") {
  const std::string schedule = GENERATE("ffpa-f16-sm80", "ffpa-mixed-sm80", "leetcuda-sm80");
  const auto f16 = [](Problem p) {
    p.dtype = ir::DType::f16;
    return p;
  };
  check({schedule, test::a100(), "dense", f16(problem(1, 2, 1, {200}, {300}, 128))});
  check({schedule, test::a100(), "causal", f16(problem(2, 2, 2, {70}, {450}, 128))});
  check({schedule, test::a100(), "sliding-window", f16(problem(1, 1, 1, {300}, {420}, 128, test::window(70, 30)))});
}

TEST_CASE("kernels that keep O in memory only above as many columns as a KV tile has keys agree with the reference", "[value]") {
  const std::int64_t d = GENERATE(32, 64, 96, 128, 256);
  check({"natten-fmha-sm80", test::a100(), "dense", problem(1, 2, 1, {100}, {300}, d)});
  check({"natten-fmha-sm80", test::a100(), "causal", problem(2, 1, 1, {70}, {150}, d)});
}

TEST_CASE("lowered prefill kernels agree with the reference at every compiled head_dim", "[value]") {
  const std::int64_t d = GENERATE(32, 80, 128, 192, 256);
  check({"fa2-sm80", test::a100(), "causal", problem(1, 1, 1, {150}, {150}, d)});
  check({"fa3-sm90", test::h100(), "dense", problem(1, 2, 2, {150}, {300}, d)});
  check({"fa3-sm90", test::h100(), "causal", problem(1, 2, 2, {200}, {200}, d)});
  check({"fa3-sm90-paged", test::h100(), "causal", problem(1, 4, 2, {100}, {250}, d)});
  check({"trtllm-prefill-sm100", test::b200(), "causal", problem(1, 2, 1, {300}, {300}, d)});
  if (d <= 128) check({"fa4-sm100", test::b200(), "dense", problem(1, 2, 2, {300}, {450}, d)});
}

TEST_CASE("lowered decode kernels agree with the reference, split or not", "[value]") {
  const auto [schedule, chip] = GENERATE(table<std::string, Chip>({{"splitkv-decode", test::a100()},
                                                                   {"splitkv-decode-sm90", test::h100()},
                                                                   {"splitkv-decode-lastcta", test::b200()},
                                                                   {"trtllm-decode-sm100", test::b200()},
                                                                   {"trtllm-decode-keeps-sm100", test::b200()}}));
  check({schedule, chip, "dense", problem(1, 1, 1, {1}, {50}, 64)});
  check({schedule, chip, "causal", problem(2, 8, 2, {1}, {1500}, 128)});
  check({schedule, chip, "causal", problem(1, 4, 1, {1}, {3000}, 64)});
  check({schedule, chip, "causal", problem(1, 4, 2, {3}, {700}, 64)});
  check({schedule, chip, "sliding-window", problem(1, 4, 1, {1}, {1200}, 64, test::window(100, 0))});
  check({schedule, chip, "causal", problem(3, 4, 2, {1}, {1100, 90, 600}, 128)});
}
