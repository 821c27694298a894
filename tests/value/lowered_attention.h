// SPDX-License-Identifier: Apache-2.0
// Runs a lowered attention pipeline in the value interpreter and holds it against the straight-line reference.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "workloads/reference/attention.h"
#include "workloads/variant.h"

namespace attnsim::test {

struct Case {
  std::string schedule;
  Chip chip;
  std::string variant;
  Problem problem;
  const Variant* own = nullptr;    // instead of a variant of the table
  reference::Keep keep = nullptr;  // the variant's masks by their definition where none is given
};

[[nodiscard]] Problem problem(std::int64_t batch, std::int64_t q_heads, std::int64_t kv_heads, std::vector<std::int64_t> q_len,
                              std::vector<std::int64_t> kv_len, std::int64_t d, Params params = {});
// keeps() of the variant's masks.
[[nodiscard]] reference::Keep definition(const Variant& v, const Problem& p);
// Largest deviation of O, relative to its row's largest element, and of LSE.
[[nodiscard]] double largest_error(const Case& c, std::uint64_t seed);
// Fails unless two random orders of execution agree with the reference to 1e-9.
void check(const Case& c);

}  // namespace attnsim::test
