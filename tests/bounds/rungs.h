// SPDX-License-Identifier: Apache-2.0
// Rungs of a ladder as tests read them.
#pragma once

#include "sim/result/result.h"

namespace attnsim::test {

inline constexpr Rung kClosedForm[] = {Rung::flops, Rung::roofline, Rung::tile, Rung::schedule};
inline constexpr double kRounding = 1e-9;

inline double at(const Ladder& ladder, Rung rung) {
  return ladder.at(rung).value();
}

}  // namespace attnsim::test
