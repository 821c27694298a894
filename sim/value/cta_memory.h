// SPDX-License-Identifier: Apache-2.0
// The real storage of one CTA: SMEM rings with their stages, aliases on top of the tile that they alias, views inside the tile that they
// show, register tiles. Starts as NaN, so that a value that was never written shows.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "sim/ir/program.h"

namespace attnsim::value {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Slot = Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;  // a view's rows are as far apart as those of its tile

class CtaMemory {
 public:
  explicit CtaMemory(const ir::Program& program);
  [[nodiscard]] Slot slot(ir::TileId tile, std::int64_t slot);

 private:
  const ir::Program* program_;
  std::vector<std::int64_t> offsets_;         // by tile, into its root's storage
  std::vector<std::vector<double>> storage_;  // by root tile
};

}  // namespace attnsim::value
