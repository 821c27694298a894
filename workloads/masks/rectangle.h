// SPDX-License-Identifier: Apache-2.0
// A mask test compiled for rectangles of pairs: what interval arithmetic says of one, a signature of what it leaves open, and
// the pairs kept in it.
#pragma once

#include <optional>
#include <vector>

#include "workloads/masks/expression.h"
#include "workloads/masks/mask.h"

namespace attnsim {

struct Rectangle {
  Range queries;
  Range keys;
  [[nodiscard]] std::int64_t rows() const { return queries.end - queries.begin; }
  [[nodiscard]] std::int64_t columns() const { return keys.end - keys.begin; }
  [[nodiscard]] std::int64_t area() const { return rows() * columns(); }
};

enum class Verdict : std::uint8_t { none, all, open };  // pairs kept

// Smallest and largest of any range of a table, from those of chunks, of chunks of chunks, ...
class TableBounds {
 public:
  explicit TableBounds(const TokenValues& values);
  [[nodiscard]] std::int64_t at(std::int64_t i) const { return (*values_)[static_cast<std::size_t>(i)]; }
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> over(Range range) const;

 private:
  using Bounds = std::pair<std::int64_t, std::int64_t>;
  const TokenValues* values_;
  std::vector<std::vector<Bounds>> levels_;  // a chunk of level n + 1 is kChunk of level n, one of level 0 kChunk tokens
};

// One instance serves one thread at a time: it holds scratch. The test outlives it.
class RectangleTest {
 public:
  explicit RectangleTest(const MaskTest& test);
  [[nodiscard]] Verdict classify(const Rectangle& r);
  // Of the rectangle classified last, which was open: equal signatures of rectangles of equal size have equal pairs, at equal places.
  // None where a table takes part in the open part.
  [[nodiscard]] const std::optional<std::vector<std::int64_t>>& signature(const Rectangle& r);
  // Of the same rectangle: whether it has a signature, and nothing open in it depends on the query, so that later queries have that
  // signature too as long as the rest stays decided.
  [[nodiscard]] bool is_by_key(const Rectangle& r);
  // By looking at each pair.
  [[nodiscard]] std::int64_t count_pairs(const Rectangle& r);

 private:
  // a q + b k + sum of coefficient * atom + constant
  struct Part {
    std::int64_t coefficient = 0;
    int node = 0;
  };
  struct Sum {
    std::int64_t query = 0;
    std::int64_t key = 0;
    std::int64_t constant = 0;
    std::vector<Part> parts;
  };
  struct Node {
    ExpressionKind kind = ExpressionKind::constant;
    std::int64_t value = 0;
    int a = -1;
    int b = -1;
    Sum sum;                // of a number; of the difference b - a for a comparison
    bool by_query = false;  // depends on
    bool by_key = false;
    std::int64_t low = 0;  // over the rectangle at hand
    std::int64_t high = 0;
    std::vector<std::int64_t> row;  // over the keys of a row at hand, or one number
  };

  int compile(const Expression& e);
  [[nodiscard]] Sum sum_of(int id) const;
  void bound(Node& n, const Rectangle& r) const;
  void bound_sum(Node& n, const Rectangle& r) const;
  // Appends what the value depends on inside the rectangle; returns the constant that was split off.
  std::int64_t describe(const Sum& sum, const Rectangle& r);
  std::int64_t describe_number(int id, const Rectangle& r);
  void describe_predicate(int id, const Rectangle& r);
  void evaluate_row(Node& n, std::int64_t q, Range keys);

  std::vector<Node> nodes_;  // operands before their users; equal expressions once
  std::vector<int> roots_;
  std::vector<TableBounds> query_tables_;
  std::vector<TableBounds> key_tables_;
  std::optional<std::vector<std::int64_t>> signature_;
  bool table_open_ = false;
  bool query_open_ = false;
};

}  // namespace attnsim
