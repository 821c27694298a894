// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/table.h"

#include <array>

#include "workloads/families/tile_list.h"

namespace attnsim {

namespace {

constexpr std::array kFamilies{
    Family{"tile-list", "softmax attention over a list of KV tiles per query tile: dense, causal, windows", lower_tile_list},
};

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

}  // namespace attnsim
