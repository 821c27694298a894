// SPDX-License-Identifier: Apache-2.0
// Where (batch entry, head, query) lies in a query tensor of a lowered pipeline: rows of a packed one hold the heads of a group.
#pragma once

#include <cstdint>

#include "workloads/variant.h"

namespace attnsim::test {

struct Place {
  std::int64_t slab;
  std::int64_t row;
};
[[nodiscard]] inline Place place(const Problem& p, std::int64_t slabs, std::int64_t b, std::int64_t h, std::int64_t q) {
  if (slabs == p.batch * p.q_heads) return {b * p.q_heads + h, q};
  return {b * p.kv_heads + h / p.group(), q * p.group() + h % p.group()};
}

}  // namespace attnsim::test
