// SPDX-License-Identifier: Apache-2.0
// Integer expressions over a query and a key: what masks are written in, and what a kernel evaluates per pair on partial tiles.
// Comparisons and logic give 0 or 1; anything but 0 is true. Division and modulo round down, the modulo of a positive divisor is
// never negative; a divisor of 0 is an error of whoever builds the expression, and gives 0.
//
//   const Expression causal = key() <= query();
//   const Expression same_document = query_value(0) == key_value(0);   // per-token numbers: MaskTest::query_values[0], ...
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace attnsim {

enum class ExpressionKind : std::uint8_t {
  constant,  // value
  query,     // position in its sequence
  key,
  query_value,  // number of the query's token in table `value`
  key_value,
  pair_value,  // bit of the pair in table `value`
  add,
  subtract,
  multiply,
  divide,
  modulo,
  minimum,
  maximum,
  absolute,
  less,
  less_equal,
  equal,
  logical_and,
  logical_or,
  logical_not,
  power_of_two  // 1 for 0, 1, 2, 4, 8, ...
};

struct ExpressionNode;

// Immutable, cheap to copy.
class Expression {
 public:
  explicit Expression(ExpressionNode node);
  Expression(std::int64_t constant);                                // NOLINT: numbers stand for themselves
  Expression(int constant) : Expression(std::int64_t{constant}) {}  // NOLINT
  [[nodiscard]] const ExpressionNode& node() const { return *node_; }

 private:
  std::shared_ptr<const ExpressionNode> node_;
};

struct ExpressionNode {
  ExpressionKind kind = ExpressionKind::constant;
  std::int64_t value = 0;      // of others than the above: what it costs, mask_code.h
  std::vector<Expression> of;  // operands
};

[[nodiscard]] Expression query();
[[nodiscard]] Expression key();
[[nodiscard]] Expression query_value(int table);
[[nodiscard]] Expression key_value(int table);
[[nodiscard]] Expression pair_value(int table);
[[nodiscard]] Expression operator+(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator-(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator*(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator/(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator%(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator<(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator<=(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator>(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator>=(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator==(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator!=(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator&&(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator||(const Expression& a, const Expression& b);
[[nodiscard]] Expression operator!(const Expression& a);
[[nodiscard]] Expression minimum(const Expression& a, const Expression& b);
[[nodiscard]] Expression maximum(const Expression& a, const Expression& b);
[[nodiscard]] Expression absolute(const Expression& a);
[[nodiscard]] Expression power_of_two(const Expression& a);  // also of 0

// One number per token, shared by all heads.
using TokenValues = std::vector<std::int64_t>;

// What a kernel tests on a partial tile: a pair is kept where all of the expressions hold.
struct MaskTest {
  std::vector<Expression> all_of;
  std::vector<TokenValues> query_values;                                        // [table][query]
  std::vector<TokenValues> key_values;                                          // [table][key]
  std::vector<std::function<bool(std::int64_t q, std::int64_t k)>> pairs = {};  // [table]; a kernel reads one bit per pair
};

// The kernel's arithmetic on one pair.
[[nodiscard]] std::int64_t apply(ExpressionKind kind, std::int64_t a, std::int64_t b);
[[nodiscard]] std::int64_t evaluate(const Expression& e, const MaskTest& tables, std::int64_t q, std::int64_t k);
[[nodiscard]] bool holds(const MaskTest& test, std::int64_t q, std::int64_t k);
// "(k <= q) && (q - k < 64)" in the syntax of mask parameters.
[[nodiscard]] std::string to_text(const Expression& e);

}  // namespace attnsim
