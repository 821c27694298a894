// SPDX-License-Identifier: Apache-2.0
// What becomes of a score before mask and softmax, for any variant of the tile-list family. With p the query's position among the keys
// (the last query's is that of the last key) and b the table of the query's head:
//
//   score = softcap * tanh(scale q.k / softcap) - slope[head] * |p - k| + b[offset],    scale = 1 / sqrt(head_dim_qk)
//
// offset is k - p clipped to [-radius, radius], per axis of the layout where there is one. What is not asked for leaves its term out,
// softcap its tanh.
#pragma once

#include <cstdint>
#include <vector>

#include "workloads/masks/expression.h"

namespace attnsim {

struct Score {
  double softcap = 0;
  bool alibi = false;
  std::vector<std::int64_t> bias_radius;  // one per axis of the layout, or one; empty: no bias
  std::vector<std::int64_t> bias_layout;  // extents of the token grid, slowest first; empty: a sequence
  [[nodiscard]] bool plain() const { return softcap == 0 && !alibi && bias_radius.empty(); }
  [[nodiscard]] std::int64_t bias_elements() const;  // of a head's table: the product of 2 radius + 1
};

// Where the number of a pair stands in its head's table; `shift`: place of the first query among the keys.
[[nodiscard]] Expression bias_index(const Score& score, std::int64_t shift);

}  // namespace attnsim
