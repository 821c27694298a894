// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/parser.h"

#include <fmt/format.h>

#include <cctype>
#include <optional>

#include "sim/core/error.h"

namespace attnsim {

namespace {

struct Term {
  Expression value;
  bool predicate = false;
  std::size_t at = 0;  // where it starts
};

constexpr const char* kAxes = "xyz";

class Parser {
 public:
  Parser(const std::string& text, const Vocabulary& words, const std::string& pointer) : text_(text), words_(words), pointer_(pointer) {}

  Expression run() {
    Term term = disjunction();
    skip_spaces();
    if (at_ < text_.size()) fail(at_, fmt::format("goes on with `{}` behind a complete expression", text_.substr(at_, 1)), "an operator");
    if (!term.predicate) fail(term.at, "is a number", "a comparison, as in k <= q");
    return term.value;
  }

 private:
  [[noreturn]] void fail(std::size_t at, const std::string& problem, const std::string& allowed, const std::string& nearest = "") const {
    const std::string caret = "\n    " + text_ + "\n    " + std::string(at, ' ') + "^";
    throw ConfigError(ConfigIssue{"", pointer_, fmt::format("\"{}\"", text_), fmt::format("at character {}: {}{}", at + 1, problem, caret),
                                  allowed, nearest});
  }

  void skip_spaces() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }

  bool take(const std::string& sign) {
    skip_spaces();
    if (text_.compare(at_, sign.size(), sign) != 0) return false;
    at_ += sign.size();
    return true;
  }

  void expect(const std::string& sign) {
    if (take(sign)) return;
    fail(at_,
         at_ < text_.size() ? fmt::format("`{}` stands where `{}` belongs", text_.substr(at_, 1), sign)
                            : fmt::format("`{}` is missing", sign),
         "");
  }

  void want_predicate(const Term& t, const char* sign) const {
    if (!t.predicate) fail(t.at, fmt::format("`{}` takes comparisons, this is a number", sign), "a comparison, as in k <= q");
  }
  void want_number(const Term& t, const std::string& sign) const {
    if (t.predicate) fail(t.at, fmt::format("`{}` takes numbers, this is a comparison", sign), "a number; join comparisons with && or ||");
  }

  Term disjunction() {
    Term left = conjunction();
    while (take("||")) {
      want_predicate(left, "||");
      const Term right = conjunction();
      want_predicate(right, "||");
      left.value = left.value || right.value;
    }
    return left;
  }

  Term conjunction() {
    Term left = comparison();
    while (take("&&")) {
      want_predicate(left, "&&");
      const Term right = comparison();
      want_predicate(right, "&&");
      left.value = left.value && right.value;
    }
    return left;
  }

  std::optional<std::string> comparison_sign() {
    for (const char* sign : {"<=", ">=", "==", "!=", "<", ">"}) {
      if (take(sign)) return sign;
    }
    return std::nullopt;
  }

  static Expression compared(const std::string& sign, const Expression& a, const Expression& b) {
    if (sign == "<=") return a <= b;
    if (sign == ">=") return a >= b;
    if (sign == "==") return a == b;
    if (sign == "!=") return a != b;
    return sign == "<" ? a < b : a > b;
  }

  Term comparison() {
    Term left = sum();
    const std::optional<std::string> sign = comparison_sign();
    if (!sign) return left;
    want_number(left, *sign);
    const Term right = sum();
    want_number(right, *sign);
    left.value = compared(*sign, left.value, right.value);
    left.predicate = true;
    skip_spaces();
    const std::size_t second = at_;
    if (comparison_sign()) fail(second, "compares a comparison", "two comparisons joined by &&");
    return left;
  }

  Term sum() {
    Term left = product();
    for (;;) {
      const bool plus = take("+");
      if (!plus && !take("-")) return left;
      const std::string sign = plus ? "+" : "-";
      want_number(left, sign);
      const Term right = product();
      want_number(right, sign);
      left.value = plus ? left.value + right.value : left.value - right.value;
    }
  }

  Term product() {
    Term left = unary();
    for (;;) {
      std::string sign;
      for (const char* s : {"*", "/", "%"}) {
        if (sign.empty() && take(s)) sign = s;
      }
      if (sign.empty()) return left;
      want_number(left, sign);
      const Term right = unary();
      want_number(right, sign);
      if (sign == "*") {
        left.value = left.value * right.value;
        continue;
      }
      const ExpressionNode& divisor = right.value.node();
      if (divisor.kind != ExpressionKind::constant || divisor.value <= 0) {
        fail(right.at, fmt::format("`{}` takes a divisor that is a positive number", sign), "a number from 1 on, or a name with one");
      }
      left.value = sign == "/" ? left.value / right.value : left.value % right.value;
    }
  }

  Term unary() {
    skip_spaces();
    const std::size_t start = at_;
    if (text_.compare(at_, 2, "!=") != 0 && take("!")) {
      const Term of = unary();
      want_predicate(of, "!");
      return {!of.value, true, start};
    }
    if (take("-")) {
      const Term of = unary();
      want_number(of, "-");
      return {Expression(0) - of.value, false, start};
    }
    return primary();
  }

  Term primary() {
    skip_spaces();
    const std::size_t start = at_;
    if (at_ >= text_.size()) fail(at_, "ends where an operand belongs", "a number, a name or a parenthesis");
    if (take("(")) {
      Term inner = disjunction();
      expect(")");
      inner.at = start;
      return inner;
    }
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (std::isdigit(c) != 0) return number();
    if (std::isalpha(c) != 0 || c == '_') return named();
    fail(at_, fmt::format("`{}` is no operand", text_.substr(at_, 1)), "a number, a name or a parenthesis");
  }

  Term number() {
    const std::size_t start = at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    if (at_ - start > 15) fail(start, "is too large a number", "up to 15 digits");
    return {Expression(std::int64_t{std::stoll(text_.substr(start, at_ - start))}), false, start};
  }

  std::string word() {
    skip_spaces();
    const std::size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_')) ++at_;
    return text_.substr(start, at_ - start);
  }

  [[noreturn]] void unknown(std::size_t at, const std::string& name) const {
    std::vector<std::string> known{"q", "k", "abs", "min", "max", "pow2", "doc", "coord", "true", "false"};
    for (const auto& [word, value] : words_.numbers) known.push_back(word);
    std::string allowed;
    for (const std::string& word : known) allowed += (allowed.empty() ? "" : ", ") + word;
    fail(at, fmt::format("`{}` is no name", name), allowed, nearest_name(name, known));
  }

  Term named() {
    const std::size_t start = at_;
    const std::string name = word();
    if (name == "true" || name == "false") return {Expression(name == "true" ? 1 : 0), true, start};
    if (name == "q" || name == "k") {
      const Expression position = name == "q" ? query() : key();
      if (at_ < text_.size() && text_[at_] == '.') return axis_of(position, start);
      return {position, false, start};
    }
    const auto known = words_.numbers.find(name);
    if (known != words_.numbers.end()) return {Expression(known->second), false, start};
    if (name == "abs" || name == "pow2") {
      expect("(");
      const Term x = argument(name);
      expect(")");
      return {name == "abs" ? absolute(x.value) : power_of_two(x.value), name == "pow2", start};
    }
    if (name == "min" || name == "max") {
      expect("(");
      const Term a = argument(name);
      expect(",");
      const Term b = argument(name);
      expect(")");
      return {name == "min" ? minimum(a.value, b.value) : maximum(a.value, b.value), false, start};
    }
    if (name == "doc") return document(start);
    if (name == "coord") return coordinate_call(start);
    unknown(start, name);
  }

  Term argument(const std::string& of) {
    Term x = disjunction();
    want_number(x, of);
    return x;
  }

  bool position_is_query(const char* of) {
    skip_spaces();
    const std::size_t start = at_;
    const std::string name = word();
    if (name != "q" && name != "k") fail(start, fmt::format("{} takes a position", of), "q, k");
    return name == "q";
  }

  Term document(std::size_t start) {
    if (!words_.documents) fail(start, "doc() needs the parameter documents", "documents: \"1000, 500, 2000\" or \"4096 each\"");
    expect("(");
    const bool of_query = position_is_query("doc");
    expect(")");
    return {of_query ? query_value(0) : key_value(0), false, start};
  }

  Term along(const Expression& position, std::size_t axis, std::size_t start) const {
    if (words_.layout.empty()) fail(start, "coordinates need the parameter layout", "layout: \"30x48x80\"");
    if (axis >= words_.layout.size()) {
      fail(start, fmt::format("the layout has {} axes", words_.layout.size()), fmt::format("0 to {}", words_.layout.size() - 1));
    }
    return {coordinate(position, words_.layout, axis), false, start};
  }

  Term axis_of(const Expression& position, std::size_t start) {
    ++at_;
    const std::size_t place = at_;
    const std::string name = word();
    const std::string axes = kAxes;
    const std::size_t axis = name.size() == 1 ? axes.find(name) : std::string::npos;
    if (axis == std::string::npos) fail(place, fmt::format("`{}` is no axis", name), "x, y, z");
    return along(position, axis, start);
  }

  Term coordinate_call(std::size_t start) {
    expect("(");
    const bool of_query = position_is_query("coord");
    expect(",");
    const Term axis = argument("coord");
    expect(")");
    if (axis.value.node().kind != ExpressionKind::constant || axis.value.node().value < 0) fail(axis.at, "the axis is a number", "0, 1, 2");
    return along(of_query ? query() : key(), static_cast<std::size_t>(axis.value.node().value), start);
  }

  const std::string& text_;
  const Vocabulary& words_;
  std::string pointer_;
  std::size_t at_ = 0;
};

}  // namespace

Expression coordinate(const Expression& position, const std::vector<std::int64_t>& layout, std::size_t axis) {
  std::int64_t faster = 1;
  for (std::size_t a = axis + 1; a < layout.size(); ++a) faster *= layout[a];
  const Expression along = faster == 1 ? position : position / Expression(faster);
  return axis == 0 ? along : along % Expression(layout[axis]);
}

Expression parse_mask(const std::string& text, const Vocabulary& words, const std::string& pointer) {
  return Parser(text, words, pointer).run();
}

}  // namespace attnsim
