// SPDX-License-Identifier: Apache-2.0
// Useful work of masked attention by the cards' formulas, with the pairs counted one by one.
#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/bounds/bounds.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"

using namespace attnsim;

TEST_CASE("masked attention takes 4 d FLOPs and one exp a kept pair, and reads each tensor once") {
  struct Named {
    const char* name;
    Params params;
  };
  const std::int64_t n = 700;
  const std::vector<Named> masks{{"attention-sinks", {{"window", std::int64_t{100}}}},
                                 {"dilated-window", {{"keys", std::int64_t{40}}}},
                                 {"block-dilated-window", {{"block", std::int64_t{30}}}},
                                 {"global-window", {{"window", std::int64_t{50}}}},
                                 {"power-attention", {{"block", std::int64_t{20}}}},
                                 {"prefix-lm", {{"prefix", std::int64_t{90}}}},
                                 {"shared-question", {{"question", std::int64_t{90}}, {"answer", std::int64_t{70}}}},
                                 {"causal-blockwise", {{"block", std::int64_t{90}}}},
                                 {"group-position", {{"source", std::int64_t{200}}}},
                                 {"s2-attention", {{"block", std::int64_t{20}}}},
                                 {"moa", {}},
                                 {"masked", {{"mask", std::string("k <= q && (q - k) % 3 == head % 2")}}}};
  for (const Named& m : masks) {
    Problem p;
    p.q_heads = 4;
    p.kv_heads = 2;
    p.q_len = p.kv_len = {n};
    p.head_dim_qk = p.head_dim_v = 64;
    p.params = m.params;
    const Variant& v = variant(m.name);
    double pairs = 0;
    for (const HeadMask& head : v.masks(p, 0)) {
      for (std::int64_t q = 0; q < n; ++q) {
        for (std::int64_t k = 0; k < n; ++k) pairs += head.mask->keeps(q, k) ? static_cast<double>(head.heads) : 0;
      }
    }
    INFO(m.name);
    const Bounds b = compute_bounds(lower(v, p, load_schedule("fa2-sm80"), load_chip("a100-sxm-80gb")), load_chip("a100-sxm-80gb"), {});
    CHECK(b.counts.useful_tensor_flops == Approx(4 * 64 * pairs));
    CHECK(b.counts.useful_exp_count == Approx(pairs));
    // Q, O of 4 heads, K, V of 2, and LSE. Every key is kept by some query, of some head of its group.
    const double bytes = 2.0 * (2 * n * 64 * 4 + 2 * n * 64 * 2) + 4.0 * n * 4;
    CHECK(b.counts.hbm_bytes == Approx(bytes));
  }
}
