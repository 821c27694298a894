// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/standing.h"

#include <catch2/catch.hpp>

using namespace attnsim;

namespace {

const std::vector<AccuracyEntry> kTable{
    {"h100-sxm", "vllm_flash_attn_fa3", "prefill", "all", 143, 7.84, "", {"fa3-sm90"}},
    {"h100-sxm", "vllm_flash_attn_fa3", "decode", "all", 60, 9.0, "", {"splitkv-decode-sm90"}},
    {"h100-sxm", "fa3", "forward", "all", 12, 6.0, "", {"fa3-sm90"}},
    {"a100-sxm-80gb", "fa2", "prefill", "all", 100, 5.0, "", {"fa2-sm80"}},
    {"a100-sxm-80gb", "fa2", "prefill", "test", 40, 8.0, "", {"fa2-sm80"}},
};

}  // namespace

TEST_CASE("standing quotes error, rows, chip, kernel and phase of the table") {
  CHECK(standing(kTable, "h100-sxm", "fa3-sm90", "prefill") == "validated: 7.8 % on 143 rows (h100-sxm, vllm_flash_attn_fa3 prefill)");
  CHECK(standing({{"b200", "fna", "fwd", "test", 1, 8.5, "", {"natten-fna-sm100"}}}, "b200", "natten-fna-sm100", "prefill") ==
        "validated: 8.5 % on 1 row (b200, fna fwd)");
}

TEST_CASE("a chip, schedule or phase without rows is unvalidated") {
  const std::string unvalidated = "unvalidated: no row for this family and chip";
  CHECK(standing(kTable, "h200", "fa3-sm90", "prefill") == unvalidated);
  CHECK(standing(kTable, "h100-sxm", "naive-unfused", "prefill") == unvalidated);
  CHECK(standing(kTable, "h100-sxm", "fa3-sm90", "decode") == unvalidated);
  CHECK(standing(kTable, "h100-sxm", "fa3-sm90", "windowed prefill") == unvalidated);
  CHECK(standing({}, "h100-sxm", "fa3-sm90", "prefill") == unvalidated);
}

TEST_CASE("rows of a forward pass stand for encoder calls, never for decode") {
  CHECK(standing(kTable, "h100-sxm", "fa3-sm90", "encoder") == "validated: 6.0 % on 12 rows (h100-sxm, fa3 forward)");
}

TEST_CASE("rows that no fit saw decide, even when they are fewer") {
  CHECK(standing(kTable, "a100-sxm-80gb", "fa2-sm80", "prefill") == "validated: 8.0 % on 40 rows (a100-sxm-80gb, fa2 prefill)");
}
