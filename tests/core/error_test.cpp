// SPDX-License-Identifier: Apache-2.0
#include "sim/core/error.h"

#include <catch2/catch.hpp>

using namespace attnsim;

TEST_CASE("nearest_name finds a swapped, a missing and a superfluous letter") {
  const std::vector<std::string> chips = {"a100-sxm-80gb", "h100-sxm", "h200", "l40s"};
  CHECK(nearest_name("h100-smx", chips) == "h100-sxm");
  CHECK(nearest_name("l40", chips) == "l40s");
  CHECK(nearest_name("h2000", chips) == "h200");
  CHECK(nearest_name("h100-sxm", chips) == "h100-sxm");
}

TEST_CASE("nearest_name names nothing beyond max(2, size / 3) edits") {
  CHECK(nearest_name("abcd", {"abxy"}) == "abxy");                 // 2 edits
  CHECK(nearest_name("abcd", {"axyz"}).empty());                   // 3 edits
  CHECK(nearest_name("abcdefghi", {"abcdefxyz"}) == "abcdefxyz");  // 3 = 9 / 3
  CHECK(nearest_name("abcdefghi", {"abcdewxyz"}).empty());
  CHECK(nearest_name("x", {}).empty());
}

TEST_CASE("two swapped neighbours count as one edit") {
  CHECK(nearest_name("hmb", {"sm", "hbm"}) == "hbm");
  CHECK(nearest_name("badc", {"abcd"}) == "abcd");
}

TEST_CASE("nearest_name takes the first of equally near names") {
  CHECK(nearest_name("ab", {"ac", "ad"}) == "ac");
}

TEST_CASE("a config error prints one line per issue with value, problem, choices and nearest name") {
  const ConfigError error(
      {{"run.json", "/chip", "\"h100-smx\"", "is no chip", "a100, h100-sxm", "h100-sxm"}, {"run.json", "", "", "is empty", "", ""}});
  CHECK(std::string(error.what()) ==
        "run.json: /chip: \"h100-smx\" is no chip; allowed: a100, h100-sxm; nearest: \"h100-sxm\"\n"
        "run.json: /: is empty");
  CHECK(error.issues().size() == 2);
}
