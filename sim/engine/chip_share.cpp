// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/chip_share.h"

#include <algorithm>

#include "sim/core/error.h"

namespace attnsim {

namespace {

// Bandwidth of a resource whose limit is switched off: far above any demand, still finite.
constexpr double kUnlimitedBytesPerCycle = 1e9;

constexpr double kUnlimitedMib = 1e9;
constexpr double kUnlimitedPerCycle = 1e9;

}  // namespace

Chip without_effects(Chip chip, const Conditions& conditions) {
  if (!has_effect(conditions, "hbm_efficiency")) chip.hbm.efficiency = 1;
  if (!has_effect(conditions, "hbm_turnaround")) chip.hbm.write_cost = chip.hbm.scattered_write_cost = 1;
  if (!has_effect(conditions, "hbm_latency")) chip.latency.hbm_ns = 0;
  if (!has_effect(conditions, "l2_capacity")) chip.l2.capacity_mib = kUnlimitedMib;
  if (!has_effect(conditions, "l2_port")) chip.sm.l2_port_bytes_per_clk = kUnlimitedBytesPerCycle;
  if (!has_effect(conditions, "sync_overlap")) chip.vector.sync_overlap = 1;
  if (!has_effect(conditions, "smem_efficiency")) chip.sm.smem_efficiency = 1;
  if (!has_effect(conditions, "tensor_efficiency")) chip.tensor.efficiency = 1;
  if (!has_effect(conditions, "issue")) chip.sm.issue_per_clk = kUnlimitedPerCycle;
  return chip;
}

int ctas_per_sm(const ir::Kernel& kernel, const Chip& chip) {
  ir::SmLimits limits;
  limits.smem_bytes = static_cast<std::int64_t>(chip.sm.smem_kib * 1024);
  limits.tmem_bytes = static_cast<std::int64_t>(chip.sm.tmem_kib * 1024);
  limits.registers = static_cast<std::int64_t>(chip.sm.registers_kib * 1024) / 4;
  limits.threads = chip.sm.max_threads;
  limits.ctas = chip.sm.max_ctas;
  const int ctas = ir::occupancy(kernel.program, limits);
  if (ctas < 1) throw SimError("kernel " + kernel.name + " does not fit on an SM of " + chip.name);
  return ctas;
}

namespace {

// Pieces whose address translation the chip does not hold come one after another.
double translated_bytes_per_cycle(const ir::Scatter& scatter, const Chip& chip, double clock_mhz) {
  constexpr double kGib = 1024.0 * 1024 * 1024;
  const double held = chip.hbm.translated_gib * kGib;
  if (scatter.piece_bytes <= 0 || held <= 0 || scatter.spread_bytes <= held || chip.hbm.translation_ns <= 0) return kUnlimitedBytesPerCycle;
  const double missing = 1 - held / scatter.spread_bytes;
  return per_cycle(GigabytesPerSecond(scatter.piece_bytes / (missing * chip.hbm.translation_ns)), Megahertz(clock_mhz)).count();
}

double requested_bytes_per_cycle(const ir::Kernel& kernel, const Chip& chip) {
  if (kernel.request_bytes == 0 || chip.sm.l2_requests_per_clk <= 0) return kUnlimitedBytesPerCycle;
  return kernel.request_bytes * chip.sm.l2_requests_per_clk;
}

}  // namespace

MachineConfig whole_chip(const ir::Kernel& kernel, const Chip& chip, const Conditions& conditions, double clock_mhz) {
  MachineConfig config;
  config.sms = chip.sm.count;
  config.ctas_per_sm = ctas_per_sm(kernel, chip);
  config.gpcs = chip.sm.gpcs;
  config.clock_mhz = clock_mhz;
  const auto per_tick = [](double bytes_per_cycle) { return bytes_per_cycle / static_cast<double>(kTicksPerCycle); };
  const double sustained = per_cycle(GigabytesPerSecond(chip.hbm.bandwidth_gb_per_s * chip.hbm.efficiency), Megahertz(clock_mhz)).count();
  const double hbm = std::min(sustained, translated_bytes_per_cycle(kernel.scatter, chip, clock_mhz));
  config.rates.port = per_tick(std::min(chip.sm.l2_port_bytes_per_clk, requested_bytes_per_cycle(kernel, chip)));
  config.rates.l2 = per_tick(has_effect(conditions, "l2_contention") ? chip.l2.bandwidth_bytes_per_clk : kUnlimitedBytesPerCycle);
  config.rates.hbm = per_tick(has_effect(conditions, "hbm_bandwidth") ? hbm : kUnlimitedBytesPerCycle);
  config.hbm_write_cost = kernel.scattered_writes ? chip.hbm.scattered_write_cost : chip.hbm.write_cost;
  config.load_latency = has_effect(conditions, "load_latency");
  config.dependent_latency = has_effect(conditions, "dependent_latency");
  config.smem_bandwidth = has_effect(conditions, "smem_bandwidth");
  config.chain_overlap = has_effect(conditions, "chain_overlap");
  config.mask_cost = has_effect(conditions, "mask_cost");
  config.multicast = has_effect(conditions, "multicast");
  config.rates.receivers = config.multicast ? std::max(1, kernel.grid.cluster) : 1;
  config.cta_start = has_effect(conditions, "cta_start");
  config.start_offsets = has_effect(conditions, "start_offsets");
  return config;
}

}  // namespace attnsim
