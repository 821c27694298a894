// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/score.h"

namespace attnsim {

std::int64_t Score::bias_elements() const {
  std::int64_t elements = 1;
  for (const std::int64_t radius : bias_radius) elements *= 2 * radius + 1;
  return elements;
}

// Where no offset is ever clipped, the parts of query and key are added up apart: one subtraction a pair is left.
Expression bias_index(const Score& score, std::int64_t shift) {
  const Expression q = query() + Expression(shift);
  if (score.bias_layout.empty()) {
    const std::int64_t radius = score.bias_radius.front();
    return minimum(maximum(key() - q, Expression(-radius)), Expression(radius)) + Expression(radius);
  }
  const std::size_t axes = score.bias_layout.size();
  const auto coordinate = [&](const Expression& token, std::size_t axis) {
    std::int64_t below = 1;
    for (std::size_t a = axis + 1; a < axes; ++a) below *= score.bias_layout[a];
    const Expression whole = below == 1 ? token : token / Expression(below);
    return axis == 0 ? whole : whole % Expression(score.bias_layout[axis]);
  };
  bool clipped = false;
  for (std::size_t a = 0; a < axes; ++a) clipped = clipped || score.bias_radius[a] < score.bias_layout[a] - 1;
  Expression of_query(0);
  Expression of_key(0);
  Expression index(0);
  std::int64_t zero = 0;
  for (std::size_t a = 0; a < axes; ++a) {
    const std::int64_t radius = score.bias_radius[a];
    const Expression width(2 * radius + 1);
    const Expression offset = coordinate(key(), a) - coordinate(q, a);
    const Expression place = minimum(maximum(offset, Expression(-radius)), Expression(radius)) + Expression(radius);
    index = a == 0 ? place : index * width + place;
    of_query = a == 0 ? coordinate(q, a) : of_query * width + coordinate(q, a);
    of_key = a == 0 ? coordinate(key(), a) : of_key * width + coordinate(key(), a);
    zero = a == 0 ? radius : zero * (2 * radius + 1) + radius;
  }
  return clipped ? index : of_key + Expression(zero) - of_query;
}

}  // namespace attnsim
