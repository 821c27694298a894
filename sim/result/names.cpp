// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "sim/core/error.h"
#include "sim/result/conditions.h"
#include "sim/result/result.h"

namespace attnsim {
namespace {

constexpr std::array<RungInfo, kRungCount> kRungs{{
    {Rung::flops, "flops", "all useful arithmetic at the fastest unit that can do it", "variant, shape, chip"},
    {Rung::roofline, "roofline", "every resource: tensor by dtype, FP32 and integer lanes, SFU, compulsory HBM bytes, links",
     "variant, shape, chip"},
    {Rung::tile, "tile", "tile quantisation, MMA padding, mask work, re-read L2 and SMEM traffic", "variant, shape, chip, schedule"},
    {Rung::schedule, "schedule", "items on SMs: occupancy, waves, imbalance, kernel boundaries, launches",
     "variant, shape, chip, schedule"},
    {Rung::simulated, "simulated", "dependences, latencies, issue, overlap, L2 hits, contention, clock",
     "variant, shape, chip, schedule, conditions"},
    {Rung::measured, "measured", "a real kernel's timing, where one exists", "hardware"},
}};

constexpr std::array<std::string_view, kResourceCount> kResources{"tensor", "fp32",    "alu", "sfu", "issue",
                                                                  "smem",   "l2_port", "l2",  "hbm", "link"};

}  // namespace

std::span<const RungInfo> rungs() {
  return kRungs;
}

std::string_view name_of(ExtraKernel kernel) {
  return kernel == ExtraKernel::kv_cache_write ? "kv_cache_write" : "add_gradients";
}

std::string_view name_of(Resource r) {
  const auto index = static_cast<std::size_t>(r);
  require(index < kResourceCount, "resource outside its table");
  return kResources[index];
}

}  // namespace attnsim
