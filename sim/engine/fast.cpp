// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/fast.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

#include "sim/engine/chip_share.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/left_results.h"

namespace attnsim {

namespace {

// Loop trips of a part up to which it is played step by step; above, classes of items are distributed, whose hits in L2 come from a
// closed form. Where L2 is small, or CTAs stand all over the grid (stream-K), that form is far off, and classes know nothing of items that
// wait for their turn at a counter: there more is played.
constexpr double kPlayedTrips = 3000;
constexpr double kPlayedTripsNoForm = 60000;
// Trips of a part that are aimed at, more of them where its L2 has few blocks.
constexpr double kTripsPerPart = 300;
constexpr double kTripsPerPartFewBlocks = 600;
constexpr double kManyBlocksBytes = 2.0 * 1024 * 1024;
// SMs that a part keeps, more of them where L2 is small, and L2 that it has below those: waves and sharing stay alike.
constexpr int kLeastSms = 8;
constexpr int kLeastSmsSmallL2 = 16;
constexpr double kLeastL2Bytes = 1024.0 * 1024;
// By how much the part's slabs may be off its part of the chip; not at all where L2 is small.
constexpr double kSlabsOff = 0.0025;
// L2 is small below so much of what resident CTAs hold of tiles: SMEM, or a part of their registers.
constexpr double kRoomForTiles = 1.02;
constexpr double kOfRegisters = 0.5;

// What an item costs, in loop trips: what is around its loops counts as one, an item without work as a quarter. A loop over peers behind
// the main loop runs in one item of each group only.
class ItemTrips {
 public:
  explicit ItemTrips(const ir::Kernel& kernel) {
    const auto has_loop = [&](ir::TripSource source) {
      return std::any_of(kernel.program.sections.begin(), kernel.program.sections.end(),
                         [&](const ir::Section& s) { return s.kind == ir::SectionKind::loop && s.trips == source; });
    };
    runs_ = has_loop(ir::TripSource::runs);
    peers_ = has_loop(ir::TripSource::peers);
  }
  [[nodiscard]] double of(const ir::RowTile& tile) const {
    const auto looped = static_cast<double>(runs_ ? tile.trips() : peers_ ? tile.peers : 0);
    return looped > 0 ? looped + 1 : 0.25;
  }

 private:
  bool runs_ = false;
  bool peers_ = false;
};

double trips_of(const ir::Kernel& kernel) {
  const ItemTrips item_trips(kernel);
  double trips = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    double slab_trips = 0;
    for (const ir::RowTile& tile : family.tiles) slab_trips += item_trips.of(tile);
    trips += slab_trips * static_cast<double>(family.slab_count);
  }
  return trips;
}

// A tensor that all slabs share counts for nothing in L2 and HBM below this part of L2: lengths, block tables.
constexpr double kNegligibleInL2 = 0.01;

// Ways in which a part visits its slabs in turn: as many of each as the whole has, or all ways with fewer slabs each; 0: neither.
std::int64_t ways_of_part(std::int64_t ways, std::int64_t slabs, const ChipPart& part) {
  if (ways <= 1) return 1;
  const auto fewer = static_cast<double>(ways) / part.times;
  if (fewer == std::floor(fewer)) return static_cast<std::int64_t>(fewer);
  return part.slabs_of(slabs) % ways == 0 ? ways : 0;
}

// What a group of slabs walks in its loops (K and V) stays in L2 while its items share it. A part has only 1/n of L2: it must hold some
// whole groups in flight, or what its one group walks must fit with room to spare.
constexpr double kGroupsInFlight = 2;
constexpr double kRoomInL2 = 0.5;

bool keeps_sharing(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip, const ChipPart& part) {
  const double slots = static_cast<double>(part.sms) * ctas_per_sm(kernel, chip);
  for (const ir::ItemFamily& family : kernel.families) {
    double walked = 0;
    double group_items = 1;
    for (const ir::Agent& agent : kernel.program.agents) {
      for (const auto& section : agent.sections) {
        for (const ir::Op& op : section) {
          if (op.kind != ir::OpKind::load || op.access.row_from != ir::RowFrom::trip) continue;
          const ir::Tensor& tensor = tensors[static_cast<std::size_t>(op.access.tensor)];
          const std::int64_t rows = op.access.order == ir::kNone ? family.loop_extent : std::min(family.loop_extent, tensor.rows);
          walked += static_cast<double>(rows * tensor.cols) * ir::bits_of(tensor.dtype) / 8;
          group_items = std::max(group_items, static_cast<double>(family.tiles.size()) * static_cast<double>(op.access.slab_divisor));
        }
      }
    }
    const bool one_item = family.tiles.size() == 1 && group_items == 1;  // nothing is shared
    if (!one_item && kGroupsInFlight * group_items > slots &&
        walked > kRoomInL2 * static_cast<double>(chip.l2_effective().count()) / part.times)
      return false;
  }
  return true;
}

// A section of slabs is what L2 holds at a time, and a part has 1/n of L2: it keeps whole groups of slabs that share K and V.
std::int64_t section_of_part(const ir::Kernel& kernel, const ChipPart& part) {
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
  const auto slabs = static_cast<std::int64_t>(static_cast<double>(kernel.grid.section_slabs) / part.times);
  return std::max<std::int64_t>(1, slabs / group) * group;
}

// A part keeps whole groups of the slabs that share a tensor's rows, and the grid's order.
bool divides(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip, const ChipPart& part) {
  if (kernel.grid.policy == ir::GridPolicy::lists || !keeps_sharing(kernel, tensors, chip, part)) return false;
  const auto l2_bytes = static_cast<double>(chip.l2_effective().count());
  for (const ir::ItemFamily& family : kernel.families) {
    const std::int64_t slabs = part.slabs_of(family.slab_count);
    if (ways_of_part(kernel.grid.interleave, family.slab_count, part) == 0) return false;
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

// Persistent CTAs that take every n-th item meet some row tiles of each slab only, where n and their number have a common divisor.
bool keeps_turns(const ir::Kernel& kernel, const Chip& chip, int ctas, const ChipPart& part) {
  if (kernel.grid.policy != ir::GridPolicy::persistent_static || kernel.grid.fastest != ir::Fastest::tiles) return true;
  return std::all_of(kernel.families.begin(), kernel.families.end(), [&](const ir::ItemFamily& family) {
    const auto tiles = static_cast<std::int64_t>(family.tiles.size());
    if (std::gcd(std::int64_t{part.sms} * ctas, tiles) == std::gcd(std::int64_t{chip.sm.count} * ctas, tiles)) return true;
    const auto as_first = [&](const ir::RowTile& tile) { return tile.trips() == family.tiles.front().trips(); };
    return std::all_of(family.tiles.begin(), family.tiles.end(), as_first);
  });
}

// Whether whole slabs come to what the part's SMs have to do, in as many waves of CTAs as on the chip.
bool has_its_slabs(const ir::Kernel& kernel, const Chip& chip, int ctas, const ChipPart& part, double tolerance) {
  if (kernel.grid.cluster > 1 && (chip.sm.count % part.sms != 0 || chip.sm.gpcs % (chip.sm.count / part.sms) != 0)) return false;
  std::int64_t items = 0;
  std::int64_t part_items = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    const std::int64_t slabs = part.slabs_of(family.slab_count);
    const double off = static_cast<double>(slabs) * part.times / static_cast<double>(family.slab_count) - 1;
    if (slabs < 1 || std::abs(off) > tolerance) return false;
    items += family.item_count();
    part_items += slabs * static_cast<std::int64_t>(family.tiles.size());
  }
  const auto waves = [ctas](std::int64_t n, int sms) {
    const std::int64_t slots = static_cast<std::int64_t>(sms) * ctas;
    return (n + slots - 1) / slots;
  };
  return waves(items, chip.sm.count) == waves(part_items, part.sms);
}

// How many times as long as its part the kernel takes whose work per SM is `work` times the part's. With one CTA on an SM trips tell how
// items spread over the SMs of each: a few heads whose long items come first end otherwise than a quarter of them on a quarter of the
// SMs. CTAs that share an SM go faster as others end, by what is not known here. What waits for HBM is no tail.
double times_as_long(const ir::Kernel& whole, const MachineConfig& all, const ir::Kernel& part, const MachineConfig& some, double work,
                     double hbm_busy) {
  if (all.ctas_per_sm > 1) return work;
  const ItemTrips item_trips(whole);
  std::deque<ItemCost> costs;  // neighbours that are alike share one
  CostTable table;
  for (const ir::ItemFamily& family : whole.families) {
    std::vector<const ItemCost*>& row = table.emplace_back();
    row.reserve(family.tiles.size());
    for (const ir::RowTile& tile : family.tiles) {
      const double trips = item_trips.of(tile);
      if (costs.empty() || costs.back().shared_ticks != trips) costs.push_back({trips, trips, 0, {}});
      row.push_back(&costs.back());
    }
  }
  const double spread = distribute(whole, table, all, true).ticks / distribute(part, table, some, true).ticks;
  return work + (spread - work) * (1 - hbm_busy);
}

// What HBM's time of all bytes comes to in reads.
double read_equivalent(const MachineResult& result, const MachineConfig& config) {
  return result.hbm_bytes + result.hbm_written_bytes * (config.hbm_write_cost - 1);
}

double l2_ticks(const MachineResult& counted, const MachineConfig& whole) {
  return (counted.l2_bytes + counted.l2_read_to_add_bytes) / whole.rates.l2;
}

// HBM may take this part of a kernel's time before its speed in cycles counts: then the clock changes the time of a cycle alone.
constexpr double kHiddenHbm = 0.25;

bool hides_hbm(const MachineResult& played, const MachineConfig& whole) {
  return played.hbm_bytes / whole.rates.hbm <= kHiddenHbm * static_cast<double>(played.ticks);
}

}  // namespace

bool has_room_in_l2(const ir::Kernel& kernel, const Chip& chip) {
  double register_bytes = 0;
  for (const ir::Agent& agent : kernel.program.agents) register_bytes += 4.0 * 32 * agent.warps * agent.registers_per_thread;
  const double held = std::max(static_cast<double>(kernel.program.smem_bytes()), kOfRegisters * register_bytes);
  return static_cast<double>(chip.l2_effective().count()) >= kRoomForTiles * held * chip.sm.count * ctas_per_sm(kernel, chip);
}

ChipPart part_of_chip(const ir::Pipeline& pipeline, const Chip& chip) {
  struct Divided {
    const ir::Kernel* kernel = nullptr;
    int ctas = 1;
  };
  std::vector<Divided> kernels;
  double most = 0;  // trips
  bool room = true;
  for (const ir::Node& node : pipeline.nodes()) {
    const auto* kernel = std::get_if<ir::Kernel>(&node.work);
    if (kernel == nullptr) continue;
    kernels.push_back({kernel, ctas_per_sm(*kernel, chip)});
    most = std::max(most, trips_of(*kernel));
    room = room && has_room_in_l2(*kernel, chip);
  }
  const int sms = chip.sm.count;
  const auto sms_of = [&](double trips) { return static_cast<int>(std::ceil(sms * std::min(1.0, trips / std::max(1.0, most)))); };
  const double l2_per_sm = static_cast<double>(chip.l2_effective().count()) / sms;
  for (int n = std::max(sms_of(kTripsPerPart), room ? kLeastSms : kLeastSmsSmallL2); n < sms; ++n) {
    if (n * l2_per_sm < kManyBlocksBytes && n < sms_of(kTripsPerPartFewBlocks)) continue;
    if (room ? n < kLeastSmsSmallL2 && n * l2_per_sm < kLeastL2Bytes : sms % n != 0) continue;
    const ChipPart part{n, static_cast<double>(sms) / n};
    const auto slabs_fit = [&](const Divided& d) {
      return keeps_turns(*d.kernel, chip, d.ctas, part) && has_its_slabs(*d.kernel, chip, d.ctas, part, room ? kSlabsOff : 0);
    };
    const auto all_divide = [&](const Divided& d) { return divides(*d.kernel, pipeline.tensors(), chip, part); };
    if (std::all_of(kernels.begin(), kernels.end(), slabs_fit) && std::all_of(kernels.begin(), kernels.end(), all_divide)) return part;
  }
  return {sms, 1};
}

bool plays_steps(const ir::Kernel& kernel, const Chip& chip, const ChipPart& part) {
  const auto& tokens = kernel.program.tokens;
  const bool turns = std::any_of(tokens.begin(), tokens.end(), [](const ir::Token& t) { return t.scope == ir::TokenScope::turn; });
  const bool known = has_room_in_l2(kernel, chip) && kernel.grid.policy != ir::GridPolicy::lists;
  return trips_of(kernel) / part.times <= (known && !turns ? kPlayedTrips : kPlayedTripsNoForm);
}

MachineResult FastKernel::play(const MachineConfig& whole) {
  if (!counted_) counted_ = count_work(selected_, tensors_, whole, chip_);
  if (!plays_steps_) {
    if (whole.cache != nullptr) leave_results(*selected_.kernel, tensors_, chip_, part_, *whole.cache);
    return play_classes(whole, *counted_);
  }
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
  config.leave_out = has_room_in_l2(*selected_.kernel, chip_);
  config.sms = part_.sms;
  config.gpcs = std::max(1, static_cast<int>(whole.gpcs / part_.times));
  config.rates.l2 /= part_.times;
  config.rates.hbm /= part_.times;
  KernelPlan plan = plan_kernel(selected_, chip_, config);
  plan.launch_interval = std::llround(static_cast<double>(plan.launch_interval) * part_.times);
  MachineResult played;
  double n = 1;       // of the part's work in the whole
  double longer = 1;  // than the part the whole takes
  if (part_.sms == whole.sms) {
    played = attnsim::play(selected_, plan, tensors_, config);
  } else {
    ir::Kernel kernel = *selected_.kernel;  // the steps go on to point to the whole kernel's ops, which are the same
    if (!kernel.families.empty()) kernel.grid.interleave = ways_of_part(kernel.grid.interleave, kernel.families.front().slab_count, part_);
    for (ir::ItemFamily& family : kernel.families) family.slab_count = part_.slabs_of(family.slab_count);
    kernel.grid.section_slabs = section_of_part(kernel, part_);
    n = trips_of(*selected_.kernel) / trips_of(kernel);
    SelectedKernel part = selected_;
    part.kernel = &kernel;
    played = attnsim::play(part, plan, tensors_, config);
    const double hbm_busy = std::min(1.0, read_equivalent(played, config) / config.rates.hbm / static_cast<double>(played.ticks));
    longer = times_as_long(*selected_.kernel, whole, kernel, config, n / part_.times, hbm_busy);
  }
  out.ctas = std::llround(static_cast<double>(played.ctas) * n);
  out.spread = played.spread;
  out.loaded_bytes = played.loaded_bytes * n;
  out.hit_bytes = played.hit_bytes * n;
  out.hbm_bytes = played.hbm_bytes * n;
  out.hbm_written_bytes = played.hbm_written_bytes * n;
  out.resident_cycles = played.resident_cycles * n;
  out.cta_cycles = played.cta_cycles * n;
  for (int sm = 0; sm < whole.sms; ++sm)
    out.drain_ticks.push_back(
        played.drain_ticks[static_cast<std::size_t>(sm) * played.drain_ticks.size() / static_cast<std::size_t>(whole.sms)]);
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = played.wait_cycles[i] * n;
  auto ticks = static_cast<double>(played.ticks) * longer;
  if (!has_effect(conditions_, "waves")) {  // the same occupied time over all SMs, no faster than the memory
    const double resident = out.resident_cycles * static_cast<double>(kTicksPerCycle) / whole.sms;
    ticks = std::max({resident, read_equivalent(out, whole) / whole.rates.hbm, l2_ticks(out, whole)});
  }
  // Loops that are extended while L2 is saturated may end a little early.
  if (out.ctas > 0) ticks = std::max(ticks, l2_ticks(out, whole) + start_ticks(whole));
  out.ticks = static_cast<std::int64_t>(std::ceil(ticks));
  return out;
}

double FastKernel::start_ticks(const MachineConfig& whole) const {
  return whole.cta_start ? chip_.launch.cta_start_cycles * static_cast<double>(kTicksPerCycle) : 0;
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
  // Memory that is slower than the SMs is idle until the first CTA reads; meanwhile CTAs stay, waiting.
  const double memory_ticks = std::max(residency_.hbm_read_equivalent_bytes / whole.rates.hbm, l2_ticks(out, whole));
  const double idle_ticks = std::max(makespan_.start_ticks, start_ticks(whole));
  out.ticks = static_cast<std::int64_t>(std::ceil(std::max(makespan_.ticks + makespan_.start_ticks, memory_ticks + idle_ticks)));
  const double stretch = std::max(1.0, memory_ticks / makespan_.ticks);
  out.resident_cycles = 0;
  for (std::size_t f = 0; f < table_.size(); ++f) {
    const auto slabs = static_cast<double>(kernel.families[f].slab_count);
    for (const ItemCost* cost : table_[f]) {
      out.resident_cycles += cost->shared_ticks * stretch / static_cast<double>(kTicksPerCycle) * slabs;
      for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] += cost->wait_cycles[i] * slabs;
    }
  }
  return out;
}

}  // namespace attnsim
