// SPDX-License-Identifier: Apache-2.0
// Names as `ncu --query-metrics` prints them for sm_80 to sm_120. The tensor pipe's counter covers mma, wgmma and tcgen05: all of them
// run on the sub-partitions' matrix units (sm__pipe_tc_... counts the tcgen05 controller alone).
#include <algorithm>
#include <array>
#include <cmath>

#include "sim/result/ratio.h"
#include "sim/result/result.h"

namespace attnsim {
namespace {

constexpr double kLanesPerWarp = 32;
constexpr double kSectorBytes = 32;
constexpr int kThreadsPerWarp = 32;

double percent_busy(const KernelResult& k, Resource resource) {
  const auto use = std::ranges::find(k.resources, resource, &ResourceUse::resource);
  return use == k.resources.end() ? kAbsent : 100 * use->busy_fraction;
}

template <Resource R>
double percent_busy_of(const KernelResult& k) {
  return percent_busy(k, R);
}

// ncu's throughput of a unit is the highest share among its pipes.
double sm_throughput(const KernelResult& k) {
  double highest = kAbsent;
  for (const Resource r : {Resource::tensor, Resource::fp32, Resource::alu, Resource::sfu, Resource::issue})
    highest = std::fmax(highest, percent_busy(k, r));
  return highest;
}

double memory_throughput(const KernelResult& k) {
  double highest = kAbsent;
  for (const Resource r : {Resource::smem, Resource::l2_port, Resource::l2, Resource::hbm})
    highest = std::fmax(highest, percent_busy(k, r));
  return highest;
}

template <double WorkCounts::*Lanes>
double warp_instructions(const KernelResult& k) {
  return k.counts.*Lanes / kLanesPerWarp;
}

double warps(const KernelResult& k, double ctas) {
  return 100 * ratio(ctas * k.launch.warps_per_cta, k.launch.max_warps_per_sm);
}

double waves(const KernelResult& k) {
  return ratio(static_cast<double>(k.ctas), static_cast<double>(k.launch.sms) * k.ctas_per_sm);
}

// clang-format off
constexpr std::array kCounters = std::to_array<CounterInfo>({
    {"gpu__time_duration.sum", "nsecond", "time of the kernel, launch excluded", [](const KernelResult& k) { return k.time_us * 1e3; }},
    {"sm__cycles_elapsed.max", "cycle", "SM cycles of the kernel", [](const KernelResult& k) { return ratio(k.cycles, 1); }},
    {"sm__throughput.avg.pct_of_peak_sustained_elapsed", "%", "busiest of the SM's pipes and its issue slots", sm_throughput},
    {"gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed", "%", "busiest of SMEM, the SM's port, L2, HBM", memory_throughput},
    {"sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed", "%", "matrix unit busy", percent_busy_of<Resource::tensor>},
    {"sm__pipe_fma_cycles_active.avg.pct_of_peak_sustained_elapsed", "%", "FP32 lanes busy", percent_busy_of<Resource::fp32>},
    {"sm__pipe_alu_cycles_active.avg.pct_of_peak_sustained_elapsed", "%", "integer, compare and select lanes busy", percent_busy_of<Resource::alu>},
    {"sm__pipe_xu_cycles_active.avg.pct_of_peak_sustained_elapsed", "%", "special-function unit busy", percent_busy_of<Resource::sfu>},
    {"sm__issue_active.avg.pct_of_peak_sustained_elapsed", "%", "issue slots busy", percent_busy_of<Resource::issue>},
    {"sm__inst_executed.sum", "inst", "warp instructions", [](const KernelResult& k) { return k.counts.warp_instructions; }},
    {"smsp__inst_executed_pipe_fma.sum", "inst", "warp instructions on the FP32 lanes", warp_instructions<&WorkCounts::fp32_ops>},
    {"smsp__inst_executed_pipe_alu.sum", "inst", "warp instructions on the integer lanes", warp_instructions<&WorkCounts::alu_ops>},
    {"smsp__inst_executed_pipe_xu.sum", "inst", "warp instructions on the special-function unit", warp_instructions<&WorkCounts::sfu_ops>},
    {"l1tex__m_xbar2l1tex_read_bytes.sum", "byte", "bytes from L2 into the SMs", [](const KernelResult& k) { return k.counts.l2_bytes - k.l2_written_bytes; }},
    {"l1tex__m_l1tex2xbar_write_bytes.sum", "byte", "bytes from the SMs into L2", [](const KernelResult& k) { return k.l2_written_bytes; }},
    {"lts__t_sectors.sum", "sector", "32-byte sectors that L2 served to the SMs", [](const KernelResult& k) { return k.counts.l2_bytes / kSectorBytes; }},
    {"lts__t_sector_hit_rate.pct", "%", "loaded bytes that hit L2", [](const KernelResult& k) { return 100 * k.l2_hit_rate; }},
    {"lts__throughput.avg.pct_of_peak_sustained_elapsed", "%", "L2 bandwidth busy", percent_busy_of<Resource::l2>},
    {"dram__bytes_read.sum", "byte", "bytes from HBM into L2", [](const KernelResult& k) { return k.counts.hbm_bytes - k.hbm_written_bytes; }},
    {"dram__bytes_write.sum", "byte", "bytes written back from L2 to HBM", [](const KernelResult& k) { return k.hbm_written_bytes; }},
    {"dram__throughput.avg.pct_of_peak_sustained_elapsed", "%", "HBM's sustained bandwidth busy (ncu: of the peak)", percent_busy_of<Resource::hbm>},
    {"sm__warps_active.avg.pct_of_peak_sustained_active", "%", "achieved occupancy", [](const KernelResult& k) { return warps(k, k.resident_ctas); }},
    {"sm__maximum_warps_per_active_cycle_pct", "%", "theoretical occupancy", [](const KernelResult& k) { return warps(k, k.ctas_per_sm); }},
    {"launch__grid_size", "1", "CTAs", [](const KernelResult& k) { return static_cast<double>(k.ctas); }},
    {"launch__block_size", "1", "threads per CTA", [](const KernelResult& k) { return static_cast<double>(k.launch.warps_per_cta * kThreadsPerWarp); }},
    {"launch__registers_per_thread", "register/thread", "largest of the CTA's agents", [](const KernelResult& k) { return static_cast<double>(k.launch.registers_per_thread); }},
    {"launch__shared_mem_per_block", "byte/block", "SMEM of one CTA", [](const KernelResult& k) { return k.launch.smem_per_cta_bytes; }},
    {"launch__waves_per_multiprocessor", "1", "CTAs over the CTAs that fit the chip at once", waves},
});
// clang-format on

}  // namespace

std::span<const CounterInfo> counters() {
  return kCounters;
}

}  // namespace attnsim
