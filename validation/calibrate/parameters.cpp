// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/parameters.h"

#include <algorithm>
#include <array>

#include "hwmodels/figures.h"
#include "sim/core/json_reader.h"
#include "sim/core/json_text.h"

namespace attnsim {

namespace {

constexpr bool kChip = false;
constexpr bool kHarness = true;
constexpr bool kAbsolute = false;
constexpr bool kRelative = true;
constexpr std::string_view kHostPrefix = "host_us.";

// clang-format off
constexpr std::array kParameters = {
    FitParameter{"launch.cta_start_cycles", "cycles", kChip, kAbsolute, 100, 8000, "dispatch, set-up and drain of a CTA",
                 "an empty CTA needs some hundred cycles; beyond 8000 a whole short kernel would be start-up"},
    FitParameter{"launch.dependent_kernel_us", "us", kChip, kAbsolute, 0.05, 5, "gap before a dependent kernel of a graph",
                 "graph nodes follow each other within 0.5 to 3 us in published traces"},
    FitParameter{"launch.kernel_us", "us", kChip, kAbsolute, 0.5, 12, "launch of a kernel alone",
                 "empty kernels take 2 to 6 us by events in published microbenchmarks"},
    FitParameter{"latency.l2_cycles", "cycles", kChip, kAbsolute, 150, 1200, "load-to-use latency of an L2 hit in a busy kernel",
                 "idle pointer chases give 200 to 300 cycles, far partitions 360 to 415; queueing adds to it"},
    FitParameter{"latency.hbm_ns", "ns", kChip, kAbsolute, 100, 1500, "an L2 miss beyond a hit",
                 "idle pointer chases give 90 to 270 ns beyond L2; loaded latencies reach 1 us (B200 TMA: 1014 ns in all)"},
    FitParameter{"latency.barrier_cycles", "cycles", kChip, kAbsolute, 10, 200, "barrier arrival to wake-up",
                 "20 to 60 cycles in published microbenchmarks"},
    FitParameter{"hbm.efficiency", "", kChip, kAbsolute, 0.6, 1, "sustained reads over peak bandwidth",
                 "published streams reach 0.87 to 0.97 of the peak; above 1 is impossible"},
    FitParameter{"hbm.write_cost", "", kChip, kAbsolute, 1, 4, "time of a written byte over that of a read one",
                 "1: no turnaround; published copies lose at most half of the read bandwidth"},
    FitParameter{"hbm.scattered_write_cost", "", kChip, kAbsolute, 1, 4, "the same of a KV cache's rows, a piece a head",
                 "4: a piece of 256 bytes opens a DRAM page of 1 KiB for itself"},
    FitParameter{"l2.effective_fraction", "", kChip, kAbsolute, 0.2, 1, "part of L2 up to which reads keep its speed",
                 "both partitions may hold a line: a half at worst, less with other traffic"},
    FitParameter{"l2.bandwidth_bytes_per_clk", "B/clk", kChip, kRelative, 0.4, 1.5, "L2 to all SMs",
                 "published curves of one chip differ by at most this much from slices x 64 B"},
    FitParameter{"sm.l2_port_bytes_per_clk", "B/clk/SM", kChip, kRelative, 0.3, 1, "L2 into one SM", "the port's width is the most"},
    FitParameter{"sm.smem_efficiency", "", kChip, kAbsolute, 0.5, 1, "sustained over peak SMEM bandwidth",
                 "published throughputs are 0.83 to 0.97 of 128 B/clk; bank conflicts and the order of ldmatrix take more"},
    FitParameter{"tensor.efficiency", "", kChip, kAbsolute, 0.6, 1, "best rate of the matrix unit in a loop over its peak",
                 "published: 0.964 (wgmma), 0.996 (mma.sync on A100), 0.62 (mma.sync on Hopper)"},
    FitParameter{"vector.chain_serialization", "", kChip, kAbsolute, 0.05, 1, "a chain's time between its busiest pipe (0) and the sum of its pipes (1)",
                 "definition"},
    FitParameter{"power.tensor_pj_per_flop", "pJ/FLOP", kChip, kAbsolute, 0.05, 5, "energy of a matrix operation at the highest clock",
                 "above: the board's limit over its dense peak; below: a tenth of the smallest such ratio"},
    FitParameter{"power.hbm_pj_per_byte", "pJ/B", kChip, kAbsolute, 5, 200, "energy of a byte from device memory",
                 "3 to 7 pJ a bit for HBM, up to twice that for GDDR, with the controller"},
    FitParameter{"power.vector_pj_per_op", "pJ/op", kChip, kAbsolute, 0.2, 30, "energy of a lane operation at the highest clock",
                 "about 1.5 pJ a 32-bit FMA in a 7 nm process, with registers and issue some times that"},
    FitParameter{"constant_us", "us", kHarness, kAbsolute, 0.01, 60, "floor of a call beside its kernels", "fitted floors of published rows are 6 to 15 us"},
    FitParameter{"clock.settle_us", "us", kHarness, kAbsolute, 1, 1e6, "calls shorter than this end before the power control acts in full",
                 "power control acts within milliseconds; a benchmark repeats a call up to some hundred times"},
    FitParameter{"l2_dirty", "", kHarness, kAbsolute, 0.01, 1, "part of a cold L2 that holds dirty lines of what cleared it", "definition"},
    FitParameter{"host_us.gemm", "us", kHarness, kAbsolute, 0.5, 200, "host work of a GEMM call", "PyTorch's dispatch takes 5 to 40 us"},
    FitParameter{"host_us.softmax", "us", kHarness, kAbsolute, 0.5, 200, "host work of a softmax call", "PyTorch's dispatch takes 5 to 40 us"},
    FitParameter{"host_us.layernorm", "us", kHarness, kAbsolute, 0.5, 200, "host work of a layer-norm call", "PyTorch's dispatch takes 5 to 40 us"},
};
// clang-format on

const Figure& figure_of(const FitParameter& parameter) {
  const auto figures = figure_table();
  const auto found = std::find_if(figures.begin(), figures.end(), [&](const Figure& figure) { return figure.path == parameter.name; });
  require(found != figures.end(), "a fit parameter of a chip is one of its figures");
  return *found;
}

}  // namespace

std::span<const FitParameter> fit_parameters() {
  return kParameters;
}

const FitParameter& fit_parameter(const std::string& name) {
  std::vector<std::string> names;
  for (const FitParameter& parameter : kParameters) {
    if (parameter.name == name) return parameter;
    names.emplace_back(parameter.name);
  }
  throw ConfigError(
      {"", "--parameters", '"' + name + '"', "is no parameter that a fit may change", json_text::joined(names), nearest_name(name, names)});
}

Bounds bounds_of(const FitParameter& parameter, const Chip& chip) {
  const double scale = parameter.relative ? value_of(parameter, chip) : 1.0;
  return {parameter.min * scale, parameter.max * scale};
}

double value_of(const FitParameter& parameter, const Chip& chip) {
  return figure_of(parameter).get(chip);
}

double value_of(const FitParameter& parameter, const Conditions& conditions, const Harness& harness) {
  if (parameter.name == "constant_us") return conditions.constant_us;
  if (parameter.name == "clock.settle_us") return conditions.settle_us;
  if (parameter.name == "l2_dirty") return conditions.l2_dirty;
  const auto host = harness.phase_host_us.find(std::string(parameter.name.substr(kHostPrefix.size())));
  return host == harness.phase_host_us.end() ? 0.0 : host->second;
}

void set_value(const FitParameter& parameter, double value, const std::string& phase, Conditions& conditions) {
  if (parameter.name == "constant_us") conditions.constant_us = value;
  if (parameter.name == "clock.settle_us") conditions.settle_us = value;
  if (parameter.name == "l2_dirty") conditions.l2_dirty = value;
  if (parameter.name == std::string(kHostPrefix) + phase) conditions.host_us = value;
}

}  // namespace attnsim
