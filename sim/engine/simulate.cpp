// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "sim/core/error.h"
#include "sim/engine/chip_share.h"
#include "sim/engine/engine.h"
#include "sim/engine/fast.h"
#include "sim/engine/footprint.h"
#include "sim/engine/machine.h"
#include "sim/engine/node_schedule.h"
#include "sim/engine/power.h"
#include "sim/engine/slice.h"

namespace attnsim {

namespace {

// Loop trips times agents below which `automatic` plays every op: a few seconds of work.
constexpr double kDetailedTripLimit = 200000;
// Above, a listener that can do with a sample gets one: steps are recorded one by one.
constexpr double kRecordedTripLimit = 40000;
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
  sum.narrow_tensor_flops += x.narrow_tensor_flops;
  sum.exp_count += x.exp_count;
  sum.fp32_ops += x.fp32_ops;
  sum.alu_ops += x.alu_ops;
  sum.sfu_ops += x.sfu_ops;
  sum.warp_instructions += x.warp_instructions;
  sum.smem_bytes += x.smem_bytes;
  sum.l2_bytes += x.l2_bytes;
  sum.hbm_bytes += x.hbm_bytes;
}

// Without attribution: busy, SMs without a CTA, and the rest.
std::vector<ResourceUse> plain_use(const MachineResult& played, const MachineConfig& config, double sm_cycles, double ticks) {
  const auto pipe = [&](Pipe p) { return played.busy_cycles[static_cast<std::size_t>(p)] / sm_cycles; };
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
  const double resident = std::min(1.0, played.resident_cycles / sm_cycles);
  std::vector<ResourceUse> uses;
  for (const auto& [resource, fraction] : busy) {
    ResourceUse use;
    use.resource = resource;
    use.busy_fraction = std::min(1.0, fraction);
    const double idle = 1 - use.busy_fraction;
    const double empty = std::min(idle, 1 - resident);
    use.idle_fraction["no CTA resident"] = empty;
    use.idle_fraction["CTAs resident"] = idle - empty;
    uses.push_back(std::move(use));
  }
  return uses;
}

LaunchShape launch_shape(const ir::Program& program, const Chip& chip) {
  LaunchShape out;
  for (const ir::Agent& agent : program.agents) {
    out.warps_per_cta += agent.warps;
    out.registers_per_thread = std::max(out.registers_per_thread, agent.registers_per_thread);
  }
  out.smem_per_cta_bytes = static_cast<double>(program.smem_bytes());
  out.max_warps_per_sm = chip.sm.max_threads / chip.sm.lanes_per_warp;
  out.sms = chip.sm.count;
  return out;
}

KernelResult describe(const ir::Kernel& kernel, const MachineResult& played, const MachineConfig& config, double clock_mhz,
                      const Chip& chip) {
  KernelResult out;
  const double cycles = std::max(1.0, to_cycles(Ticks(played.ticks)).count());
  const double sm_cycles = cycles * config.sms;
  out.name = kernel.name;
  out.time_us = to_nanoseconds(Cycles(cycles), Megahertz(clock_mhz)).count() * 1e-3;
  out.items = played.items;
  out.ctas = played.ctas;
  out.ctas_per_sm = config.ctas_per_sm;
  out.launch = launch_shape(kernel.program, chip);
  out.cycles = cycles;
  const double ctas_per_slot = static_cast<double>(played.ctas) / (static_cast<double>(config.sms) * config.ctas_per_sm);
  out.resident_ctas = played.cta_cycles > 0 ? played.cta_cycles / std::max(1.0, played.resident_cycles)
                                            : std::max(1.0, config.ctas_per_sm * std::min(1.0, ctas_per_slot));
  out.l2_written_bytes = played.l2_bytes - played.loaded_bytes;
  out.hbm_written_bytes = played.hbm_written_bytes;
  out.l2_hit_rate = played.loaded_bytes > 0 ? played.hit_bytes / played.loaded_bytes : 0;
  out.spread = played.spread;
  out.counts = played.counts;
  out.counts.l2_bytes = played.l2_bytes;
  out.counts.hbm_bytes = played.hbm_bytes;
  const double ticks = static_cast<double>(played.ticks > 0 ? played.ticks : 1);
  const auto lane = [&](Pipe p) { return played.busy_cycles[static_cast<std::size_t>(p)]; };
  out.resources = plain_use(played, config, sm_cycles, ticks);
  double largest = 0;
  for (const ResourceUse& use : out.resources) {
    if (use.busy_fraction > largest) {
      largest = use.busy_fraction;
      out.limiter = std::string(name_of(use.resource));
    }
  }
  if (!played.attribution.empty()) {
    out.resources = attributed_use(played.attribution, ticks, config.sms, lane(Pipe::smem) * static_cast<double>(kTicksPerCycle),
                                   {lane(Pipe::fp32), lane(Pipe::alu), lane(Pipe::sfu)});
  }
  // Below this busy share no throughput limit explains the time.
  constexpr double kLatencyBoundBelow = 0.4;
  if (largest < kLatencyBoundBelow) out.limiter = "latency";
  return out;
}

// How long each SM was empty before the kernel's end, longest first. `fast` knows of the SMs that got no CTA only.
std::vector<double> drains_us(const MachineResult& played, const MachineConfig& config, double clock_mhz) {
  std::vector<double> out;
  for (const std::int64_t ticks : played.drain_ticks) out.push_back(to_cycles(Ticks(ticks)).count() / clock_mhz);
  if (!out.empty()) return out;
  const auto unused = std::max<std::int64_t>(0, config.sms - played.ctas);
  out.assign(static_cast<std::size_t>(unused), to_cycles(Ticks(played.ticks)).count() / clock_mhz);
  out.resize(static_cast<std::size_t>(config.sms), 0);
  return out;
}

class Simulator {
 public:
  Simulator(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions, const EngineOptions& options)
      : pipeline_(pipeline),
        changed_chip_(conditions.without.empty() ? std::nullopt : std::optional(without_effects(chip, conditions))),
        chip_(changed_chip_ ? *changed_chip_ : chip),
        conditions_(conditions),
        options_(options) {
    if (options.selected == nullptr || changed_chip_) own_selected_ = select_instructions(pipeline, chip_);
    if (own_selected_) selected_ = &*own_selected_;
    std::vector<const ir::Kernel*> kernels;
    for (const SelectedKernel& selected : *selected_) {
      if (selected.kernel != nullptr) kernels.push_back(selected.kernel);
    }
    footprint_bytes_ = touched_bytes(kernels, pipeline.tensors());
    trips_ = loop_trips(pipeline);
    kind_ = options.kind;
    if (kind_ == EngineKind::automatic) kind_ = trips_ <= kDetailedTripLimit ? EngineKind::detailed : EngineKind::fast;
    if (kind_ != EngineKind::fast) return;
    part_ = part_of_chip(pipeline, chip_);
    for (const SelectedKernel& selected : *selected_) {
      fast_.push_back(selected.kernel == nullptr ? nullptr
                                                 : std::make_unique<FastKernel>(selected, pipeline.tensors(), chip_, conditions, part_));
    }
    const auto first = std::find_if(fast_.begin(), fast_.end(), [](const auto& kernel) { return kernel != nullptr; });
    first_keeps_cache_ = first != fast_.end() && (*first)->plays_steps();
    keeps_cache_ = std::any_of(fast_.begin(), fast_.end(), [](const auto& kernel) { return kernel != nullptr && kernel->plays_steps(); });
  }

  Simulation run() {
    double clock = start_clock();
    const bool listened = options_.listener != nullptr && (kind_ == EngineKind::detailed || options_.sample_long_runs);
    const bool watched = listened || options_.attribute;
    const bool searches = conditions_.clock == ClockPolicy::sustained && has_effect(conditions_, "clock");
    Pass pass = settle(clock, watched && !searches);
    if (searches) {
      for (int round = 0; round < 2; ++round) {
        const double memory_bound = std::min(1.0, pass.hbm_busy_us / std::max(1e-9, pass.time_us));
        const double next = sustained_clock_mhz(pass.counts, chip_, pass.time_us * 1e-6, clock, memory_bound, conditions_.settle_us * 1e-6);
        // The last step of the clock changes no cycle count, and the time by no more than the step.
        if (round > 0 && std::abs(next - clock) <= chip_.clock.step_mhz) break;
        if (next == clock) break;
        clock = next;
        pass = settle(clock, false);
      }
      if (watched) pass = settle(clock, true);  // again, now that the clock is settled
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
  double start_clock() const {
    const bool locked = conditions_.clock == ClockPolicy::locked && has_effect(conditions_, "clock");
    return locked ? conditions_.locked_mhz : chip_.clock.boost_mhz;
  }

  [[nodiscard]] bool starts_warm() const {
    const auto l2_bytes = static_cast<double>(chip_.l2_effective().count());
    return conditions_.l2_start(footprint_bytes_, l2_bytes) == L2Start::warm && footprint_bytes_ < kWarmFootprintLimit * l2_bytes;
  }

  // Plays the pipeline; with a warm start from the L2 state that a first pass left.
  Pass settle(double clock, bool watched) {
    const double l2_bytes = static_cast<double>(chip_.l2_effective().count());
    const bool warm = starts_warm();
    // At another clock the end state of the call before is as good a start.
    if (warm && kind_ == EngineKind::fast && cache_) return play_all(*cache_, clock, watched);
    cache_.emplace(Bytes(static_cast<std::int64_t>(l2_bytes / part_.times)), pipeline_.tensors());
    if (!warm && first_keeps_cache_ && conditions_.l2_dirty > 0) cache_->fill(conditions_.l2_dirty);
    all_resident_ = warm && kind_ == EngineKind::fast && footprint_bytes_ <= l2_bytes;  // then nothing ever leaves L2
    if (warm && keeps_cache_ && !all_resident_) (void)play_all(*cache_, clock, false);
    return play_all(*cache_, clock, watched);
  }

  Pass play_all(L2Cache& cache, double clock, bool watched) {
    Pass pass;
    pass.kernels.resize(pipeline_.nodes().size());
    NodeSchedule schedule(pipeline_, chip_, conditions_, clock);
    double dirty_share = starts_warm() ? 0 : conditions_.l2_dirty;  // of what the first kernel displaces
    for (NodeStart start = schedule.next(); start.node >= 0; start = schedule.next()) {
      const int index = start.node;
      const auto n = static_cast<std::size_t>(index);
      std::vector<double> drained_us;
      const ir::Node& node = pipeline_.nodes()[n];
      KernelResult& result = pass.kernels[n];
      if (const auto* kernel = std::get_if<ir::Kernel>(&node.work)) {
        MachineConfig config = whole_chip(*kernel, chip_, conditions_, clock);
        config.node = index;
        config.start_us = start.start_us;
        const bool sampled = kind_ == EngineKind::fast || (options_.sample_long_runs && trips_ > kRecordedTripLimit);
        if (watched && !sampled) config.listener = options_.listener;
        config.attribute = watched && options_.attribute && kind_ == EngineKind::detailed;
        config.dirty_share = std::exchange(dirty_share, 0);
        MachineResult played;
        if (has_effect(conditions_, "l2_hits")) {
          config.cache = all_resident_ || !keeps_cache_ ? nullptr : &cache;
          config.hit_fraction = all_resident_ ? 1 : 0;
        }
        if (kind_ == EngineKind::fast) {
          played = fast_[n]->play(config);
        } else {
          played = play((*selected_)[n], pipeline_.tensors(), chip_, config);
          if (!has_effect(conditions_, "waves")) spread_evenly(played, config);
        }
        if (watched && sampled) sample((*selected_)[n], config, played);
        result = describe(*kernel, played, config, clock, chip_);
        result.extrapolated = kind_ == EngineKind::fast;
        result.launch_us = start.gap_us;
        drained_us = drains_us(played, config, clock);
        pass.hbm_busy_us += result.counts.hbm_bytes / (config.rates.hbm * static_cast<double>(kTicksPerCycle)) / clock;
        add(pass.counts, result.counts);
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
      result.start_us = start.start_us;
      schedule.done(start, result.time_us, std::move(drained_us));
    }
    pass.time_us = schedule.end_us();
    return pass;
  }

  // The SMs' mean time with a CTA in the place of the time until the last one is done.
  void spread_evenly(MachineResult& played, const MachineConfig& config) const {
    MachineResult even = played;
    even.ticks = std::min(played.ticks, ticks_ceil(played.resident_cycles / config.sms).count());
    if (!played.attribution.empty()) even.attribution = scaled_attribution(played, even, config);
    played = std::move(even);
  }

  // One SM plays a few items in the place of a run that is extrapolated or too long to record.
  void sample(const SelectedKernel& selected, MachineConfig config, MachineResult& played) const {
    config.attribute = options_.attribute;
    config.listener = options_.sample_long_runs ? options_.listener : nullptr;
    if (!config.attribute && config.listener == nullptr) return;
    const MachineResult slice = play_slice(selected, pipeline_.tensors(), chip_, conditions_, config, played);
    if (config.attribute && played.attribution.empty()) played.attribution = scaled_attribution(slice, played, config);
  }

  const ir::Pipeline& pipeline_;
  const std::optional<Chip> changed_chip_;  // where effects are off
  const Chip& chip_;
  const Conditions& conditions_;
  const EngineOptions& options_;
  std::optional<std::vector<SelectedKernel>> own_selected_;  // where they are not given for the chip
  const std::vector<SelectedKernel>* selected_ = options_.selected;
  std::vector<std::unique_ptr<FastKernel>> fast_;  // by node
  ChipPart part_;                                  // of the chip, that is played
  std::optional<L2Cache> cache_;
  bool keeps_cache_ = true;        // some kernel plays steps with the L2 model
  bool first_keeps_cache_ = true;  // the first one does; else its closed form knows of dirty lines, and they are gone behind it
  bool all_resident_ = false;
  double trips_ = 0;
  double footprint_bytes_ = 0;
  EngineKind kind_ = EngineKind::detailed;
};

}  // namespace

std::string_view name_of(EngineKind kind) {
  switch (kind) {
    case EngineKind::detailed: return "detailed";
    case EngineKind::fast: return "fast";
    case EngineKind::automatic: return "automatic";
  }
  throw Invariant("unknown engine");
}

EngineKind engine_named(std::string_view name) {
  for (const EngineKind kind : {EngineKind::detailed, EngineKind::fast, EngineKind::automatic}) {
    if (name_of(kind) == name) return kind;
  }
  throw Invariant("no engine is named so");
}

double loop_trips(const ir::Pipeline& pipeline) {
  double trips = 0;
  for (const ir::Node& node : pipeline.nodes()) {
    if (const auto* kernel = std::get_if<ir::Kernel>(&node.work)) trips += total_trips(*kernel);
  }
  return trips;
}

Simulation simulate(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions, const EngineOptions& options) {
  return Simulator(pipeline, chip, conditions, options).run();
}

}  // namespace attnsim
