// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>

#include "sim/result/ratio.h"
#include "sim/result/result.h"

namespace attnsim {
namespace {

constexpr double kMicroPerSecond = 1e6;

template <Rung R>
double time_of(const Result& r) {
  return r.ladder.at(R).value_or(kAbsent);
}

// What a named loss costs: the rung minus the one below it.
template <Rung R>
double loss_of(const Result& r) {
  return time_of<R>(r) - r.ladder.time_us[static_cast<std::size_t>(R) - 1].value_or(kAbsent);
}

double best_time(const Result& r) {
  return r.ladder.at(Rung::measured).value_or(time_of<Rung::simulated>(r));
}

template <Resource R>
double busy(const Result& r) {
  double weighted = 0, weight = 0;
  for (const KernelResult& k : r.kernels) {
    const auto use = std::ranges::find(k.resources, R, &ResourceUse::resource);
    if (use == k.resources.end()) continue;
    weighted += use->busy_fraction * k.time_us;
    weight += k.time_us;
  }
  return ratio(weighted, weight);
}

template <double WorkCounts::*Count>
double count_of(const Result& r) {
  return r.counts.*Count;
}

template <double WorkCounts::*Part, double WorkCounts::*Whole>
double part_of(const Result& r) {
  return ratio(r.counts.*Part, r.counts.*Whole);
}

template <double WorkCounts::*Count, int Exponent>
double rate_of(const Result& r) {
  double scale = kMicroPerSecond;
  for (int i = 0; i < Exponent; ++i) scale /= 10;
  return ratio(r.counts.*Count, time_of<Rung::simulated>(r)) * scale;
}

template <auto Member>
double sum_of(const Result& r) {
  double sum = 0;
  for (const KernelResult& k : r.kernels) sum += static_cast<double>(k.*Member);
  return sum;
}

double harness_time(const Result& r) {
  double sum = 0;
  for (const auto& [name, us] : r.harness_us) sum += us;
  return sum;
}

double l2_hit_rate(const Result& r) {
  double hits = 0, bytes = 0;
  for (const KernelResult& k : r.kernels) {
    hits += k.l2_hit_rate * k.counts.l2_bytes;
    bytes += k.counts.l2_bytes;
  }
  return ratio(hits, bytes);
}

double largest_spread(const Result& r) {
  double largest = 0;
  for (const KernelResult& k : r.kernels) largest = std::max(largest, k.spread);
  return largest;
}

double present(double value) {
  return value > 0 ? value : kAbsent;
}

using W = WorkCounts;
constexpr std::array kMetrics = std::to_array<MetricInfo>({
    {"time_flops_us", "us", "time of rung flops: useful arithmetic at the fastest unit", time_of<Rung::flops>},
    {"time_roofline_us", "us", "time of rung roofline: every resource, compulsory bytes", time_of<Rung::roofline>},
    {"time_tile_us", "us", "time of rung tile: with tile padding, mask work and re-reads", time_of<Rung::tile>},
    {"time_schedule_us", "us", "time of rung schedule: with waves, imbalance and launches", time_of<Rung::schedule>},
    {"time_simulated_us", "us", "time of rung simulated: launches and harness included", time_of<Rung::simulated>},
    {"time_measured_us", "us", "a real kernel's time, where one is known", time_of<Rung::measured>},
    {"best_time_us", "us", "measured time if there is one, else simulated: the baseline's part of a bound", best_time},
    {"loss_roofline_us", "us", "roofline minus flops: other resources than the fastest unit", loss_of<Rung::roofline>},
    {"loss_tile_us", "us", "tile minus roofline: padding, masks, re-reads", loss_of<Rung::tile>},
    {"loss_schedule_us", "us", "schedule minus tile: waves, imbalance, kernel boundaries", loss_of<Rung::schedule>},
    {"loss_simulated_us", "us", "simulated minus schedule: latencies, issue, overlap, contention, clock", loss_of<Rung::simulated>},
    {"harness_us", "us", "constant and extra kernels of the harness inside the simulated time", harness_time},
    {"launch_us", "us", "gaps before kernels inside the simulated time", sum_of<&KernelResult::launch_us>},
    {"busy_tensor", "1", "busy share of the tensor pipes, mean over SMs and kernel time", busy<Resource::tensor>},
    {"busy_fp32", "1", "busy share of the FP32 lanes", busy<Resource::fp32>},
    {"busy_alu", "1", "busy share of the integer and compare lanes", busy<Resource::alu>},
    {"busy_sfu", "1", "busy share of the special-function units (exp2, log2, reciprocal)", busy<Resource::sfu>},
    {"busy_issue", "1", "busy share of the warp-instruction issue ports", busy<Resource::issue>},
    {"busy_smem", "1", "busy share of SMEM bandwidth", busy<Resource::smem>},
    {"busy_l2_port", "1", "busy share of the ports between L2 and the SMs", busy<Resource::l2_port>},
    {"busy_l2", "1", "busy share of L2 bandwidth", busy<Resource::l2>},
    {"busy_hbm", "1", "busy share of HBM bandwidth", busy<Resource::hbm>},
    {"busy_link", "1", "busy share of links to other chips", busy<Resource::link>},
    {"tensor_flops", "FLOP", "matrix work, tiles padded", count_of<&W::tensor_flops>},
    {"useful_tensor_flops", "FLOP", "matrix work of kept pairs and valid extents", count_of<&W::useful_tensor_flops>},
    {"useful_tensor_share", "1", "useful over padded matrix work", part_of<&W::useful_tensor_flops, &W::tensor_flops>},
    {"exp_count", "1", "exponentials, tiles padded", count_of<&W::exp_count>},
    {"useful_exp_count", "1", "exponentials of kept pairs", count_of<&W::useful_exp_count>},
    {"fp32_ops", "1", "FP32 lane operations, FMA = 1", count_of<&W::fp32_ops>},
    {"alu_ops", "1", "integer, compare, select and convert lane operations", count_of<&W::alu_ops>},
    {"sfu_ops", "1", "special-function lane operations", count_of<&W::sfu_ops>},
    {"warp_instructions", "1", "issued warp instructions", count_of<&W::warp_instructions>},
    {"smem_bytes", "B", "bytes between SMEM and the SM's units", count_of<&W::smem_bytes>},
    {"l2_bytes", "B", "bytes between L2 and the SMs", count_of<&W::l2_bytes>},
    {"hbm_bytes", "B", "bytes between HBM and L2", count_of<&W::hbm_bytes>},
    {"hbm_intensity_flop_per_b", "FLOP/B", "matrix work per HBM byte", part_of<&W::tensor_flops, &W::hbm_bytes>},
    {"l2_intensity_flop_per_b", "FLOP/B", "matrix work per L2 byte", part_of<&W::tensor_flops, &W::l2_bytes>},
    {"smem_intensity_flop_per_b", "FLOP/B", "matrix work per SMEM byte", part_of<&W::tensor_flops, &W::smem_bytes>},
    {"tensor_tflop_per_s", "TFLOP/s", "padded matrix work over simulated time", rate_of<&W::tensor_flops, 12>},
    {"useful_tensor_tflop_per_s", "TFLOP/s", "useful matrix work over simulated time", rate_of<&W::useful_tensor_flops, 12>},
    {"hbm_gb_per_s", "GB/s", "HBM bytes over simulated time", rate_of<&W::hbm_bytes, 9>},
    {"l2_hit_rate", "1", "share of L2 bytes that hit, mean over kernels by bytes", l2_hit_rate},
    {"clock_mhz", "MHz", "SM clock of the simulated time", [](const Result& r) { return present(r.clock_mhz); }},
    {"energy_j", "J", "energy of the simulated time", [](const Result& r) { return present(r.energy_j); }},
    {"average_power_w", "W", "energy over simulated time", [](const Result& r) { return present(r.average_power_w); }},
    {"items", "1", "work items of all kernels", sum_of<&KernelResult::items>},
    {"ctas", "1", "CTAs of all kernels", sum_of<&KernelResult::ctas>},
    {"kernels", "1", "kernels of the pipeline, the harness's included",
     [](const Result& r) { return static_cast<double>(r.kernels.size()); }},
    {"spread", "1", "largest relative half-range of a kernel over start offsets", largest_spread},
});

}  // namespace

std::span<const MetricInfo> metrics() {
  return kMetrics;
}

}  // namespace attnsim
