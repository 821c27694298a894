// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/table.h"

#include <array>

#include "workloads/families/gemm.h"
#include "workloads/families/rowwise.h"
#include "workloads/families/tile_list.h"

namespace attnsim {

namespace {

constexpr std::array kFamilies{
    Family{"tile-list", "softmax attention over a list of KV tiles per query tile: dense, causal, windows", lower_tile_list},
    Family{"gemm", "matrix products in tiles, k split where a library would", lower_gemm},
    Family{"rowwise", "passes over the rows of a matrix: softmax, layer norm", lower_rowwise},
};

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

}  // namespace attnsim
