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
constexpr int kLeastSms = 8;

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

// A part keeps whole groups of the slabs that share a tensor's rows, and the grid's order.
bool divides(const ir::Kernel& kernel, int parts) {
  if (kernel.grid.policy == ir::GridPolicy::lists) return false;
  for (const ir::ItemFamily& family : kernel.families) {
    if (family.slab_count % parts != 0) return false;
    const std::int64_t slabs = family.slab_count / parts;
    if (kernel.grid.interleave > 1 && slabs % kernel.grid.interleave != 0) return false;
    for (const ir::Agent& agent : kernel.program.agents) {
      for (const auto& section : agent.sections) {
        for (const ir::Op& op : section) {
          const bool copies = op.kind == ir::OpKind::load || op.kind == ir::OpKind::store;
          if (copies && slabs % op.access.slab_divisor != 0) return false;
        }
      }
    }
  }
  return true;
}

}  // namespace

int equal_parts(const ir::Pipeline& pipeline, const Chip& chip) {
  constexpr std::array kParts{1, 2, 3, 4, 6, 8, 9, 12, 16};
  int best = 1;
  for (const int parts : kParts) {
    if (chip.sm.count % parts != 0 || chip.sm.count / parts < kLeastSms) continue;
    double most = 0;
    bool legal = true;
    for (const ir::Node& node : pipeline.nodes()) {
      const auto* kernel = std::get_if<ir::Kernel>(&node.work);
      if (kernel == nullptr) continue;
      legal = legal && (parts == 1 || divides(*kernel, parts));
      most = std::max(most, trips_of(*kernel) / parts);
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
  return plays_steps(*selected_.kernel, parts_) ? play_steps(whole, *counted_) : play_classes(whole, *counted_);
}

MachineResult FastKernel::play_steps(const MachineConfig& whole, MachineResult out) const {
  MachineConfig config = whole;
  config.whole_steps = true;
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
    for (ir::ItemFamily& family : kernel.families) family.slab_count /= parts_;
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
    residency_ = estimate_residency(kernel, tensors_, chip_, conditions_, whole);
    costs_.emplace(selected_, tensors_, chip_, whole, residency_.hit_fraction);
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
