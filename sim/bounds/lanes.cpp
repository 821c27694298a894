// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/bounds/work.h"

namespace attnsim::bounds {

namespace {

// exp2 as range reduction (add and subtract of a rounding constant), a cubic polynomial in Horner form (three FMAs) and one
// integer add into the exponent: the shortest form that keeps 16-bit accuracy.
constexpr double kExpFp32Ops = 5;
constexpr double kExpAluOps = 1;

LaneTime longest(double fp32, double alu, double sfu) {
  LaneTime time{fp32, Resource::fp32};
  if (alu > time.cycles) time = {alu, Resource::alu};
  if (sfu > time.cycles) time = {sfu, Resource::sfu};
  return time;
}

}  // namespace

LaneTime lane_time(const LaneCycles& lanes, const Chip& chip) {
  LaneTime best = longest(lanes.fp32, lanes.alu, lanes.sfu);
  if (!chip.sm.exp_on_fma || lanes.exp_sfu <= 0) return best;
  // One SFU cycle of exps moved to the lanes costs these cycles there. The longest of three lines is least at one of their
  // crossings or at an end.
  const double fp32_cost = kExpFp32Ops * chip.sm.sfu_lanes / chip.sm.fp32_lanes;
  const double alu_cost = kExpAluOps * chip.sm.sfu_lanes / chip.sm.alu_lanes;
  const double candidates[] = {lanes.exp_sfu, (lanes.sfu - lanes.fp32) / (1 + fp32_cost), (lanes.sfu - lanes.alu) / (1 + alu_cost)};
  for (const double candidate : candidates) {
    const double moved = std::clamp(candidate, 0.0, lanes.exp_sfu);
    const LaneTime time = longest(lanes.fp32 + moved * fp32_cost, lanes.alu + moved * alu_cost, lanes.sfu - moved);
    if (time.cycles < best.cycles) best = time;
  }
  return best;
}

}  // namespace attnsim::bounds
