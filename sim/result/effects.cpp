// SPDX-License-Identifier: Apache-2.0
#include "sim/result/conditions.h"

namespace attnsim {

const std::vector<Effect>& effects() {
  static const std::vector<Effect> kEffects{
      {"l2_contention", "off: SMs do not share L2 and HBM bandwidth; each runs as if it were alone on the chip"},
      {"l2_hits", "off: every load misses L2 and reads HBM"},
      {"hbm_bandwidth", "off: HBM is as wide as it needs to be; only its latency counts"},
      {"hbm_efficiency", "off: HBM sustains its peak bandwidth"},
      {"hbm_turnaround", "off: a byte written back costs HBM what a byte read costs"},
      {"hbm_latency", "off: a load that misses L2 has the latency of one that hits"},
      {"l2_capacity", "off: L2 holds every byte that was touched once; only first touches read HBM"},
      {"l2_port", "off: the ports between L2 and the SMs are as wide as they need to be"},
      {"load_latency", "off: loads and copies take their transfer time only, no L2, HBM or copy-engine latency"},
      {"dependent_latency", "off: the result of a chain or MMA is ready when its last instruction issues"},
      {"chain_overlap", "off: a chain of element-wise ops takes the maximum of its pipes' times, not partly their sum"},
      {"sync_overlap", "off: mma.sync and the element-wise chains of other warps run side by side at full rate"},
      {"smem_bandwidth", "off: SMEM serves any number of bytes per cycle"},
      {"smem_efficiency", "off: SMEM sustains its peak bandwidth"},
      {"tensor_efficiency", "off: matrix units run at their peak rate inside a loop"},
      {"issue", "off: the SM issues any number of warp instructions per cycle"},
      {"start_offsets", "off: the agents of every SM start together; a run is one phase, not a mean over four"},
      {"waves", "off: items spread evenly over the SMs, with no tail, no last wave and no imbalance"},
      {"launch", "off: kernel launches and the gaps between kernels of a stream take no time"},
      {"clock", "off: the SM clock is the chip's highest, whatever the policy and the power cap say"},
      {"mask_cost", "off: masked tiles cost what unmasked tiles cost; their mask ops are free"},
      {"multicast", "off: CTAs of a cluster fetch the tiles that they share each for itself"},
      {"cta_start", "off: CTAs start and end at once and dispatch is unlimited"},
  };
  return kEffects;
}

}  // namespace attnsim
