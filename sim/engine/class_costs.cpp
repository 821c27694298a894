// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/class_costs.h"

#include <algorithm>
#include <limits>

namespace attnsim {

namespace {

// Items per CTA slot in the two plays whose difference is the steady cost of one item.
constexpr std::int64_t kShortPlay = 2;
constexpr std::int64_t kLongPlay = 5;
// Loops up to kExactTrips are played in full; longer ones are extrapolated from the slope between the two lengths.
constexpr std::int64_t kExactTrips = 24;
constexpr std::int64_t kSlopeFrom = 12;
constexpr std::int64_t kSlopeTo = 36;

ItemCost operator+(const ItemCost& a, const ItemCost& b) {
  ItemCost out{a.shared_ticks + b.shared_ticks, a.alone_ticks + b.alone_ticks, a.start_ticks + b.start_ticks, {}};
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = a.wait_cycles[i] + b.wait_cycles[i];
  return out;
}

ItemCost operator*(const ItemCost& a, double x) {
  ItemCost out{a.shared_ticks * x, a.alone_ticks * x, a.start_ticks * x, {}};
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = a.wait_cycles[i] * x;
  return out;
}

ir::RowTile representative(const ItemClass& c) {
  ir::RowTile tile;
  tile.rows = INT32_MAX / 4;  // every row valid
  tile.peers = static_cast<int>(c.peers);
  tile.flag = c.flag;
  const ir::TripRun partial{c.full, c.partial, 1, true};
  const ir::TripRun full{0, c.full, 1, false};
  if (c.partial_first && c.partial > 0) tile.runs.push_back(partial);
  if (c.full > 0) tile.runs.push_back(full);
  if (!c.partial_first && c.partial > 0) tile.runs.push_back(partial);
  return tile;
}

}  // namespace

ItemClass class_of(const ir::RowTile& tile) {
  const std::int64_t partial = tile.partial_trips();
  return {tile.trips() - partial, partial, tile.peers, tile.flag, tile.runs.empty() || tile.runs.front().partial};
}

ClassCosts::ClassCosts(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole,
                       double hit_fraction)
    : selected_(selected), tensors_(tensors), chip_(chip), slice_(whole), kernel_(*selected.kernel) {
  slice_.sms = 1;
  slice_.cache = nullptr;
  slice_.listener = nullptr;
  slice_.hit_fraction = hit_fraction;
  // An SM's transfers run at its port's rate: SMs take turns at L2 and HBM, whose totals bound the whole kernel instead. A
  // fixed share per SM would waste what an SM leaves unused while it computes.
  kernel_.grid.lists.clear();
  if (kernel_.grid.policy == ir::GridPolicy::lists) kernel_.grid.policy = ir::GridPolicy::persistent_dynamic;
}

const ItemCost& ClassCosts::cost(const ItemClass& c) {
  const auto found = costs_.find(c);
  if (found != costs_.end()) return found->second;
  ItemCost result;
  if (c.full <= kExactTrips) {
    result = play_class(c);
  } else {
    ItemClass near = c;
    ItemClass far = c;
    near.full = kSlopeFrom;
    far.full = kSlopeTo;
    const ItemCost at_near = exact(near);
    const ItemCost slope = (exact(far) + at_near * -1.0) * (1.0 / static_cast<double>(kSlopeTo - kSlopeFrom));
    result = at_near + slope * static_cast<double>(c.full - kSlopeFrom);
    result.start_ticks = at_near.start_ticks;
  }
  return costs_.emplace(c, result).first->second;
}

ItemCost ClassCosts::exact(const ItemClass& c) {
  const auto found = exact_.find(c);
  if (found != exact_.end()) return found->second;
  return exact_.emplace(c, play_class(c)).first->second;
}

MachineResult ClassCosts::play_items(const ItemClass& c, std::int64_t items, int ctas_per_sm) {
  ir::RowTile tile = representative(c);
  ir::ItemFamily family;
  family.slab_count = items;
  family.loop_extent = INT64_MAX / 1024;
  family.tiles = {tile};
  kernel_.families = {family};
  MachineConfig config = slice_;
  config.ctas_per_sm = ctas_per_sm;
  SelectedKernel selected = selected_;
  selected.kernel = &kernel_;  // same program, other items
  return play(selected, tensors_, chip_, config);
}

// The mean over start offsets where agents or CTAs share the SM.
ItemCost ClassCosts::play_class(const ItemClass& c) {
  const bool shares = kernel_.program.agents.size() > 1 || slice_.ctas_per_sm > 1;
  const int offsets = shares ? kStartOffsets : 1;
  ItemCost mean;
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  for (slice_.start_offset = 0; slice_.start_offset < offsets; ++slice_.start_offset) {
    const ItemCost cost = play_offset(c);
    low = std::min(low, cost.shared_ticks);
    high = std::max(high, cost.shared_ticks);
    mean = mean + cost * (1.0 / offsets);
  }
  spread_ = std::max(spread_, (high - low) / (high + low));
  return mean;
}

ItemCost ClassCosts::play_offset(const ItemClass& c) {
  const int slots = slice_.ctas_per_sm;
  const MachineResult shorter = play_items(c, kShortPlay * slots, slots);
  const MachineResult longer = play_items(c, kLongPlay * slots, slots);
  const auto more = static_cast<double>((kLongPlay - kShortPlay) * slots);
  ItemCost out;
  out.shared_ticks = std::max(1.0, static_cast<double>(longer.ticks - shorter.ticks) / more);
  out.start_ticks = std::max(0.0, static_cast<double>(shorter.ticks) - out.shared_ticks * static_cast<double>(kShortPlay * slots));
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = (longer.wait_cycles[i] - shorter.wait_cycles[i]) / more;
  out.alone_ticks = out.shared_ticks;
  if (slots > 1) {
    const MachineResult one = play_items(c, kShortPlay, 1);
    const MachineResult two = play_items(c, kLongPlay, 1);
    out.alone_ticks = static_cast<double>(two.ticks - one.ticks) / static_cast<double>(kLongPlay - kShortPlay);
  }
  return out;
}

}  // namespace attnsim
