// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "sim/core/error.h"

namespace attnsim {

namespace {

Expression binary(ExpressionKind kind, const Expression& a, const Expression& b) {
  const ExpressionNode& x = a.node();
  const ExpressionNode& y = b.node();
  if (x.kind == ExpressionKind::constant && y.kind == ExpressionKind::constant) return {apply(kind, x.value, y.value)};
  return Expression(ExpressionNode{kind, 0, {a, b}});
}

Expression unary(ExpressionKind kind, const Expression& a) {
  if (a.node().kind == ExpressionKind::constant) return {apply(kind, a.node().value, 0)};
  return Expression(ExpressionNode{kind, 0, {a}});
}

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
  if (b == 0) return 0;
  const std::int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

}  // namespace

Expression::Expression(ExpressionNode node) : node_(std::make_shared<const ExpressionNode>(std::move(node))) {}
Expression::Expression(std::int64_t constant) : Expression(ExpressionNode{ExpressionKind::constant, constant, {}}) {}

Expression query() {
  return Expression(ExpressionNode{ExpressionKind::query, 0, {}});
}
Expression key() {
  return Expression(ExpressionNode{ExpressionKind::key, 0, {}});
}
Expression query_value(int table) {
  return Expression(ExpressionNode{ExpressionKind::query_value, table, {}});
}
Expression key_value(int table) {
  return Expression(ExpressionNode{ExpressionKind::key_value, table, {}});
}
Expression pair_value(int table) {
  return Expression(ExpressionNode{ExpressionKind::pair_value, table, {}});
}
Expression operator+(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::add, a, b);
}
Expression operator-(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::subtract, a, b);
}
Expression operator*(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::multiply, a, b);
}
Expression operator/(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::divide, a, b);
}
Expression operator%(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::modulo, a, b);
}
Expression operator<(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::less, a, b);
}
Expression operator<=(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::less_equal, a, b);
}
Expression operator>(const Expression& a, const Expression& b) {
  return b < a;
}
Expression operator>=(const Expression& a, const Expression& b) {
  return b <= a;
}
Expression operator==(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::equal, a, b);
}
Expression operator!=(const Expression& a, const Expression& b) {
  return !(a == b);
}
Expression operator&&(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::logical_and, a, b);
}
Expression operator||(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::logical_or, a, b);
}
Expression operator!(const Expression& a) {
  return unary(ExpressionKind::logical_not, a);
}
Expression minimum(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::minimum, a, b);
}
Expression maximum(const Expression& a, const Expression& b) {
  return binary(ExpressionKind::maximum, a, b);
}
Expression absolute(const Expression& a) {
  return unary(ExpressionKind::absolute, a);
}

Expression power_of_two(const Expression& a) {
  return unary(ExpressionKind::power_of_two, a);
}

std::int64_t apply(ExpressionKind kind, std::int64_t a, std::int64_t b) {
  switch (kind) {
    case ExpressionKind::add: return a + b;
    case ExpressionKind::subtract: return a - b;
    case ExpressionKind::multiply: return a * b;
    case ExpressionKind::divide: return floor_quotient(a, b);
    case ExpressionKind::modulo: return b == 0 ? 0 : a - floor_quotient(a, b) * b;
    case ExpressionKind::minimum: return std::min(a, b);
    case ExpressionKind::maximum: return std::max(a, b);
    case ExpressionKind::absolute: return a < 0 ? -a : a;
    case ExpressionKind::less: return a < b ? 1 : 0;
    case ExpressionKind::less_equal: return a <= b ? 1 : 0;
    case ExpressionKind::equal: return a == b ? 1 : 0;
    case ExpressionKind::logical_and: return a != 0 && b != 0 ? 1 : 0;
    case ExpressionKind::logical_or: return a != 0 || b != 0 ? 1 : 0;
    case ExpressionKind::logical_not: return a == 0 ? 1 : 0;
    case ExpressionKind::power_of_two: return a >= 0 && (a & (a - 1)) == 0 ? 1 : 0;
    case ExpressionKind::constant:
    case ExpressionKind::query:
    case ExpressionKind::key:
    case ExpressionKind::query_value:
    case ExpressionKind::key_value:
    case ExpressionKind::pair_value: break;
  }
  throw Invariant("a leaf of an expression has no operands");
}

std::int64_t evaluate(const Expression& e, const MaskTest& tables, std::int64_t q, std::int64_t k) {
  const ExpressionNode& n = e.node();
  switch (n.kind) {
    case ExpressionKind::constant: return n.value;
    case ExpressionKind::query: return q;
    case ExpressionKind::key: return k;
    case ExpressionKind::query_value: return tables.query_values.at(static_cast<std::size_t>(n.value)).at(static_cast<std::size_t>(q));
    case ExpressionKind::key_value: return tables.key_values.at(static_cast<std::size_t>(n.value)).at(static_cast<std::size_t>(k));
    case ExpressionKind::pair_value: return tables.pairs.at(static_cast<std::size_t>(n.value))(q, k) ? 1 : 0;
    default: break;
  }
  const std::int64_t a = evaluate(n.of.front(), tables, q, k);
  if (n.kind == ExpressionKind::logical_and && a == 0) return 0;
  if (n.kind == ExpressionKind::logical_or && a != 0) return 1;
  return apply(n.kind, a, n.of.size() > 1 ? evaluate(n.of[1], tables, q, k) : 0);
}

bool holds(const MaskTest& test, std::int64_t q, std::int64_t k) {
  return std::all_of(test.all_of.begin(), test.all_of.end(), [&](const Expression& e) { return evaluate(e, test, q, k) != 0; });
}

std::string to_text(const Expression& e) {
  const ExpressionNode& n = e.node();
  const auto operand = [&](std::size_t i) {
    const Expression& x = n.of.at(i);
    return x.node().of.size() > 1 && x.node().kind != ExpressionKind::minimum && x.node().kind != ExpressionKind::maximum
               ? "(" + to_text(x) + ")"
               : to_text(x);
  };
  const auto infix = [&](std::string_view sign) { return operand(0) + " " + std::string(sign) + " " + operand(1); };
  const auto call = [&](std::string_view name) {
    std::string text = std::string(name) + "(" + to_text(n.of.at(0));
    return text + (n.of.size() > 1 ? ", " + to_text(n.of[1]) : "") + ")";
  };
  switch (n.kind) {
    case ExpressionKind::constant: return fmt::format("{}", n.value);
    case ExpressionKind::query: return "q";
    case ExpressionKind::key: return "k";
    case ExpressionKind::query_value: return fmt::format("value{}(q)", n.value);
    case ExpressionKind::key_value: return fmt::format("value{}(k)", n.value);
    case ExpressionKind::pair_value: return fmt::format("bit{}(q, k)", n.value);
    case ExpressionKind::add: return infix("+");
    case ExpressionKind::subtract: return infix("-");
    case ExpressionKind::multiply: return infix("*");
    case ExpressionKind::divide: return infix("/");
    case ExpressionKind::modulo: return infix("%");
    case ExpressionKind::less: return infix("<");
    case ExpressionKind::less_equal: return infix("<=");
    case ExpressionKind::equal: return infix("==");
    case ExpressionKind::logical_and: return infix("&&");
    case ExpressionKind::logical_or: return infix("||");
    case ExpressionKind::logical_not: return "!" + operand(0);
    case ExpressionKind::minimum: return call("min");
    case ExpressionKind::maximum: return call("max");
    case ExpressionKind::absolute: return call("abs");
    case ExpressionKind::power_of_two: return call("pow2");
  }
  throw Invariant("unknown expression");
}

}  // namespace attnsim
