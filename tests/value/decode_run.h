// SPDX-License-Identifier: Apache-2.0
// A lowered decode pipeline in the value interpreter against the straight-line reference. MLA's V is the first columns of K.
#pragma once

#include <functional>
#include <string>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "workloads/variant.h"

namespace attnsim::test {

struct DecodeCase {
  std::string schedule;
  Chip chip;
  std::string variant;
  Problem problem;
  std::int64_t left = -1;  // keys before a query's own that its window keeps; -1: all
};

[[nodiscard]] ir::Pipeline lowered(const DecodeCase& c);
// Largest deviation of O over its row's largest element, or of LSE; queries see the keys up to their own, aligned at the end.
// `pipeline` may be a mutated one.
[[nodiscard]] double decode_error(const DecodeCase& c, const ir::Pipeline& pipeline, std::uint64_t seed);

}  // namespace attnsim::test
