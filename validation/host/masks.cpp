// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "validation/host/attention.h"

namespace attnsim::host {

KeyRange visible_keys(const bench::Shape& shape, std::int64_t query) {
  const std::int64_t last = query + shape.kv_len - shape.q_len;  // bottom-right: the last query sees the last key
  KeyRange range{0, shape.kv_len};
  if (shape.mask == "causal") range.end = last + 1;
  if (shape.mask == "window") {
    if (shape.left >= 0) range.begin = last - shape.left;
    if (shape.right >= 0) range.end = last + shape.right + 1;
  }
  range.begin = std::clamp<std::int64_t>(range.begin, 0, shape.kv_len);
  range.end = std::clamp<std::int64_t>(range.end, range.begin, shape.kv_len);
  return range;
}

bool keeps_tile(const bench::Shape& shape, std::int64_t q_tile, std::int64_t kv_tile) {
  if (shape.mask != "block-sparse" || kv_tile == 0) return true;
  // SplitMix64 over seed and position.
  std::uint64_t x =
      shape.seed + 0x9E3779B97F4A7C15ULL * (static_cast<std::uint64_t>(q_tile) * 0x100000ULL + static_cast<std::uint64_t>(kv_tile) + 1);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1.0p-53 < shape.density;
}

}  // namespace attnsim::host
