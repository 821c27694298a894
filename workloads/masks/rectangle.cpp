// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/rectangle.h"

#include <algorithm>
#include <map>
#include <string>

#include "sim/core/error.h"
#include "workloads/masks/integer.h"

namespace attnsim {

namespace {

using Kind = ExpressionKind;

constexpr std::int64_t kChunk = 64;

// Marks in a signature.
constexpr std::int64_t kFixed = 0;
constexpr std::int64_t kOpen = 1;

std::int64_t floor_mod(std::int64_t a, std::int64_t b) {
  return a - floor_div(a, b) * b;
}

bool is_comparison(Kind kind) {
  return kind == Kind::less || kind == Kind::less_equal || kind == Kind::equal;
}
// Of 0, 1, 2, 4, ...
bool has_power(std::int64_t low, std::int64_t high) {
  if (high < 0) return false;
  if (low <= 1) return true;
  std::int64_t power = 1;
  while (power < low) power *= 2;
  return power <= high;
}
bool is_logic(Kind kind) {
  return kind == Kind::logical_and || kind == Kind::logical_or || kind == Kind::logical_not;
}

}  // namespace

TableBounds::TableBounds(const TokenValues& values) : values_(&values) {
  std::vector<Bounds> below;
  below.reserve(values.size());
  for (const std::int64_t v : values) below.emplace_back(v, v);
  while (below.size() > 1) {
    std::vector<Bounds> level;
    for (std::size_t i = 0; i < below.size(); i += kChunk) {
      Bounds bounds = below[i];
      for (std::size_t j = i + 1; j < std::min<std::size_t>(i + kChunk, below.size()); ++j) {
        bounds.first = std::min(bounds.first, below[j].first);
        bounds.second = std::max(bounds.second, below[j].second);
      }
      level.push_back(bounds);
    }
    levels_.push_back(level);
    below = std::move(level);
  }
}

std::pair<std::int64_t, std::int64_t> TableBounds::over(Range range) const {
  Bounds bounds{at(range.begin), at(range.begin)};
  const auto take = [&](const Bounds& more) {
    bounds.first = std::min(bounds.first, more.first);
    bounds.second = std::max(bounds.second, more.second);
  };
  for (std::int64_t i = range.begin; i < range.end;) {
    // The largest chunk that begins here and ends inside.
    std::int64_t size = 1;
    std::size_t level = 0;
    while (level < levels_.size() && i % (size * kChunk) == 0 && i + size * kChunk <= range.end) {
      size *= kChunk;
      ++level;
    }
    take(level == 0 ? Bounds{at(i), at(i)} : levels_[level - 1][static_cast<std::size_t>(i / size)]);
    i += size;
  }
  return bounds;
}

RectangleTest::RectangleTest(const MaskTest& test) {
  for (const TokenValues& values : test.query_values) query_tables_.emplace_back(values);
  for (const TokenValues& values : test.key_values) key_tables_.emplace_back(values);
  for (const Expression& e : test.all_of) roots_.push_back(compile(e));
}

int RectangleTest::compile(const Expression& e) {
  const ExpressionNode& from = e.node();
  Node n;
  n.kind = from.kind;
  n.value = from.value;
  if (!from.of.empty()) n.a = compile(from.of[0]);
  if (from.of.size() > 1) n.b = compile(from.of[1]);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& other = nodes_[i];
    if (other.kind == n.kind && other.value == n.value && other.a == n.a && other.b == n.b) return static_cast<int>(i);
  }
  const auto node_at = [&](int i) -> const Node& { return nodes_[static_cast<std::size_t>(i)]; };
  n.by_query = n.kind == Kind::query || n.kind == Kind::query_value;
  n.by_key = n.kind == Kind::key || n.kind == Kind::key_value;
  for (const int operand : {n.a, n.b}) {
    if (operand < 0) continue;
    n.by_query = n.by_query || node_at(operand).by_query;
    n.by_key = n.by_key || node_at(operand).by_key;
  }
  for (const int operand : {n.a, n.b}) {
    const bool predicate = operand >= 0 && (is_comparison(node_at(operand).kind) || is_logic(node_at(operand).kind));
    require(!predicate || is_logic(n.kind), "a mask calculates with a comparison");
  }
  if (n.kind == Kind::divide || n.kind == Kind::modulo) {
    require(node_at(n.b).kind == Kind::constant && node_at(n.b).value > 0, "a mask divides by something else than a positive number");
  }
  const int id = static_cast<int>(nodes_.size());
  nodes_.push_back(std::move(n));
  Sum sum = sum_of(id);
  nodes_.back().sum = std::move(sum);
  return id;
}

RectangleTest::Sum RectangleTest::sum_of(int id) const {
  const Node& n = nodes_[static_cast<std::size_t>(id)];
  const auto operand = [&](int i) -> const Sum& { return nodes_[static_cast<std::size_t>(i)].sum; };
  const auto combined = [](Sum a, const Sum& b, std::int64_t factor) {
    a.query += factor * b.query;
    a.key += factor * b.key;
    a.constant += factor * b.constant;
    for (const Part& part : b.parts) {
      const auto same = std::find_if(a.parts.begin(), a.parts.end(), [&](const Part& p) { return p.node == part.node; });
      if (same == a.parts.end()) {
        a.parts.push_back({factor * part.coefficient, part.node});
      } else {
        same->coefficient += factor * part.coefficient;
      }
    }
    return a;
  };
  switch (n.kind) {
    case Kind::constant: return {0, 0, n.value, {}};
    case Kind::query: return {1, 0, 0, {}};
    case Kind::key: return {0, 1, 0, {}};
    case Kind::add: return combined(operand(n.a), operand(n.b), 1);
    case Kind::subtract: return combined(operand(n.a), operand(n.b), -1);
    case Kind::multiply:
      for (const auto& [number, other] : {std::pair(n.a, n.b), std::pair(n.b, n.a)}) {
        const Node& factor = nodes_[static_cast<std::size_t>(number)];
        if (factor.kind == Kind::constant) return combined({}, operand(other), factor.value);
      }
      break;
    case Kind::less:
    case Kind::less_equal:
    case Kind::equal: {
      Sum margin = combined(operand(n.b), operand(n.a), -1);
      if (n.kind == Kind::less) margin.constant -= 1;
      return margin;
    }
    default: break;
  }
  return {0, 0, 0, {{1, id}}};
}

void RectangleTest::bound_sum(Node& n, const Rectangle& r) const {
  n.low = n.high = n.sum.constant;
  const auto add = [&](std::int64_t coefficient, std::int64_t low, std::int64_t high) {
    n.low += coefficient * (coefficient > 0 ? low : high);
    n.high += coefficient * (coefficient > 0 ? high : low);
  };
  add(n.sum.query, r.queries.begin, r.queries.end - 1);
  add(n.sum.key, r.keys.begin, r.keys.end - 1);
  for (const Part& part : n.sum.parts) {
    const Node& of = nodes_[static_cast<std::size_t>(part.node)];
    add(part.coefficient, of.low, of.high);
  }
}

void RectangleTest::bound(Node& n, const Rectangle& r) const {
  const auto operand = [&](int i) -> const Node& { return nodes_[static_cast<std::size_t>(i)]; };
  const auto set = [&](std::int64_t low, std::int64_t high) {
    n.low = low;
    n.high = high;
  };
  const auto surely = [&](int i) { return operand(i).low > 0 || operand(i).high < 0; };
  const auto never = [&](int i) { return operand(i).low == 0 && operand(i).high == 0; };
  switch (n.kind) {
    case Kind::constant:
    case Kind::query:
    case Kind::key:
    case Kind::add:
    case Kind::subtract: return bound_sum(n, r);
    case Kind::query_value: {
      const auto [low, high] = query_tables_.at(static_cast<std::size_t>(n.value)).over(r.queries);
      return set(low, high);
    }
    case Kind::key_value: {
      const auto [low, high] = key_tables_.at(static_cast<std::size_t>(n.value)).over(r.keys);
      return set(low, high);
    }
    case Kind::multiply: {
      if (n.sum.parts.size() != 1 || &operand(n.sum.parts[0].node) != &n) return bound_sum(n, r);
      const std::int64_t products[] = {operand(n.a).low * operand(n.b).low, operand(n.a).low * operand(n.b).high,
                                       operand(n.a).high * operand(n.b).low, operand(n.a).high * operand(n.b).high};
      const auto [low, high] = std::minmax_element(std::begin(products), std::end(products));
      return set(*low, *high);
    }
    case Kind::divide: return set(floor_div(operand(n.a).low, operand(n.b).value), floor_div(operand(n.a).high, operand(n.b).value));
    case Kind::modulo: {
      const std::int64_t m = operand(n.b).value;
      const bool one_period = floor_div(operand(n.a).low, m) == floor_div(operand(n.a).high, m);
      return one_period ? set(floor_mod(operand(n.a).low, m), floor_mod(operand(n.a).high, m)) : set(0, m - 1);
    }
    case Kind::pair_value: throw Invariant("bits of pairs have no intervals");
    case Kind::minimum: return set(std::min(operand(n.a).low, operand(n.b).low), std::min(operand(n.a).high, operand(n.b).high));
    case Kind::maximum: return set(std::max(operand(n.a).low, operand(n.b).low), std::max(operand(n.a).high, operand(n.b).high));
    case Kind::absolute: {
      const Node& x = operand(n.a);
      const std::int64_t least = x.low > 0 ? x.low : x.high < 0 ? -x.high : 0;
      return set(least, std::max(x.high, -x.low));
    }
    case Kind::power_of_two: {
      const Node& x = operand(n.a);
      if (!has_power(x.low, x.high)) return set(0, 0);
      return x.low == x.high || (x.low >= 0 && x.high <= 2) ? set(1, 1) : set(0, 1);
    }
    case Kind::less:
    case Kind::less_equal: bound_sum(n, r); return n.low >= 0 ? set(1, 1) : n.high < 0 ? set(0, 0) : set(0, 1);
    case Kind::equal:
      bound_sum(n, r);
      if (n.low == 0 && n.high == 0) return set(1, 1);
      return n.low > 0 || n.high < 0 ? set(0, 0) : set(0, 1);
    case Kind::logical_and:
      if (never(n.a) || never(n.b)) return set(0, 0);
      return surely(n.a) && surely(n.b) ? set(1, 1) : set(0, 1);
    case Kind::logical_or:
      if (surely(n.a) || surely(n.b)) return set(1, 1);
      return never(n.a) && never(n.b) ? set(0, 0) : set(0, 1);
    case Kind::logical_not: return never(n.a) ? set(1, 1) : surely(n.a) ? set(0, 0) : set(0, 1);
  }
}

Verdict RectangleTest::classify(const Rectangle& r) {
  for (Node& n : nodes_) bound(n, r);
  bool all = true;
  for (const int root : roots_) {
    const Node& n = nodes_[static_cast<std::size_t>(root)];
    if (n.low == 0 && n.high == 0) return Verdict::none;
    all = all && (n.low > 0 || n.high < 0);
  }
  return all ? Verdict::all : Verdict::open;
}

std::int64_t RectangleTest::describe(const Sum& sum, const Rectangle& r) {
  query_open_ = query_open_ || sum.query != 0;
  std::int64_t constant = sum.constant + sum.query * r.queries.begin + sum.key * r.keys.begin;
  for (const Part& part : sum.parts) constant += part.coefficient * describe_number(part.node, r);
  return constant;
}

std::int64_t RectangleTest::describe_number(int id, const Rectangle& r) {
  const Node& n = nodes_[static_cast<std::size_t>(id)];
  if (n.low == n.high) {
    signature_->push_back(kFixed);
    return n.low;
  }
  signature_->push_back(kOpen);
  const auto operand = [&](int i) { return describe(nodes_[static_cast<std::size_t>(i)].sum, r); };
  switch (n.kind) {
    case Kind::divide: {
      const std::int64_t m = nodes_[static_cast<std::size_t>(n.b)].value;
      const std::int64_t c = operand(n.a);
      signature_->push_back(floor_mod(c, m));
      return floor_div(c, m);
    }
    case Kind::modulo: {
      const std::int64_t c = operand(n.a);
      signature_->push_back(floor_mod(c, nodes_[static_cast<std::size_t>(n.b)].value));
      return 0;
    }
    case Kind::minimum:
    case Kind::maximum: {
      const std::int64_t a = operand(n.a);
      signature_->push_back(operand(n.b) - a);
      return a;
    }
    case Kind::absolute: signature_->push_back(operand(n.a)); return 0;
    case Kind::multiply:
      signature_->push_back(operand(n.a));
      signature_->push_back(operand(n.b));
      return 0;
    case Kind::query_value: query_open_ = true; [[fallthrough]];
    case Kind::key_value: table_open_ = true; return 0;
    default: describe_predicate(id, r); return 0;
  }
}

void RectangleTest::describe_predicate(int id, const Rectangle& r) {
  const Node& n = nodes_[static_cast<std::size_t>(id)];
  if (n.low == n.high) {
    signature_->push_back(kFixed);
    signature_->push_back(n.low);
    return;
  }
  signature_->push_back(kOpen);
  if (n.kind == Kind::power_of_two) {
    signature_->push_back(describe(nodes_[static_cast<std::size_t>(n.a)].sum, r));
  } else if (is_logic(n.kind)) {
    describe_predicate(n.a, r);
    if (n.b >= 0) describe_predicate(n.b, r);
  } else if (is_comparison(n.kind)) {
    signature_->push_back(describe(n.sum, r));
  } else {  // a number, taken as true or false
    signature_->push_back(describe(n.sum, r));
  }
}

const std::optional<std::vector<std::int64_t>>& RectangleTest::signature(const Rectangle& r) {
  signature_.emplace();
  table_open_ = query_open_ = false;
  for (const int root : roots_) describe_predicate(root, r);
  if (table_open_) signature_.reset();
  return signature_;
}

bool RectangleTest::is_by_key(const Rectangle& r) {
  return signature(r).has_value() && !query_open_;
}

void RectangleTest::evaluate_row(Node& n, std::int64_t q, Range keys) {
  const auto columns = static_cast<std::size_t>(n.by_key ? keys.end - keys.begin : 1);
  n.row.resize(columns);
  const auto fill = [&](auto&& value) {
    for (std::size_t i = 0; i < columns; ++i) n.row[i] = value(keys.begin + static_cast<std::int64_t>(i), i);
  };
  switch (n.kind) {
    case Kind::constant: return fill([&](std::int64_t, std::size_t) { return n.value; });
    case Kind::query: return fill([&](std::int64_t, std::size_t) { return q; });
    case Kind::key: return fill([&](std::int64_t k, std::size_t) { return k; });
    case Kind::query_value: {
      const TableBounds& table = query_tables_.at(static_cast<std::size_t>(n.value));
      return fill([&](std::int64_t, std::size_t) { return table.at(q); });
    }
    case Kind::key_value: {
      const TableBounds& table = key_tables_.at(static_cast<std::size_t>(n.value));
      return fill([&](std::int64_t k, std::size_t) { return table.at(k); });
    }
    default: break;
  }
  const Node& a = nodes_[static_cast<std::size_t>(n.a)];
  const Node& b = nodes_[static_cast<std::size_t>(n.b >= 0 ? n.b : n.a)];
  const std::size_t step_a = a.by_key ? 1 : 0;
  const std::size_t step_b = b.by_key ? 1 : 0;
  const auto each = [&](auto&& f) {
    for (std::size_t i = 0; i < columns; ++i) n.row[i] = f(a.row[i * step_a], b.row[i * step_b]);
  };
  switch (n.kind) {  // the commonest in loops of their own
    case Kind::add: return each([](std::int64_t x, std::int64_t y) { return x + y; });
    case Kind::subtract: return each([](std::int64_t x, std::int64_t y) { return x - y; });
    case Kind::less: return each([](std::int64_t x, std::int64_t y) { return std::int64_t{x < y}; });
    case Kind::less_equal: return each([](std::int64_t x, std::int64_t y) { return std::int64_t{x <= y}; });
    case Kind::equal: return each([](std::int64_t x, std::int64_t y) { return std::int64_t{x == y}; });
    case Kind::logical_and: return each([](std::int64_t x, std::int64_t y) { return std::int64_t{(x != 0) & (y != 0)}; });
    case Kind::logical_or: return each([](std::int64_t x, std::int64_t y) { return std::int64_t{(x != 0) | (y != 0)}; });
    default: return each([&](std::int64_t x, std::int64_t y) { return apply(n.kind, x, y); });
  }
}

std::int64_t RectangleTest::count_pairs(const Rectangle& r) {
  std::int64_t kept = 0;
  std::vector<char> keep;
  for (std::int64_t q = r.queries.begin; q < r.queries.end; ++q) {
    for (Node& n : nodes_) {
      if (q == r.queries.begin || n.by_query) evaluate_row(n, q, r.keys);
    }
    keep.assign(static_cast<std::size_t>(r.columns()), 1);
    for (const int root : roots_) {
      const Node& n = nodes_[static_cast<std::size_t>(root)];
      for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = keep[i] != 0 && n.row[n.by_key ? i : 0] != 0 ? 1 : 0;
    }
    kept += std::count(keep.begin(), keep.end(), 1);
  }
  return kept;
}

}  // namespace attnsim
