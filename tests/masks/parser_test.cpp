// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/parser.h"

#include <catch2/catch.hpp>

#include "sim/core/error.h"

using namespace attnsim;

namespace {

const Vocabulary kWords{{{"head", 3}, {"q_len", 100}, {"shift", 20}}, true, {4, 5, 6}};

bool value(const std::string& text, std::int64_t q, std::int64_t k) {
  MaskTest test{{parse_mask(text, kWords)}, {{}}, {{}}};
  for (std::int64_t i = 0; i < 120; ++i) {
    test.query_values[0].push_back(i / 10);
    test.key_values[0].push_back(i / 7);
  }
  return holds(test, q, k);
}

void refused(const std::string& text, const std::string& problem, const std::string& nearest = "") {
  INFO(text);
  try {
    (void)parse_mask(text, kWords);
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK_THAT(error.issues().front().problem, Catch::Contains(problem));
    CHECK(error.issues().front().nearest == nearest);
    CHECK(error.issues().front().pointer == "/params/mask");
  }
}

}  // namespace

TEST_CASE("mask expressions bind as in C", "[masks]") {
  for (std::int64_t q = 0; q < 120; q += 7) {
    for (std::int64_t k = 0; k < 120; k += 5) {
      CHECK(value("k <= q && q - k < 40 || k < 8", q, k) == ((k <= q && q - k < 40) || k < 8));
      CHECK(value("k <= q && (q - k < 40 || k < 8)", q, k) == (k <= q && (q - k < 40 || k < 8)));
      CHECK(value("!(k > q) && q - k*2 + 1 >= -3", q, k) == (!(k > q) && q - k * 2 + 1 >= -3));
      CHECK(value("q - k - 1 != 5 % 3 + head", q, k) == (q - k - 1 != 5 % 3 + 3));
      CHECK(value("abs(q - k) / 4 == min(q, k) % max(3, 2)", q, k) == (std::abs(q - k) / 4 == std::min(q, k) % 3));
      CHECK(value("doc(q) == doc(k)", q, k) == (q / 10 == k / 7));
      CHECK(value("q.x == k.x && abs(q.y - k.y) <= 1 || coord(q, 2) == k.z", q, k) ==
            ((q / 30 == k / 30 && std::abs(q / 6 % 5 - k / 6 % 5) <= 1) || q % 6 == k % 6));
      CHECK(value("k <= q+shift&&k<q_len", q, k) == (k <= q + 20 && k < 100));
      CHECK(value("true", q, k));
      CHECK(value("(q - 40) / 16 == -1", q, k) == (q >= 24 && q < 40));
      CHECK(value("pow2(q - k)", q, k) == (q >= k && ((q - k) & (q - k - 1)) == 0));
    }
  }
}

TEST_CASE("a wrong mask expression is refused at its place, with the nearest name", "[masks]") {
  refused("k <= qq", "at character 6: `qq` is no name", "q");
  refused("k <= hed", "`hed` is no name", "head");
  refused("k <=", "at character 5: ends where an operand belongs");
  refused("(k <= q", "`)` is missing");
  refused("k <= q)", "goes on with `)`");
  refused("k + q", "is a number");
  refused("k <= q && 3", "`&&` takes comparisons");
  refused("(k <= q) + 1 < 3", "`+` takes numbers");
  refused("0 < k < q", "compares a comparison");
  refused("k / q < 3", "divisor");
  refused("k % 0 < 3", "divisor");
  refused("q.w == 3", "`w` is no axis");
  refused("coord(q, 3) == 1", "the layout has 3 axes");
  refused("doc(3) == 1", "takes a position");
  refused("k <= q $ 3", "goes on with `$`");
  refused("k <= 12345678901234567", "too large");
  CHECK_THROWS_WITH(parse_mask("doc(q) == doc(k)", {}), Catch::Contains("documents"));
  CHECK_THROWS_WITH(parse_mask("q.x == k.x", {}), Catch::Contains("layout"));
  CHECK_THROWS_WITH(parse_mask("k <= qq", kWords), Catch::Contains("k <= qq\n         ^"));
}
