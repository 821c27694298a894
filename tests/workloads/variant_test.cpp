// SPDX-License-Identifier: Apache-2.0
#include "workloads/variant.h"

#include <catch2/catch.hpp>

#include "sim/core/error.h"

using namespace attnsim;

namespace {

// Of the first entry's first head.
std::shared_ptr<const Mask> mask_of(const std::string& name, std::int64_t q_len, std::int64_t kv_len, const Params& params = {}) {
  Problem p;
  p.q_heads = 3;
  p.q_len = {q_len};
  p.kv_len = {kv_len};
  p.params = params;
  const std::vector<HeadMask> masks = variant(name).masks(p, 0);
  REQUIRE(masks.size() == 1);
  CHECK(masks[0].heads == 3);
  return masks[0].mask;
}

}  // namespace

TEST_CASE("the diagonal of a causal mask ends at the last key, or starts at the first") {
  const auto bottom_right = mask_of("causal", 3, 10);
  CHECK(bottom_right->keeps(2, 9));
  CHECK_FALSE(bottom_right->keeps(1, 9));
  const auto top_left = mask_of("causal", 3, 10, {{"alignment", std::string("top-left")}});
  CHECK(top_left->keeps(2, 2));
  CHECK_FALSE(top_left->keeps(2, 3));
}

TEST_CASE("a window keeps `left` keys before and `right` keys after the query's own, and -1 keeps all") {
  const auto window = mask_of("sliding-window", 10, 10, {{"left", std::int64_t{2}}, {"right", std::int64_t{1}}});
  for (std::int64_t k = 0; k < 10; ++k) CHECK(window->keeps(5, k) == (k >= 3 && k <= 6));
  const auto causal = mask_of("sliding-window", 10, 10, {{"left", std::int64_t{-1}}, {"right", std::int64_t{0}}});
  for (std::int64_t k = 0; k < 10; ++k) CHECK(causal->keeps(5, k) == (k <= 5));
  CHECK(mask_of("dense", 10, 20)->band()->is_dense());
}

TEST_CASE("an unknown variant is refused with the nearest name") {
  try {
    (void)variant("casual");
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK(error.issues().front().nearest == "causal");
  }
}
