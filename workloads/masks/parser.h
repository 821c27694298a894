// SPDX-License-Identifier: Apache-2.0
// Mask expressions as users write them: "k <= q && (q - k < 4096 || k < 64)".
//
//   or      and { "||" and }                         names: q and k, the positions of query and key; those of the vocabulary
//   and     not { "&&" not }                         calls: abs(x), min(a, b), max(a, b), doc(q), doc(k), coord(q, axis), pow2(x)
//   compare sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]     coordinates: q.x, q.y, q.z, the axes of the layout
//   sum     product { ("+" | "-") product }          true, false
//   product unary { ("*" | "/" | "%") unary }        divisors are positive numbers; division rounds down
#pragma once

#include <map>
#include <string>
#include <vector>

#include "workloads/masks/expression.h"

namespace attnsim {

struct Vocabulary {
  std::map<std::string, std::int64_t> numbers;  // head, q_len, kv_len, shift, ...
  bool documents = false;                       // table 0 holds them
  std::vector<std::int64_t> layout;             // extents, slowest axis first
};

// Throws ConfigError at `pointer` with the place in the text and the nearest name.
[[nodiscard]] Expression parse_mask(const std::string& text, const Vocabulary& words, const std::string& pointer = "/params/mask");

// Coordinate of a position along an axis of a layout: (position / product of faster extents) % extent.
[[nodiscard]] Expression coordinate(const Expression& position, const std::vector<std::int64_t>& layout, std::size_t axis);

}  // namespace attnsim
