// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/fast.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <queue>
#include <tuple>

#include "sim/engine/kernel_plan.h"
#include "sim/engine/residency.h"

namespace attnsim {

namespace {

// Items per CTA slot in the two plays whose difference is the steady cost of one item.
constexpr std::int64_t kShortPlay = 2;
constexpr std::int64_t kLongPlay = 5;
// Loops up to kExactTrips are played in full; longer ones are extrapolated from the slope between the two lengths.
constexpr std::int64_t kExactTrips = 24;
constexpr std::int64_t kSlopeFrom = 12;
constexpr std::int64_t kSlopeTo = 36;

struct ItemClass {
  std::int64_t full = 0;
  std::int64_t partial = 0;
  std::int64_t peers = 0;
  bool flag = false;
  bool partial_first = true;
  auto operator<=>(const ItemClass&) const = default;
};

ItemClass class_of(const ir::RowTile& tile) {
  const std::int64_t partial = tile.partial_trips();
  return {tile.trips() - partial, partial, tile.peers, tile.flag, tile.runs.empty() || tile.runs.front().partial};
}

struct ItemCost {
  double shared_ticks = 0;                       // SM time per item when every slot is taken
  double alone_ticks = 0;                        // duration of an item that has the SM to itself
  double start_ticks = 0;                        // before the first item's steady part
  std::array<double, kWaitCount> wait_cycles{};  // per item
};

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

class ClassCosts {
 public:
  ClassCosts(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole,
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

  const ItemCost& cost(const ItemClass& c) {
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

  // Largest relative half-range over start offsets among the classes played so far.
  [[nodiscard]] double spread() const { return spread_; }

 private:
  ItemCost exact(const ItemClass& c) {
    const auto found = exact_.find(c);
    if (found != exact_.end()) return found->second;
    return exact_.emplace(c, play_class(c)).first->second;
  }

  MachineResult play_items(const ItemClass& c, std::int64_t items, int ctas_per_sm) {
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
  ItemCost play_class(const ItemClass& c) {
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

  ItemCost play_offset(const ItemClass& c) {
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

  static ir::RowTile representative(const ItemClass& c) {
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

  const SelectedKernel& selected_;
  const std::vector<ir::Tensor>& tensors_;
  const Chip& chip_;
  MachineConfig slice_;
  ir::Kernel kernel_;
  std::map<ItemClass, ItemCost> costs_;
  std::map<ItemClass, ItemCost> exact_;
  double spread_ = 0;
};

// Items in grid order over SMs with `slots` places each. An item among k on an SM progresses at 1 / duration(k).
class Distribution {
 public:
  Distribution(int sms, int slots) : slots_(slots), sms_(static_cast<std::size_t>(sms)) {
    for (int sm = 0; sm < sms; ++sm) queue_.push({0, sm, 0});
  }

  void add(const ItemCost& cost) {
    while (true) {  // the least loaded SM with a free place, else the first to finish an item
      if (filled_ < static_cast<std::int64_t>(sms_.size()) * slots_) {
        place(static_cast<int>(filled_ % static_cast<std::int64_t>(sms_.size())), cost);
        ++filled_;
        return;
      }
      const int sm = finish_next();
      if (sm >= 0) {
        place(sm, cost);
        return;
      }
    }
  }

  double drain() {
    while (!queue_.empty()) finish_next();
    return end_;
  }

 private:
  struct Running {
    double left = 1;  // fraction
    const ItemCost* cost = nullptr;
  };
  struct Sm {
    double now = 0;
    std::vector<Running> running;
    std::int64_t version = 0;
  };
  struct Next {
    double time = 0;
    int sm = 0;
    std::int64_t version = 0;
    bool operator>(const Next& other) const { return time != other.time ? time > other.time : sm > other.sm; }
  };

  [[nodiscard]] double duration(const ItemCost& cost, std::size_t k) const {
    if (k <= 1 || slots_ <= 1) return cost.alone_ticks;
    const double share = static_cast<double>(k - 1) / static_cast<double>(slots_ - 1);
    return cost.alone_ticks + (cost.shared_ticks * slots_ - cost.alone_ticks) * share;
  }

  void place(int index, const ItemCost& cost) {
    Sm& sm = sms_[static_cast<std::size_t>(index)];
    sm.running.push_back({1, &cost});
    schedule(index);
  }

  void schedule(int index) {
    Sm& sm = sms_[static_cast<std::size_t>(index)];
    ++sm.version;
    if (sm.running.empty()) return;
    double soonest = std::numeric_limits<double>::infinity();
    for (const Running& r : sm.running) soonest = std::min(soonest, r.left * duration(*r.cost, sm.running.size()));
    queue_.push({sm.now + soonest, index, sm.version});
  }

  // Ends the earliest item; returns its SM, or -1 for a stale entry.
  int finish_next() {
    const Next next = queue_.top();
    queue_.pop();
    Sm& sm = sms_[static_cast<std::size_t>(next.sm)];
    if (next.version != sm.version || sm.running.empty()) return -1;
    const double elapsed = next.time - sm.now;
    std::size_t done = 0;
    for (std::size_t i = 0; i < sm.running.size(); ++i) {
      sm.running[i].left -= elapsed / duration(*sm.running[i].cost, sm.running.size());
      if (sm.running[i].left < sm.running[done].left) done = i;
    }
    sm.now = next.time;
    end_ = std::max(end_, next.time);
    sm.running.erase(sm.running.begin() + static_cast<std::ptrdiff_t>(done));
    schedule(next.sm);
    return next.sm;
  }

  int slots_;
  std::vector<Sm> sms_;
  std::priority_queue<Next, std::vector<Next>, std::greater<>> queue_;
  std::int64_t filled_ = 0;
  double end_ = 0;
};

double distribute(const ir::Kernel& kernel, ClassCosts& costs, const MachineConfig& whole, bool waves, double& start) {
  const ir::ItemSequence sequence(kernel);
  const auto cost_at = [&](std::int64_t position) -> const ItemCost& { return costs.cost(class_of(*sequence.at(position).tile)); };
  start = sequence.size() > 0 ? cost_at(0).start_ticks : 0;
  if (!waves) {
    double total = 0;
    for (std::int64_t i = 0; i < sequence.size(); ++i) total += cost_at(i).shared_ticks;
    return total / whole.sms;
  }
  const auto slots = static_cast<std::int64_t>(whole.sms) * whole.ctas_per_sm;
  if (kernel.grid.policy == ir::GridPolicy::persistent_static && whole.ctas_per_sm == 1) {
    std::vector<double> load(static_cast<std::size_t>(slots), 0);
    for (std::int64_t i = 0; i < sequence.size(); ++i) load[static_cast<std::size_t>(i % slots)] += cost_at(i).shared_ticks;
    return *std::max_element(load.begin(), load.end());
  }
  Distribution distribution(whole.sms, whole.ctas_per_sm);
  for (std::int64_t i = 0; i < sequence.size(); ++i) distribution.add(cost_at(i));
  return distribution.drain();
}

}  // namespace

MachineResult play_fast(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                        const Conditions& conditions, const MachineConfig& whole) {
  const ir::Kernel& kernel = *selected.kernel;
  MachineResult out = count_work(selected, tensors, whole, chip);
  const Residency residency = estimate_residency(kernel, tensors, chip, conditions, whole);
  ClassCosts costs(selected, tensors, chip, whole, residency.hit_fraction);
  double start = 0;
  const double makespan = distribute(kernel, costs, whole, conditions.without.count("waves") == 0, start);
  out.spread = costs.spread();
  out.hbm_bytes = residency.hbm_bytes;
  out.hit_bytes = out.loaded_bytes * residency.hit_fraction;
  const double hbm_ticks = residency.hbm_read_equivalent_bytes / whole.rates.hbm;
  const double l2_ticks = out.l2_bytes / whole.rates.l2;
  out.ticks = static_cast<std::int64_t>(std::ceil(std::max({makespan, hbm_ticks, l2_ticks}) + start));
  out.resident_cycles = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) {
      const ItemCost& cost = costs.cost(class_of(tile));
      out.resident_cycles += cost.shared_ticks / static_cast<double>(kTicksPerCycle) * static_cast<double>(family.slab_count);
      for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] += cost.wait_cycles[i] * static_cast<double>(family.slab_count);
    }
  }
  return out;
}

}  // namespace attnsim
