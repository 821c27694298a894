// SPDX-License-Identifier: Apache-2.0
// The tile program of an AttentionSpec.
#pragma once

#include "tests/support/random_pipeline.h"

namespace attnsim::test {

struct SpecTensors {
  ir::TensorId q = 0;
  ir::TensorId k = 0;
  ir::TensorId v = 0;
  ir::TensorId o = 0;
  ir::TensorId partial = ir::kNone;  // splits > 1
};
[[nodiscard]] ir::Program attention_program(const AttentionSpec& spec, const SpecTensors& tensors);

}  // namespace attnsim::test
