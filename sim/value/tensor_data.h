// SPDX-License-Identifier: Apache-2.0
// A global tensor with values: `slabs` row-major matrices of [rows x cols], as in ir::Tensor.
#pragma once

#include <cstdint>
#include <vector>

namespace attnsim::value {

struct TensorData {
  std::int64_t slabs = 1;
  std::int64_t rows = 1;
  std::int64_t cols = 1;
  std::vector<double> values;
  // >= 0: the values lie in that tensor, as ir::Tensor::same_memory says, and `values` is empty.
  std::int64_t same_memory = -1;

  TensorData() = default;
  TensorData(std::int64_t slab_count, std::int64_t row_count, std::int64_t col_count, double fill = 0)
      : slabs(slab_count), rows(row_count), cols(col_count), values(static_cast<std::size_t>(slab_count * row_count * col_count), fill) {}
  [[nodiscard]] double& at(std::int64_t slab, std::int64_t row, std::int64_t col) {
    return values.at(static_cast<std::size_t>((slab * rows + row) * cols + col));
  }
  [[nodiscard]] double at(std::int64_t slab, std::int64_t row, std::int64_t col) const {
    return values.at(static_cast<std::size_t>((slab * rows + row) * cols + col));
  }
};

}  // namespace attnsim::value
