// SPDX-License-Identifier: Apache-2.0
// Runs a lowered attention pipeline in the value interpreter and holds it against the straight-line reference.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/chip.h"
#include "sim/ir/pipeline.h"
#include "sim/value/tensor_data.h"
#include "tests/support/problem.h"
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

struct KernelOn {
  std::string schedule;
  Chip chip;
};

// The problem's score modifiers by their definition, with slopes and tables that depend on head and offset alone.
[[nodiscard]] double alibi_slope(std::int64_t head);
[[nodiscard]] double bias_number(std::int64_t head, std::int64_t element);
[[nodiscard]] reference::Modifier modifier(const Problem& p);
// Fills "alibi_slopes" and "bias_table" of a lowered problem; leaves other tensors alone.
void fill_score_input(value::TensorData& data, const ir::Tensor& t, const Problem& p);
// keeps() of the variant's masks.
[[nodiscard]] reference::Keep definition(const Variant& v, const Problem& p);
// Largest deviation of O, relative to its row's largest element, and of LSE.
[[nodiscard]] double largest_error(const Case& c, std::uint64_t seed);
[[nodiscard]] double largest_error(const ir::Pipeline& pipeline, const Variant& v, const Problem& p, const reference::Keep& keep,
                                   std::uint64_t seed);
// Fails unless two random orders of execution agree with the reference to 1e-9.
void check(const Case& c);

}  // namespace attnsim::test
