// SPDX-License-Identifier: Apache-2.0
// Which elements of the global tensors a kernel touches, as unions: what must move at least once however often it is re-read.
//   32 heads, causal, two heads per KV head: K is touched on 16 slabs, rows 0 .. kv_len, once
#pragma once

#include <cstdint>
#include <vector>

#include "sim/ir/pipeline.h"

namespace attnsim::bounds {

struct Interval {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
// Rows x [0, width) of the slabs first, first + step, ... (count of them).
struct TouchedBlock {
  std::int64_t first_slab = 0;
  std::int64_t slab_count = 1;
  std::int64_t slab_step = 1;
  std::int64_t width = 0;
  std::vector<Interval> rows;  // sorted, disjoint
};
struct TensorTouch {
  std::vector<TouchedBlock> read;
  std::vector<TouchedBlock> written;
};

// By tensor id. Never expands items over slabs: cost grows with row tiles and runs.
[[nodiscard]] std::vector<TensorTouch> touched_by(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors);

// Bytes in the union of the blocks. Very many slabs under different strides are not merged: the larger group counts.
[[nodiscard]] double union_bytes(const std::vector<TouchedBlock>& blocks, const ir::Tensor& tensor);

[[nodiscard]] std::vector<Interval> merged(std::vector<Interval> intervals);

}  // namespace attnsim::bounds
