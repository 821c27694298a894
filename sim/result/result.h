// SPDX-License-Identifier: Apache-2.0
// What a prediction is: a ladder of bounds, a simulated time and its reasons. Plain data; printers and the store read it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/result/chip_peaks.h"

namespace attnsim {

enum class Rung : std::uint8_t { flops, roofline, tile, schedule, simulated, measured };
inline constexpr std::size_t kRungCount = 6;
struct RungInfo {
  Rung rung;
  std::string_view name;
  std::string_view adds;
  std::string_view depends_on;
};
[[nodiscard]] std::span<const RungInfo> rungs();  // in ladder order

enum class Resource : std::uint8_t { tensor, fp32, alu, sfu, issue, smem, l2_port, l2, hbm, link };
inline constexpr std::size_t kResourceCount = 10;
[[nodiscard]] std::string_view name_of(Resource r);

// Work of one kernel or pipeline, after instruction selection.
struct WorkCounts {
  double tensor_flops = 0;         // padded
  double useful_tensor_flops = 0;  // valid extents and kept pairs only
  double narrow_tensor_flops = 0;  // useful ones x (1 - operand bits / 16): what narrow operands save of the matrix energy
  double exp_count = 0;            // padded
  double useful_exp_count = 0;
  double fp32_ops = 0;  // lane operations, FMA = 1
  double alu_ops = 0;
  double sfu_ops = 0;
  double warp_instructions = 0;
  double smem_bytes = 0;
  double l2_bytes = 0;   // SM <-> L2
  double hbm_bytes = 0;  // bounds: compulsory; simulated: moved
};

// Unclamped time of each rung, microseconds; absent when not computed.
struct Ladder {
  std::array<std::optional<double>, kRungCount> time_us;
  std::array<std::string, kRungCount> limiter;  // resource or cause that sets the rung
  [[nodiscard]] std::optional<double> at(Rung r) const { return time_us[static_cast<std::size_t>(r)]; }
};

// Every cycle of a resource has one reason; the entries of one resource sum to the kernel's cycles.
struct ResourceUse {
  Resource resource = Resource::tensor;
  double busy_fraction = 0;                     // of SMs x kernel time
  std::map<std::string, double> idle_fraction;  // reason -> fraction; busy + sum = 1
};

// What one CTA takes of an SM, and what the SM holds.
struct LaunchShape {
  int warps_per_cta = 0;
  int registers_per_thread = 0;  // largest of the agents
  double smem_per_cta_bytes = 0;
  int max_warps_per_sm = 0;
  int sms = 0;
};

struct KernelResult {
  std::string name;
  Ladder ladder;  // this kernel alone, without launch
  WorkCounts counts;
  std::vector<ResourceUse> resources;
  std::string limiter;   // resource with the largest busy fraction, or "latency"/"launch"
  double time_us = 0;    // simulated
  double launch_us = 0;  // gap before this kernel; negative where it starts while its predecessor drains
  double start_us = 0;   // in the pipeline, gap included; nodes of several streams may overlap
  std::int64_t items = 0;
  std::int64_t ctas = 0;
  int ctas_per_sm = 0;
  LaunchShape launch;
  double cycles = 0;             // SM cycles of the simulated time
  double resident_ctas = 0;      // per SM, mean over the cycles in which it has one
  double l2_written_bytes = 0;   // SM -> L2, part of counts.l2_bytes
  double hbm_written_bytes = 0;  // L2 -> HBM, part of counts.hbm_bytes
  double l2_hit_rate = 0;
  double spread = 0;          // relative half-range over start offsets
  bool extrapolated = false;  // some loop was not played to its end
};

struct Result {
  std::string workload;  // name in the config
  std::string variant;
  std::string schedule;
  std::string chip;
  Ladder ladder;  // whole pipeline, launches and harness included in simulated
  WorkCounts counts;
  std::vector<KernelResult> kernels;
  std::string bottleneck;
  std::map<std::string, double> harness_us;  // named parts of the simulated time
  double clock_mhz = 0;
  double energy_j = 0;
  double average_power_w = 0;
  ChipPeaks peaks;              // ceilings for the roofline chart
  std::string engine;           // "detailed" or "fast"
  std::string standing;         // "validated: 7.8 % on 143 rows (...)" or "unvalidated: ..."
  std::string model_hash;       // of code version and resolved chip, schedule, problem, conditions
  std::string resolved_config;  // canonical JSON of this workload
};

// One table of metrics feeds text, JSON, SQLite and charts.
struct MetricInfo {
  std::string_view name;
  std::string_view unit;
  std::string_view description;
  double (*get)(const Result&);  // NaN when absent
};
[[nodiscard]] std::span<const MetricInfo> metrics();

// Counters of one kernel under the names that NVIDIA Nsight Compute (ncu --metrics) gives them, where it counts the same thing.
struct CounterInfo {
  std::string_view name;
  std::string_view unit;  // as ncu prints it; "1" where it prints none
  std::string_view description;
  double (*get)(const KernelResult&);  // NaN when absent
};
[[nodiscard]] std::span<const CounterInfo> counters();

}  // namespace attnsim
