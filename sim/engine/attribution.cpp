// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/attribution.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/core/error.h"
#include "sim/core/units.h"

namespace attnsim {

namespace {

constexpr double kRelativeRounding = 1e-6;  // sums of doubles over millions of intervals

// Shares of one server's time.
ResourceUse shares(Resource resource, double busy, const std::vector<double>& idle, const std::vector<std::string>& reasons, double total) {
  ResourceUse use;
  use.resource = resource;
  use.busy_fraction = busy / total;
  double sum = use.busy_fraction;
  for (std::size_t i = 0; i < idle.size(); ++i) {
    if (idle[i] <= 0) continue;
    use.idle_fraction[reasons[i]] += idle[i] / total;
    sum += idle[i] / total;
  }
  require(std::abs(sum - 1) <= kRelativeRounding, "cycles of a resource and their reasons sum to the total");
  return use;
}

// Lanes work inside the vector unit's busy time; what it takes beyond is other lanes' turn. Address arithmetic of copies runs on the ALU
// beside it, in cycles that count as the reasons of an idle vector unit otherwise.
ResourceUse lane_shares(Resource resource, double demand_ticks, const Attribution& a, double total) {
  const auto v = static_cast<std::size_t>(Server::vector);
  std::vector<double> idle = a.idle_ticks[v];
  double beside = demand_ticks - a.busy_ticks[v];
  idle[static_cast<std::size_t>(Reason::other_lanes)] += std::max(0.0, -beside);
  while (beside > 0) {
    const auto largest = std::max_element(idle.begin(), idle.end());
    if (*largest <= 0) break;
    const double taken = std::min(*largest, beside);
    *largest -= taken;
    beside -= taken;
  }
  return shares(resource, demand_ticks - std::max(0.0, beside), idle, a.reasons, total);
}

}  // namespace

std::string_view name_of(Reason r) {
  constexpr std::array<std::string_view, kReasonCount> kNames{"dependency latency",
                                                              "tensor pipe busy",
                                                              "vector unit busy",
                                                              "issue slots busy",
                                                              "SMEM busy",
                                                              "CTA start",
                                                              "stores drain",
                                                              "CTA has no more work for it",
                                                              "CTA dispatch",
                                                              "no CTA left (tail)",
                                                              "L2 bandwidth",
                                                              "HBM bandwidth",
                                                              "rate of the SM's port",
                                                              "port serves L2 hits",
                                                              "read/write turnaround",
                                                              "other lanes' turn",
                                                              "SMEM issue gaps",
                                                              "kernel has no work for it"};
  return kNames.at(static_cast<std::size_t>(r));
}

std::vector<ResourceUse> attributed_use(const Attribution& a, double total_ticks, int sms, double smem_busy_ticks,
                                        const LaneDemand& demand) {
  const double all = total_ticks * sms;
  const auto of = [&](Server s) { return static_cast<std::size_t>(s); };
  const auto plain = [&](Resource resource, Server s, double total) {
    return shares(resource, a.busy_ticks[of(s)], a.idle_ticks[of(s)], a.reasons, total);
  };
  const auto ticks = static_cast<double>(kTicksPerCycle);
  std::vector<double> smem_idle = a.idle_ticks[of(Server::smem)];
  const double smem_held = a.busy_ticks[of(Server::smem)];
  const double smem_busy = std::min(smem_held, smem_busy_ticks);
  smem_idle[static_cast<std::size_t>(Reason::smem_gaps)] += smem_held - smem_busy;
  return {plain(Resource::tensor, Server::tensor, all),
          lane_shares(Resource::fp32, demand.fp32_cycles * ticks, a, all),
          lane_shares(Resource::alu, demand.alu_cycles * ticks, a, all),
          lane_shares(Resource::sfu, demand.sfu_cycles * ticks, a, all),
          plain(Resource::issue, Server::issue, all),
          shares(Resource::smem, smem_busy, smem_idle, a.reasons, all),
          plain(Resource::l2_port, Server::copy, all),
          plain(Resource::l2, Server::l2, total_ticks),
          plain(Resource::hbm, Server::hbm, total_ticks)};
}

}  // namespace attnsim
