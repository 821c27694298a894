// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/mask_code.h"

#include <algorithm>
#include <map>
#include <string>

#include "sim/core/error.h"

namespace attnsim {

namespace {

using Kind = ExpressionKind;
using Views = std::vector<const ExpressionNode*>;  // the same place of every family's expression

// query * q + key * k + constant, one constant per family.
struct Linear {
  std::int64_t query = 0;
  std::int64_t key = 0;
  std::vector<std::int64_t> constant;
  [[nodiscard]] bool is_constant() const { return query == 0 && key == 0; }
};

Linear combined(const Linear& a, const Linear& b, std::int64_t factor) {
  Linear sum{a.query + factor * b.query, a.key + factor * b.key, a.constant};
  for (std::size_t f = 0; f < sum.constant.size(); ++f) sum.constant[f] += factor * b.constant[f];
  return sum;
}

bool all_equal(const std::vector<std::int64_t>& values) {
  return std::all_of(values.begin(), values.end(), [&](std::int64_t v) { return v == values.front(); });
}

ir::Fn function_of(Kind kind) {
  switch (kind) {
    case Kind::add: return ir::Fn::add;
    case Kind::subtract: return ir::Fn::subtract;
    case Kind::multiply: return ir::Fn::multiply;
    case Kind::divide: return ir::Fn::floor_divide;
    case Kind::modulo: return ir::Fn::modulo;
    case Kind::minimum: return ir::Fn::minimum;
    case Kind::maximum: return ir::Fn::maximum;
    case Kind::absolute: return ir::Fn::absolute;
    case Kind::less: return ir::Fn::less;
    case Kind::less_equal: return ir::Fn::less_equal;
    case Kind::equal: return ir::Fn::equal;
    case Kind::logical_and: return ir::Fn::logical_and;
    case Kind::logical_or: return ir::Fn::logical_or;
    case Kind::logical_not: return ir::Fn::logical_not;
    case Kind::power_of_two:
    case Kind::constant:
    case Kind::query:
    case Kind::key:
    case Kind::query_value:
    case Kind::key_value:
    case Kind::pair_value: break;
  }
  throw Invariant("an expression of this kind is no single op");
}

bool is_predicate(Kind kind) {
  return kind == Kind::less || kind == Kind::less_equal || kind == Kind::equal || kind == Kind::logical_and || kind == Kind::logical_or ||
         kind == Kind::logical_not;
}

class MaskCodeWriter {
 public:
  MaskCodeWriter(std::size_t families, std::int64_t row_group, std::int64_t tile_kv, std::int64_t tile_q)
      : row_group_(static_cast<int>(row_group)), tile_kv_(tile_kv), tile_q_(tile_q) {
    code_.parameters.resize(families);
  }

  void keep(const Views& views) {
    const int kept = emit(views);
    code_.keeps.push_back(kept);
  }

  MaskCode take(const MaskTest& tables) {
    code_.query_tables = static_cast<int>(tables.query_values.size());
    code_.key_tables = static_cast<int>(tables.key_values.size());
    code_.pair_tables = static_cast<int>(tables.pairs.size());
    return std::move(code_);
  }

 private:
  static Views operand(const Views& views, std::size_t i) {
    Views of;
    for (const ExpressionNode* node : views) of.push_back(&node->of.at(i).node());
    return of;
  }

  [[nodiscard]] static bool differ(const Views& views) {
    return std::any_of(views.begin(), views.end(), [&](const ExpressionNode* node) {
      const bool number = node->kind == Kind::query_value || node->kind == Kind::key_value || node->kind == Kind::pair_value;
      return node->kind != views.front()->kind || (number && node->value != views.front()->value);
    });
  }

  [[nodiscard]] std::optional<Linear> linear(const Views& views) const {
    const ExpressionNode& node = *views.front();
    if (differ(views)) throw differing();
    switch (node.kind) {
      case Kind::constant: {
        Linear form;
        for (const ExpressionNode* view : views) form.constant.push_back(view->value);
        return form;
      }
      case Kind::query: return Linear{1, 0, std::vector<std::int64_t>(views.size(), 0)};
      case Kind::key: return Linear{0, 1, std::vector<std::int64_t>(views.size(), 0)};
      case Kind::add:
      case Kind::subtract: {
        const std::optional<Linear> a = linear(operand(views, 0));
        const std::optional<Linear> b = linear(operand(views, 1));
        if (!a || !b) return std::nullopt;
        return combined(*a, *b, node.kind == Kind::add ? 1 : -1);
      }
      case Kind::multiply: {
        std::optional<Linear> a = linear(operand(views, 0));
        std::optional<Linear> b = linear(operand(views, 1));
        if (!a || !b) return std::nullopt;
        if (!b->is_constant()) std::swap(a, b);
        if (!b->is_constant() || !all_equal(b->constant)) return std::nullopt;
        const Linear none{0, 0, std::vector<std::int64_t>(views.size(), 0)};
        return combined(none, *a, b->constant.front());
      }
      default: return std::nullopt;
    }
  }

  static ConfigError differing() {
    return ConfigError(ConfigIssue{"", "/params", "", "gives the heads masks that one kernel does not test",
                                   "masks of all heads that differ in numbers only", ""});
  }

  [[nodiscard]] ir::Relation relation(const Linear& form) {
    ir::Relation r;
    r.row_coefficient = static_cast<int>(form.query);
    r.row_group = form.query == 0 ? 1 : row_group_;
    r.col_coefficient = static_cast<int>(form.key);
    if (all_equal(form.constant)) {
      r.offset = form.constant.front();
      return r;
    }
    const auto found = std::find(shared_.begin(), shared_.end(), form.constant);
    r.parameter = static_cast<int>(found - shared_.begin());
    if (found == shared_.end()) {
      shared_.push_back(form.constant);
      for (std::size_t f = 0; f < form.constant.size(); ++f) code_.parameters[f].push_back(form.constant[f]);
    }
    return r;
  }

  int add(MaskInstruction instruction) {
    code_.instructions.push_back(std::move(instruction));
    return static_cast<int>(code_.instructions.size()) - 1;
  }

  int linear_instruction(ir::OpKind kind, const Linear& form) {
    MaskInstruction i;
    i.kind = kind;
    i.relation = relation(form);
    i.by_row = form.query != 0;
    i.by_column = form.key != 0;
    i.predicate = kind == ir::OpKind::compare;
    return add(std::move(i));
  }

  // Equal expressions are computed once.
  int emit(const Views& views) {
    std::string name;
    for (const ExpressionNode* view : views) name += to_text(Expression(*view)) + ";";
    const auto known = known_.find(name);
    if (known != known_.end()) return known->second;
    const int made = emit_new(views);
    known_.emplace(std::move(name), made);
    return made;
  }

  int emit_new(const Views& views) {
    if (differ(views)) throw differing();
    const ExpressionNode& node = *views.front();
    if (node.kind == Kind::query_value || node.kind == Kind::key_value || node.kind == Kind::pair_value) {
      MaskInstruction load;
      load.kind = ir::OpKind::load;
      load.by_row = node.kind != Kind::key_value;
      load.by_column = node.kind != Kind::query_value;
      load.predicate = node.kind == Kind::pair_value;
      load.table = static_cast<int>(node.value);
      return add(std::move(load));
    }
    if (const std::optional<int> place = place_of_key(node, views)) return *place;
    if (const std::optional<int> tile = tile_of_query(node, views)) return *tile;
    if (const std::optional<Linear> form = linear(views)) return linear_instruction(ir::OpKind::iota, *form);
    if (node.kind == Kind::less || node.kind == Kind::less_equal) {
      const std::optional<Linear> a = linear(operand(views, 0));
      const std::optional<Linear> b = linear(operand(views, 1));
      if (a && b) {
        Linear margin = combined(*b, *a, -1);
        if (node.kind == Kind::less) {
          for (std::int64_t& c : margin.constant) c -= 1;
        }
        return linear_instruction(ir::OpKind::compare, margin);
      }
    }
    if (node.kind == Kind::power_of_two) return power_of_two(views);
    return function(views);
  }

  // x & (x - 1) has no bit left.
  int power_of_two(const Views& views) {
    const int x = emit(operand(views, 0));
    const int below = add(binary(ir::Fn::subtract, {x}, 1));
    const int bits = add(binary(ir::Fn::bit_and, {x, below}, std::nullopt));
    MaskInstruction none_left = binary(ir::Fn::equal, {bits}, 0);
    none_left.predicate = true;
    return add(std::move(none_left));
  }

  [[nodiscard]] MaskInstruction binary(ir::Fn fn, std::vector<int> in, std::optional<double> scalar) const {
    MaskInstruction i;
    i.kind = ir::OpKind::binary;
    i.fn = fn;
    i.in = std::move(in);
    i.scalar = scalar;
    spread(i);
    return i;
  }

  // A result depends on what its operands depend on.
  void spread(MaskInstruction& i) const {
    for (const int in : i.in) {
      const MaskInstruction& from = code_.instructions[static_cast<std::size_t>(in)];
      i.by_row = i.by_row || from.by_row;
      i.by_column = i.by_column || from.by_column;
      i.by_trip = i.by_trip || from.by_trip;
      i.by_item = i.by_item || from.by_item;
      i.immediate = i.immediate || from.immediate;
    }
    // A number per trip and a column make a vector of columns.
    i.by_column = i.by_column || (i.immediate && (i.by_trip || i.by_item || i.by_row));
    if (i.by_row || i.by_column) i.by_trip = i.immediate = false;
    if (i.by_row) i.by_item = false;
  }

  // The trip of a key, and the key's column in it.
  std::optional<int> place_of_key(const ExpressionNode& node, const Views& views) {
    if (node.kind != Kind::divide && node.kind != Kind::modulo) return std::nullopt;
    const ExpressionNode& of = node.of.at(0).node();
    const ExpressionNode& by = node.of.at(1).node();
    if (of.kind != Kind::key || by.kind != Kind::constant || by.value <= 0 || tile_kv_ == 0) return std::nullopt;
    for (const ExpressionNode* view : views) {
      if (view->of.at(0).node().kind != Kind::key || view->of.at(1).node().value != by.value) return std::nullopt;
    }
    MaskInstruction i;
    i.kind = ir::OpKind::iota;
    i.relation.col_coefficient = 1;
    if (node.kind == Kind::modulo && by.value == tile_kv_) {
      i.immediate = true;
      return add(std::move(i));
    }
    if (node.kind != Kind::divide || by.value % tile_kv_ != 0) return std::nullopt;
    i.by_trip = true;
    const int trip = add(std::move(i));
    if (by.value == tile_kv_) return trip;
    MaskInstruction divide;
    divide.kind = ir::OpKind::binary;
    divide.fn = ir::Fn::floor_divide;
    divide.in = {trip};
    divide.scalar = static_cast<double>(by.value / tile_kv_);
    divide.by_trip = true;
    return add(std::move(divide));
  }

  // The query tile of a query, which all rows of an item share.
  std::optional<int> tile_of_query(const ExpressionNode& node, const Views& views) {
    if (node.kind != Kind::divide || row_group_ != 1 || tile_q_ == 0) return std::nullopt;
    const ExpressionNode& by = node.of.at(1).node();
    for (const ExpressionNode* view : views) {
      const bool same = view->of.at(0).node().kind == Kind::query && view->of.at(1).node().kind == Kind::constant &&
                        view->of.at(1).node().value == by.value;
      if (!same) return std::nullopt;
    }
    if (by.value <= 0 || by.value % tile_q_ != 0) return std::nullopt;
    MaskInstruction i;
    i.kind = ir::OpKind::iota;
    i.relation.row_coefficient = 1;
    i.by_item = true;
    const int first = add(std::move(i));
    MaskInstruction divide = binary(ir::Fn::floor_divide, {first}, static_cast<double>(by.value));
    return add(std::move(divide));
  }

  // A number that the kernel reads instead of knowing it.
  int launch_number(const Linear& form) {
    const auto [slot, fresh] = known_.try_emplace("launch " + std::to_string(form.constant.front()), 0);
    if (fresh) slot->second = linear_instruction(ir::OpKind::iota, form);
    return slot->second;
  }

  int function(const Views& views) {
    const ExpressionNode& node = *views.front();
    MaskInstruction i;
    i.kind = node.of.size() > 1 ? ir::OpKind::binary : ir::OpKind::unary;
    i.fn = function_of(node.kind);
    i.predicate = is_predicate(node.kind);
    i.in.push_back(emit(operand(views, 0)));
    if (node.of.size() > 1) {
      const Views second = operand(views, 1);
      const std::optional<Linear> form = linear(second);
      const bool number = form && form->is_constant() && all_equal(form->constant);
      if (number && node.value == 1 && (node.kind == Kind::divide || node.kind == Kind::modulo)) {
        i.in.push_back(launch_number(*form));
      } else if (number) {
        i.scalar = static_cast<double>(form->constant.front());
      } else {
        i.in.push_back(emit(second));
      }
    }
    spread(i);
    if (node.value == 1 && i.immediate) {  // what the compiler knows, by a number that it doesn't
      i.by_column = true;
      i.immediate = false;
    }
    if (node.value > 1) i.share = 1.0 / static_cast<double>(node.value);
    return add(std::move(i));
  }

  MaskCode code_;
  int row_group_ = 1;
  std::int64_t tile_kv_ = 1;
  std::int64_t tile_q_ = 0;
  std::map<std::string, int> known_;
  std::vector<std::vector<std::int64_t>> shared_;  // constants behind the parameters
};

}  // namespace

MaskCode mask_code(const std::vector<MaskTest>& tests, std::int64_t row_group, std::int64_t tile_kv, std::int64_t tile_q) {
  MaskCodeWriter writer(tests.size(), row_group, tile_kv, tile_q);
  for (const MaskTest& test : tests) {
    if (test.all_of.size() != tests.front().all_of.size()) {
      throw ConfigError(ConfigIssue{"", "/params", "", "gives the heads masks that one kernel does not test",
                                    "masks of all heads that differ in numbers only", ""});
    }
  }
  for (std::size_t i = 0; i < tests.front().all_of.size(); ++i) {
    Views views;
    for (const MaskTest& test : tests) views.push_back(&test.all_of[i].node());
    writer.keep(views);
  }
  return writer.take(tests.front());
}

}  // namespace attnsim
