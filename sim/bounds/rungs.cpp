// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/rungs.h"

#include <algorithm>

#include "sim/core/error.h"

namespace attnsim::bounds {

namespace {

double us(double cycles, double clock_mhz) {
  return cycles / clock_mhz;
}

double l2_us(double bytes, const Chip& chip, double clock_mhz) {
  return us(bytes / chip.l2.bandwidth_bytes_per_clk, clock_mhz);
}

}  // namespace

void RungTime::raise(double other_us, std::string_view other_limiter) {
  if (limiter.empty() || other_us > us) {
    us = other_us;
    limiter = other_limiter;
  }
}

void RungWork::add(const KernelWork& other) {
  const auto add_lanes = [](LaneCycles& to, const LaneCycles& from) {
    to.fp32 += from.fp32;
    to.alu += from.alu;
    to.sfu += from.sfu;
    to.exp_sfu += from.exp_sfu;
  };
  WorkCounts& to = work.counts;
  const WorkCounts& from = other.counts;
  to.tensor_flops += from.tensor_flops;
  to.useful_tensor_flops += from.useful_tensor_flops;
  to.exp_count += from.exp_count;
  to.useful_exp_count += from.useful_exp_count;
  to.fp32_ops += from.fp32_ops;
  to.alu_ops += from.alu_ops;
  to.sfu_ops += from.sfu_ops;
  to.warp_instructions += from.warp_instructions;
  to.smem_bytes += from.smem_bytes;
  to.l2_bytes += from.l2_bytes;
  to.hbm_bytes += from.hbm_bytes;
  for (std::size_t s = 0; s < kServers; ++s) work.padded[s] += other.padded[s];
  add_lanes(work.padded_lanes, other.padded_lanes);
  add_lanes(work.useful_lanes, other.useful_lanes);
  work.useful_tensor_cycles += other.useful_tensor_cycles;
  work.has_mma = work.has_mma || other.has_mma;
  work.items += other.items;
}

double highest_clock_mhz(const Chip& chip, const Conditions& conditions) {
  return conditions.clock == ClockPolicy::locked ? conditions.locked_mhz : chip.clock.boost_mhz;
}

double hbm_us(double bytes, double gb_per_s) {
  return bytes / (gb_per_s * 1e3);
}

double link_us(double bytes, const Chip& chip) {
  if (bytes <= 0) return 0;
  double fastest = 0;
  for (const Link& link : chip.links) fastest = std::max(fastest, link.bandwidth_gb_per_s);
  if (fastest <= 0) throw SimError("chip " + chip.name + " has no link for a transfer");
  return hbm_us(bytes, fastest);
}

RungTime flops_rung(const RungWork& work, const Chip& chip, double clock_mhz) {
  const double sms = chip.sm.count;
  if (work.work.has_mma) return {us(work.work.useful_tensor_cycles / sms, clock_mhz), "tensor"};
  return {us(work.work.useful_lanes.fp32 / sms, clock_mhz), "fp32"};
}

RungTime roofline_rung(const RungWork& work, const Chip& chip, double clock_mhz) {
  const double sms = chip.sm.count;
  RungTime rung{us(work.work.useful_tensor_cycles / sms, clock_mhz), "tensor"};
  const LaneTime lanes = lane_time(work.work.useful_lanes, chip);
  rung.raise(us(lanes.cycles / sms, clock_mhz), name_of(lanes.limiter));
  rung.raise(l2_us(work.traffic.compulsory_bytes, chip, clock_mhz), name_of(Resource::l2));
  rung.raise(hbm_us(work.traffic.hbm_bytes, chip.hbm.bandwidth_gb_per_s), name_of(Resource::hbm));
  rung.raise(link_us(work.link_bytes, chip), name_of(Resource::link));
  return rung;
}

RungTime tile_rung(const RungWork& work, const Chip& chip, double clock_mhz) {
  const double sms = chip.sm.count;
  RungTime rung{us(work.work.padded[static_cast<std::size_t>(Server::tensor)] / sms, clock_mhz), "tensor"};
  const LaneTime lanes = lane_time(work.work.padded_lanes, chip);
  rung.raise(us(lanes.cycles / sms, clock_mhz), name_of(lanes.limiter));
  for (const Server server : {Server::issue, Server::smem, Server::l2_port}) {
    rung.raise(us(work.work.padded[static_cast<std::size_t>(server)] / sms, clock_mhz), name_of(server));
  }
  rung.raise(l2_us(work.work.counts.l2_bytes, chip, clock_mhz), name_of(Resource::l2));
  rung.raise(hbm_us(work.traffic.hbm_bytes, chip.hbm.bandwidth_gb_per_s), name_of(Resource::hbm));
  rung.raise(link_us(work.link_bytes, chip), name_of(Resource::link));
  return rung;
}

}  // namespace attnsim::bounds
