// SPDX-License-Identifier: Apache-2.0
#include "workloads/variant.h"

#include <catch2/catch.hpp>

#include "sim/core/error.h"

using namespace attnsim;

namespace {

bool keeps(const Band& band, std::int64_t q, std::int64_t k) {
  return band.lower <= k - q - band.shift && k - q - band.shift <= band.upper;
}

}  // namespace

TEST_CASE("the diagonal of a causal mask ends at the last key, or starts at the first") {
  Problem p;
  const Variant& causal = variant("causal");
  CHECK(keeps(causal.band(p, 3, 10), 2, 9));
  CHECK_FALSE(keeps(causal.band(p, 3, 10), 1, 9));
  p.params["alignment"] = std::string("top-left");
  CHECK(keeps(causal.band(p, 3, 10), 2, 2));
  CHECK_FALSE(keeps(causal.band(p, 3, 10), 2, 3));
}

TEST_CASE("a window keeps `left` keys before and `right` keys after the query's own, and -1 keeps all") {
  Problem p;
  p.params = {{"left", std::int64_t{2}}, {"right", std::int64_t{1}}};
  const Band band = variant("sliding-window").band(p, 10, 10);
  for (std::int64_t k = 0; k < 10; ++k) CHECK(keeps(band, 5, k) == (k >= 3 && k <= 6));
  p.params = {{"left", std::int64_t{-1}}, {"right", std::int64_t{0}}};
  const Band causal = variant("sliding-window").band(p, 10, 10);
  for (std::int64_t k = 0; k < 10; ++k) CHECK(keeps(causal, 5, k) == (k <= 5));
  CHECK(variant("dense").band(p, 10, 20).is_dense());
}

TEST_CASE("an unknown variant is refused with the nearest name") {
  try {
    (void)variant("casual");
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK(error.issues().front().nearest == "causal");
  }
}
