// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "workloads/families/gemm.h"
#include "workloads/families/tile_list.h"
#include "workloads/masks/integer.h"

namespace attnsim {

namespace {

double element_bytes(ir::DType dtype) {
  return ir::bits_of(dtype) / 8.0;
}

// Bytes of A and B that one CTA takes from L2 per trip.
double trip_bytes(const GemmPlan& plan) {
  const double a = static_cast<double>(std::min<std::int64_t>(plan.tile.tile_m, plan.m)) / (plan.shares_b ? 1 : plan.cluster);
  const double b = static_cast<double>(plan.width) / (plan.shares_b ? plan.cluster : 1);
  return (a + b) * plan.tile.tile_k * element_bytes(plan.dtype);
}

// SMEM bytes per trip: what arrives, and what the matrix instructions read (padding included).
double smem_bytes(const GemmPlan& plan, const Schedule& schedule, int warps) {
  const bool async = ir::is_async(schedule.mma);
  const double b_part = plan.tile.pair && plan.shares_b ? 0.5 : 1;
  const double a_readers = async ? 1 : plan.tile.warp_columns;
  const double b_readers = async ? plan.tile.consumers * b_part : std::max(1, warps / plan.tile.warp_columns);
  const double arriving = static_cast<double>(std::min<std::int64_t>(plan.tile.tile_m, plan.m)) + b_part * plan.width;
  return (arriving + a_readers * plan.tile.tile_m + b_readers * plan.tile.tile_n) * plan.tile.tile_k * element_bytes(plan.dtype);
}

double hbm_bytes_per_cycle(const Chip& chip) {
  return per_cycle(GigabytesPerSecond(chip.hbm.bandwidth_gb_per_s * chip.hbm.efficiency), Megahertz(chip.clock.boost_mhz)).count();
}

std::int64_t resident_ctas(const GemmPlan& plan, const Schedule& schedule, const Chip& chip) {
  ir::SmLimits limits;
  limits.smem_bytes = static_cast<std::int64_t>(chip.sm.smem_kib * 1024);
  limits.tmem_bytes = static_cast<std::int64_t>(chip.sm.tmem_kib * 1024);
  limits.registers = static_cast<std::int64_t>(chip.sm.registers_kib * 1024) / 4;
  limits.threads = chip.sm.max_threads;
  limits.ctas = chip.sm.max_ctas;
  const ir::Program program = gemm_program(plan, schedule, {0, 1, 2, 3});
  if (static_cast<double>(program.smem_bytes()) > chip.sm.smem_per_cta_kib * 1024) return 0;
  return ir::occupancy(program, limits);
}

bool applies(const GemmTile& tile, const Problem& problem) {
  const auto within = [](std::int64_t value, int least, int most) { return value >= least && (most == 0 || value <= most); };
  return within(problem.m, tile.rows_min, tile.rows_max) && within(problem.n, tile.columns_min, tile.columns_max);
}

}  // namespace

GemmPlan plan_gemm(const Problem& problem, const GemmTile& tile, std::int64_t splits, bool transposed) {
  GemmPlan plan;
  plan.tile = tile;
  plan.transposed = transposed;
  plan.m = transposed ? problem.n : problem.m;
  plan.n = transposed ? problem.m : problem.n;
  plan.k = problem.k;
  plan.dtype = problem.dtype;
  plan.out = problem.dtype == ir::DType::f8 ? ir::DType::bf16 : problem.dtype;
  plan.row_tiles = ceil_div(plan.m, tile.tile_m);
  plan.panels = ceil_div(plan.n, tile.tile_n);
  plan.width = static_cast<int>(ceil_div(plan.n, plan.panels));
  plan.trips = ceil_div(problem.k, tile.tile_k);
  plan.splits = std::min(splits, plan.trips);
  const bool along_m = tile.cluster_m > 1 && plan.row_tiles > 1;
  const bool along_n = tile.cluster_n > 1 && plan.panels % tile.cluster_n == 0;
  plan.cluster = along_m ? tile.cluster_m : along_n ? tile.cluster_n : 1;
  plan.shares_b = along_m;
  if (along_m) plan.row_tiles = ceil_div(plan.row_tiles, plan.cluster) * plan.cluster;  // the last CTAs may have no rows
  return plan;
}

double estimate_gemm(const GemmPlan& plan, const Schedule& schedule, const Chip& chip) {
  const std::int64_t resident = resident_ctas(plan, schedule, chip);
  if (resident == 0) return std::numeric_limits<double>::infinity();
  const auto sms = static_cast<double>(chip.sm.count);
  const double rate = chip.tensor_flop_per_clk(std::string(ir::name_of(plan.dtype))) * chip.tensor.efficiency;
  const double trips = std::ceil(static_cast<double>(plan.trips) / static_cast<double>(plan.splits));
  const auto items = static_cast<double>(plan.row_tiles * plan.panels * plan.splits);
  const double mma = 2.0 * plan.tile.tile_m * plan.tile.tile_n * plan.tile.tile_k / rate;
  const double latency = chip.latency.l2_cycles + chip.latency.copy_engine_cycles + chip.latency.hbm_ns * chip.clock.boost_mhz * 1e-3;
  const double stored = static_cast<double>(plan.tile.tile_m) * plan.width * (plan.splits > 1 ? 4.0 : element_bytes(plan.out));
  const int warps = plan.tile.warps > 0 ? plan.tile.warps : schedule.agents.back().warps;
  const double smem = smem_bytes(plan, schedule, warps) / (chip.sm.smem_bytes_per_clk * chip.sm.smem_efficiency);
  // Warps that feed their matrix unit themselves wait for each other, for their operands and for the last product in every trip.
  const double waits =
      ir::is_async(schedule.mma) ? 0 : chip.latency.barrier_cycles + chip.latency.smem_cycles + chip.latency.mma_sync_cycles;
  // Time of a round of `ctas` CTAs on the fullest SM, `active` SMs busy.
  const auto round = [&](double ctas, double active) {
    const double port = std::min(chip.sm.l2_port_bytes_per_clk, chip.l2.bandwidth_bytes_per_clk / active);
    const double trip = std::max(
        {ctas * mma, ctas * smem, ctas * trip_bytes(plan) / port, (latency + mma) / plan.tile.stages, waits + std::max(mma, smem)});
    return chip.launch.cta_start_cycles + latency + trips * trip + ctas * stored / port + chip.latency.l2_cycles;
  };
  const double slots = sms * static_cast<double>(resident);
  const double full = std::floor(items / slots);
  const double rest = items - full * slots;
  double cycles = full * round(static_cast<double>(resident), sms);
  if (rest > 0) cycles += round(std::ceil(rest / sms), std::min(rest, sms));
  const double operands =
      static_cast<double>(plan.m) * static_cast<double>(plan.k) + static_cast<double>(plan.k) * static_cast<double>(plan.n);
  const double moved = operands * element_bytes(plan.dtype) + static_cast<double>(plan.m * plan.n) * element_bytes(plan.out);
  cycles = std::max(cycles, latency + moved / hbm_bytes_per_cycle(chip));
  if (plan.splits > 1) {
    const double partial = static_cast<double>(plan.m * plan.n) * static_cast<double>(plan.splits) * 4;
    cycles += chip.launch.dependent_kernel_us * chip.clock.boost_mhz + chip.launch.cta_start_cycles +
              static_cast<double>(plan.splits + 1) * chip.latency.l2_cycles + partial / chip.l2.bandwidth_bytes_per_clk;
  }
  return cycles;
}

GemmPlan choose_gemm(const Problem& problem, const Schedule& schedule, const Chip& chip) {
  double best_cycles = std::numeric_limits<double>::infinity();
  std::optional<GemmPlan> best;
  for (const GemmTile& tile : schedule.gemm.tiles) {
    if (!applies(tile, problem)) continue;
    for (const int splits : schedule.gemm.splits) {
      for (const bool transposed : {false, true}) {
        if (transposed ? !schedule.gemm.transposes && !tile.transposed : tile.transposed) continue;
        const GemmPlan plan = plan_gemm(problem, tile, splits, transposed);
        if (plan.splits != splits || (tile.pair && plan.cluster == 1)) continue;
        const double cycles = estimate_gemm(plan, schedule, chip);
        if (cycles >= best_cycles) continue;
        best_cycles = cycles;
        best = plan;
      }
    }
  }
  if (!best) {
    illegal("/schedule", schedule.name, fmt::format("has no tile that fits {}", chip.name),
            fmt::format("up to {:.0f} KiB of SMEM per CTA", chip.sm.smem_per_cta_kib));
  }
  return *best;
}

}  // namespace attnsim
