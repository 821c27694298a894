// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/core/error.h"
#include "sim/engine/chip_share.h"
#include "sim/engine/engine.h"
#include "sim/engine/fast.h"
#include "sim/engine/machine.h"
#include "sim/engine/power.h"

namespace attnsim {

namespace {

// Loop trips times agents below which `automatic` plays every op: a few seconds of work.
constexpr double kDetailedTripLimit = 200000;
// A warm start can matter only while the pipeline's tensors are not far larger than L2.
constexpr double kWarmFootprintLimit = 4;

double total_trips(const ir::Kernel& kernel) {
  double trips = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    double family_trips = 0;
    for (const ir::RowTile& tile : family.tiles) family_trips += static_cast<double>(tile.trips() + 2);
    trips += family_trips * static_cast<double>(family.slab_count);
  }
  return trips * static_cast<double>(kernel.program.agents.size());
}

struct Pass {
  std::vector<KernelResult> kernels;
  double time_us = 0;
  double hbm_busy_us = 0;
  WorkCounts counts;
};

void add(WorkCounts& sum, const WorkCounts& x) {
  sum.tensor_flops += x.tensor_flops;
  sum.useful_tensor_flops += x.useful_tensor_flops;
  sum.exp_count += x.exp_count;
  sum.fp32_ops += x.fp32_ops;
  sum.alu_ops += x.alu_ops;
  sum.sfu_ops += x.sfu_ops;
  sum.warp_instructions += x.warp_instructions;
  sum.smem_bytes += x.smem_bytes;
  sum.l2_bytes += x.l2_bytes;
  sum.hbm_bytes += x.hbm_bytes;
}

// Busy share of a resource and the reasons of the rest; they sum to 1.
ResourceUse use_of(Resource resource, double busy, const MachineResult& played, double sm_cycles) {
  ResourceUse use;
  use.resource = resource;
  use.busy_fraction = std::min(1.0, busy);
  const double resident = std::min(1.0, played.resident_cycles / sm_cycles);
  const double idle = 1 - use.busy_fraction;
  const double empty = std::min(idle, 1 - resident);
  use.idle_fraction["no CTA resident"] = empty;
  double waits = 0;
  for (double w : played.wait_cycles) waits += w;
  for (std::size_t i = 0; i < kWaitCount; ++i) {
    const double share = waits > 0 ? played.wait_cycles[i] / waits : (i == 0 ? 1.0 : 0.0);
    use.idle_fraction["agents wait: " + std::string(name_of(static_cast<Wait>(i)))] = (idle - empty) * share;
  }
  return use;
}

KernelResult describe(const ir::Kernel& kernel, const MachineResult& played, const MachineConfig& config, double clock_mhz) {
  KernelResult out;
  const double cycles = std::max(1.0, to_cycles(Ticks(played.ticks)).count());
  const double sm_cycles = cycles * config.sms;
  out.name = kernel.name;
  out.time_us = to_nanoseconds(Cycles(cycles), Megahertz(clock_mhz)).count() * 1e-3;
  out.items = played.items;
  out.ctas = played.ctas;
  out.ctas_per_sm = config.ctas_per_sm;
  out.l2_hit_rate = played.loaded_bytes > 0 ? played.hit_bytes / played.loaded_bytes : 0;
  out.spread = played.spread;
  out.counts = played.counts;
  out.counts.l2_bytes = played.l2_bytes;
  out.counts.hbm_bytes = played.hbm_bytes;
  const auto pipe = [&](Pipe p) { return played.busy_cycles[static_cast<std::size_t>(p)] / sm_cycles; };
  const double ticks = static_cast<double>(played.ticks > 0 ? played.ticks : 1);
  const std::vector<std::pair<Resource, double>> busy{
      {Resource::tensor, pipe(Pipe::tensor)},
      {Resource::fp32, pipe(Pipe::fp32)},
      {Resource::alu, pipe(Pipe::alu)},
      {Resource::sfu, pipe(Pipe::sfu)},
      {Resource::issue, pipe(Pipe::issue)},
      {Resource::smem, pipe(Pipe::smem)},
      {Resource::l2_port, played.l2_bytes / (config.rates.port * ticks * config.sms)},
      {Resource::l2, played.l2_bytes / (config.rates.l2 * ticks)},
      {Resource::hbm, played.hbm_bytes / (config.rates.hbm * ticks)},
  };
  double largest = 0;
  for (const auto& [resource, fraction] : busy) {
    out.resources.push_back(use_of(resource, fraction, played, sm_cycles));
    if (fraction > largest) {
      largest = fraction;
      out.limiter = std::string(name_of(resource));
    }
  }
  // Below this busy share no throughput limit explains the time.
  constexpr double kLatencyBoundBelow = 0.4;
  if (largest < kLatencyBoundBelow) out.limiter = "latency";
  return out;
}

class Simulator {
 public:
  Simulator(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions, const EngineOptions& options)
      : pipeline_(pipeline), chip_(chip), conditions_(conditions), options_(options) {
    for (const ir::Node& node : pipeline.nodes()) {
      const auto* kernel = std::get_if<ir::Kernel>(&node.work);
      selected_.push_back(kernel != nullptr ? select_instructions(*kernel, chip) : SelectedKernel{});
      if (kernel != nullptr) trips_ += total_trips(*kernel);
    }
    kind_ = options.kind;
    if (kind_ == EngineKind::automatic) kind_ = trips_ <= kDetailedTripLimit ? EngineKind::detailed : EngineKind::fast;
  }

  Simulation run() {
    double clock = start_clock();
    Pass pass = settle(clock);
    if (conditions_.clock == ClockPolicy::sustained && has_effect(conditions_, "clock")) {
      for (int round = 0; round < 2; ++round) {
        const double memory_bound = std::min(1.0, pass.hbm_busy_us / std::max(1e-9, pass.time_us));
        const double next = sustained_clock_mhz(pass.counts, chip_, pass.time_us * 1e-6, clock, memory_bound, conditions_.settle_us * 1e-6);
        if (next == clock) break;
        clock = next;
        pass = settle(clock);
      }
    }
    Simulation out;
    out.kernels = std::move(pass.kernels);
    out.time_us = pass.time_us;
    out.clock_mhz = clock;
    out.energy_j = dynamic_energy_j(pass.counts, chip_, clock) + chip_.power.idle_w * pass.time_us * 1e-6;
    out.kind = kind_;
    return out;
  }

 private:
  double start_clock() const { return conditions_.clock == ClockPolicy::locked ? conditions_.locked_mhz : chip_.clock.boost_mhz; }

  // Plays the pipeline; with a warm start from the L2 state that a first pass left.
  Pass settle(double clock) {
    const double l2_bytes = static_cast<double>(chip_.l2_effective().count());
    L2Cache cache(chip_.l2_effective(), pipeline_.tensors());
    double footprint = 0;
    for (const ir::Tensor& tensor : pipeline_.tensors()) footprint += static_cast<double>(tensor.bytes().count());
    const bool warm = conditions_.l2 == L2Start::warm && footprint < kWarmFootprintLimit * l2_bytes;
    if (warm && kind_ == EngineKind::detailed) (void)play_all(cache, clock, nullptr);
    return play_all(cache, clock, options_.listener);
  }

  Pass play_all(L2Cache& cache, double clock, EngineListener* listener) {
    Pass pass;
    pass.kernels.resize(pipeline_.nodes().size());
    bool first = true;
    for (int index : pipeline_.order()) {
      const auto n = static_cast<std::size_t>(index);
      const ir::Node& node = pipeline_.nodes()[n];
      KernelResult& result = pass.kernels[n];
      if (const auto* kernel = std::get_if<ir::Kernel>(&node.work)) {
        MachineConfig config = whole_chip(*kernel, chip_, conditions_, clock);
        config.listener = listener;
        config.node = index;
        MachineResult played;
        if (kind_ == EngineKind::fast) {
          played = play_fast(selected_[n], pipeline_.tensors(), chip_, conditions_, config);
        } else {
          if (has_effect(conditions_, "l2_hits")) config.cache = &cache;
          played = play(selected_[n], pipeline_.tensors(), chip_, config);
        }
        result = describe(*kernel, played, config, clock);
        result.extrapolated = kind_ == EngineKind::fast;
        if (has_effect(conditions_, "launch") && (conditions_.include_launch || !first)) {
          // A programmatic dependent launch is under way while its predecessor drains.
          const double dependent_us = kernel->grid.programmatic_launch ? 0 : chip_.launch.dependent_kernel_us;
          result.launch_us = first ? chip_.launch.kernel_us : dependent_us;
        }
        pass.hbm_busy_us += result.counts.hbm_bytes / (config.rates.hbm * static_cast<double>(kTicksPerCycle)) / clock;
        add(pass.counts, result.counts);
        first = false;
      } else if (const auto* transfer = std::get_if<ir::Transfer>(&node.work)) {
        if (chip_.links.empty()) throw SimError("transfer " + transfer->name + " needs a link; chip " + chip_.name + " has none");
        const Link& link = chip_.links.front();
        result.name = transfer->name;
        result.limiter = "link";
        result.time_us = link.latency_us + static_cast<double>(transfer->bytes.count()) / link.bandwidth_gb_per_s * 1e-3;
      } else {
        const auto& gap = std::get<ir::HostGap>(node.work);
        result.name = gap.name;
        result.limiter = "host";
        result.time_us = gap.time.count() * 1e-3;
      }
      pass.time_us += result.launch_us + result.time_us;
    }
    return pass;
  }

  const ir::Pipeline& pipeline_;
  const Chip& chip_;
  const Conditions& conditions_;
  const EngineOptions& options_;
  std::vector<SelectedKernel> selected_;
  double trips_ = 0;
  EngineKind kind_ = EngineKind::detailed;
};

}  // namespace

Simulation simulate(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions, const EngineOptions& options) {
  return Simulator(pipeline, chip, conditions, options).run();
}

}  // namespace attnsim
