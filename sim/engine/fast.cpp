// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/fast.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/engine/chip_share.h"
#include "sim/engine/kernel_plan.h"

namespace attnsim {

namespace {

// Loop trips of a part up to which it is played step by step; above, classes of items are distributed.
constexpr double kPlayedTrips = 10000;
// Trips per part that are aimed at, and SMs that a part keeps, so that waves and the sharing of L2 stay alike.
constexpr double kTripsPerPart = 800;
constexpr int kLeastSms = 16;

// Loop trips of all items, and what is around the loops of each as one, of an item without work as a quarter. A loop over peers
// behind the main loop runs in one item of each group only.
double trips_of(const ir::Kernel& kernel) {
  const auto has_loop = [&](ir::TripSource source) {
    return std::any_of(kernel.program.sections.begin(), kernel.program.sections.end(),
                       [&](const ir::Section& s) { return s.kind == ir::SectionKind::loop && s.trips == source; });
  };
  const bool runs = has_loop(ir::TripSource::runs);
  const bool peers = has_loop(ir::TripSource::peers);
  double trips = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    double slab_trips = 0;
    for (const ir::RowTile& tile : family.tiles) {
      const auto looped = static_cast<double>(runs ? tile.trips() : peers ? tile.peers : 0);
      slab_trips += looped > 0 ? looped + 1 : 0.25;
    }
    trips += slab_trips * static_cast<double>(family.slab_count);
  }
  return trips;
}

// A tensor that all slabs share counts for nothing in L2 and HBM below this part of L2: lengths, block tables.
constexpr double kNegligibleInL2 = 0.01;

// Ways in which a part visits its slabs in turn: as many of each as the whole has, or all ways with fewer slabs each; 0: neither.
std::int64_t ways_of_part(std::int64_t ways, std::int64_t slabs, int parts) {
  if (ways <= 1) return 1;
  if (ways % parts == 0) return ways / parts;
  return slabs / parts % ways == 0 ? ways : 0;
}

// What a group of slabs walks in its loops (K and V) stays in L2 while its items share it. A part has only 1/n of L2: it must hold some
// whole groups in flight, or what its one group walks must fit with room to spare.
constexpr double kGroupsInFlight = 2;
constexpr double kRoomInL2 = 0.5;

bool keeps_sharing(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip, int parts) {
  const double slots = static_cast<double>(chip.sm.count) * ctas_per_sm(kernel, chip) / parts;
  for (const ir::ItemFamily& family : kernel.families) {
    double walked = 0;
    double group_items = 1;
    for (const ir::Agent& agent : kernel.program.agents) {
      for (const auto& section : agent.sections) {
        for (const ir::Op& op : section) {
          if (op.kind != ir::OpKind::load || op.access.row_from != ir::RowFrom::trip) continue;
          const ir::Tensor& tensor = tensors[static_cast<std::size_t>(op.access.tensor)];
          walked += static_cast<double>(family.loop_extent * tensor.cols) * ir::bits_of(tensor.dtype) / 8;
          group_items = std::max(group_items, static_cast<double>(family.tiles.size()) * static_cast<double>(op.access.slab_divisor));
        }
      }
    }
    const bool one_item = family.tiles.size() == 1 && group_items == 1;  // nothing is shared
    if (!one_item && kGroupsInFlight * group_items > slots && walked > kRoomInL2 * static_cast<double>(chip.l2_effective().count()) / parts)
      return false;
  }
  return true;
}

// A section of slabs is what L2 holds at a time, and a part has 1/n of L2: it keeps whole groups of slabs that share K and V.
std::int64_t section_of_part(const ir::Kernel& kernel, int parts) {
  if (kernel.grid.section_slabs <= 0) return 0;
  std::int64_t group = 1;
  for (const ir::Agent& agent : kernel.program.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        if (op.kind == ir::OpKind::load && op.access.row_from == ir::RowFrom::trip)
          group = std::max<std::int64_t>(group, op.access.slab_divisor);
      }
    }
  }
  return std::max<std::int64_t>(1, kernel.grid.section_slabs / parts / group) * group;
}

// A part keeps whole groups of the slabs that share a tensor's rows, and the grid's order.
bool divides(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip, int parts) {
  if (kernel.grid.policy == ir::GridPolicy::lists || !keeps_sharing(kernel, tensors, chip, parts)) return false;
  const auto l2_bytes = static_cast<double>(chip.l2_effective().count());
  for (const ir::ItemFamily& family : kernel.families) {
    if (family.slab_count % parts != 0) return false;
    const std::int64_t slabs = family.slab_count / parts;
    if (ways_of_part(kernel.grid.interleave, family.slab_count, parts) == 0) return false;
    for (const ir::Agent& agent : kernel.program.agents) {
      for (const auto& section : agent.sections) {
        for (const ir::Op& op : section) {
          const bool copies = op.kind == ir::OpKind::load || op.kind == ir::OpKind::store;
          if (!copies || slabs % op.access.slab_divisor == 0) continue;
          const double bytes = static_cast<double>(tensors[static_cast<std::size_t>(op.access.tensor)].bytes().count());
          if (op.access.slab_divisor < family.slab_count || bytes > kNegligibleInL2 * l2_bytes) return false;
        }
      }
    }
  }
  return true;
}

// HBM may take this part of a kernel's time before its speed in cycles counts: then the clock changes the time of a cycle alone.
constexpr double kHiddenHbm = 0.25;

bool hides_hbm(const MachineResult& played, const MachineConfig& whole) {
  return played.hbm_bytes / whole.rates.hbm <= kHiddenHbm * static_cast<double>(played.ticks);
}

}  // namespace

int equal_parts(const ir::Pipeline& pipeline, const Chip& chip) {
  constexpr std::array kParts{1, 2, 3, 4, 6, 8, 9, 12, 16};
  std::vector<std::pair<const ir::Kernel*, double>> kernels;  // and their trips
  for (const ir::Node& node : pipeline.nodes()) {
    if (const auto* kernel = std::get_if<ir::Kernel>(&node.work)) kernels.emplace_back(kernel, trips_of(*kernel));
  }
  int best = 1;
  for (const int parts : kParts) {
    if (chip.sm.count % parts != 0 || chip.sm.count / parts < kLeastSms) continue;
    double most = 0;
    bool legal = true;
    for (const auto& [kernel, trips] : kernels) {
      legal = legal && (parts == 1 || divides(*kernel, pipeline.tensors(), chip, parts));
      most = std::max(most, trips / parts);
    }
    if (!legal) continue;
    best = parts;
    if (most <= kTripsPerPart) break;
  }
  return best;
}

bool plays_steps(const ir::Kernel& kernel, int parts) {
  return trips_of(kernel) / parts <= kPlayedTrips;
}

MachineResult FastKernel::play(const MachineConfig& whole) {
  if (!counted_) counted_ = count_work(selected_, tensors_, whole, chip_);
  if (!plays_steps(*selected_.kernel, parts_)) return play_classes(whole, *counted_);
  if (played_ && whole.clock_mhz != played_mhz_ && hides_hbm(*played_, whole)) return *played_;
  played_ = play_steps(whole, *counted_);
  played_mhz_ = whole.clock_mhz;
  return *played_;
}

MachineResult FastKernel::play_steps(const MachineConfig& whole, MachineResult out) const {
  MachineConfig config = whole;
  config.count_work = false;
  config.attribute = false;
  config.listener = nullptr;
  config.sms = whole.sms / parts_;
  config.gpcs = std::max(1, whole.gpcs / parts_);
  config.rates.l2 /= parts_;
  config.rates.hbm /= parts_;
  KernelPlan plan = plan_kernel(selected_, chip_, config);
  plan.launch_interval *= parts_;
  MachineResult played;
  if (parts_ == 1) {
    played = attnsim::play(selected_, plan, tensors_, config);
  } else {
    ir::Kernel kernel = *selected_.kernel;  // the steps go on to point to the whole kernel's ops, which are the same
    if (!kernel.families.empty()) kernel.grid.interleave = ways_of_part(kernel.grid.interleave, kernel.families.front().slab_count, parts_);
    for (ir::ItemFamily& family : kernel.families) family.slab_count /= parts_;
    kernel.grid.section_slabs = section_of_part(kernel, parts_);
    SelectedKernel part = selected_;
    part.kernel = &kernel;
    played = attnsim::play(part, plan, tensors_, config);
  }
  const double n = parts_;
  out.ctas = played.ctas * parts_;
  out.spread = played.spread;
  out.loaded_bytes = played.loaded_bytes * n;
  out.hit_bytes = played.hit_bytes * n;
  out.hbm_bytes = played.hbm_bytes * n;
  out.hbm_written_bytes = played.hbm_written_bytes * n;
  out.resident_cycles = played.resident_cycles * n;
  out.cta_cycles = played.cta_cycles * n;
  for (const std::int64_t ticks : played.drain_ticks)
    out.drain_ticks.insert(out.drain_ticks.end(), static_cast<std::size_t>(parts_), ticks);
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = played.wait_cycles[i] * n;
  auto ticks = static_cast<double>(played.ticks);
  if (!has_effect(conditions_, "waves")) {  // the same occupied time over all SMs, no faster than the memory
    const double read_equivalent = out.hbm_bytes + out.hbm_written_bytes * (whole.hbm_write_cost - 1);
    const double resident = out.resident_cycles * static_cast<double>(kTicksPerCycle) / whole.sms;
    ticks = std::max({resident, read_equivalent / whole.rates.hbm, out.l2_bytes / whole.rates.l2});
  }
  out.ticks = static_cast<std::int64_t>(std::ceil(ticks));
  return out;
}

MachineResult FastKernel::play_classes(const MachineConfig& whole, MachineResult out) {
  const ir::Kernel& kernel = *selected_.kernel;
  if (!costs_) {
    residency_ = estimate_residency(kernel, tensors_, chip_, conditions_, whole, out.loaded_bytes);
    costs_.emplace(selected_, tensors_, chip_, whole, residency_);
    table_ = cost_table(kernel, *costs_);
    makespan_ = distribute(kernel, table_, whole, has_effect(conditions_, "waves"));
  }
  out.spread = costs_->spread();
  out.hbm_bytes = residency_.hbm_bytes;
  out.hbm_written_bytes = residency_.hbm_written_bytes;
  out.hit_bytes = out.loaded_bytes * residency_.hit_fraction;
  const double hbm_ticks = residency_.hbm_read_equivalent_bytes / whole.rates.hbm;
  const double l2_ticks = out.l2_bytes / whole.rates.l2;
  out.ticks = static_cast<std::int64_t>(std::ceil(std::max({makespan_.ticks, hbm_ticks, l2_ticks}) + makespan_.start_ticks));
  out.resident_cycles = 0;
  for (std::size_t f = 0; f < table_.size(); ++f) {
    const auto slabs = static_cast<double>(kernel.families[f].slab_count);
    for (const ItemCost* cost : table_[f]) {
      out.resident_cycles += cost->shared_ticks / static_cast<double>(kTicksPerCycle) * slabs;
      for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] += cost->wait_cycles[i] * slabs;
    }
  }
  return out;
}

}  // namespace attnsim
