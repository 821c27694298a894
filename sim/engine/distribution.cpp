// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/distribution.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

namespace attnsim {

namespace {

// What an item takes longer among as many as there are slots than alone.
double longer_ticks(const ItemCost& cost, int slots) {
  return cost.shared_ticks * slots - cost.alone_ticks;
}

// Time of an item that shares the SM with k - 1 others all along.
double duration(const ItemCost& cost, std::size_t k, int slots) {
  if (k <= 1 || slots <= 1) return cost.alone_ticks;
  const double share = static_cast<double>(k - 1) / static_cast<double>(slots - 1);
  return cost.alone_ticks + longer_ticks(cost, slots) * share;
}

// The same on an SM that is full, without a division.
double held_ticks(const ItemCost& cost, int slots) {
  return slots <= 1 ? cost.alone_ticks : cost.alone_ticks + longer_ticks(cost, slots);
}

// A slot of an SM with the item that it holds, were the SM to stay as full as it is.
struct Slot {
  double end = 0;
  int sm = 0;
  const ItemCost* cost = nullptr;
  [[nodiscard]] bool before(const Slot& other) const { return end != other.end ? end < other.end : sm < other.sm; }
};

// Slots in order of their ends: a ring of buckets, each put in order when its turn comes. `in_step`: of those that end at once the first
// of each SM comes before the second of any, as they were filled; else those of one SM together.
class SlotCalendar {
 public:
  SlotCalendar(std::size_t places, double longest, bool in_step) : in_step_(in_step) {
    scale_ = longest > 0 ? static_cast<double>(kPerLongest) / longest : 0;
    slots_.reserve(places);
  }

  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  [[nodiscard]] const std::vector<Slot>& slots() const { return slots_; }
  void add(const Slot& slot) { slots_.push_back(slot); }
  // Items of one cost, each of which goes to the slot that is free first. All slots have been added.
  void take(const ItemCost& cost, double held, std::int64_t items) {
    constexpr int kTries = 2;
    const auto all = static_cast<std::int64_t>(size());
    for (int i = 0; i < kTries && items > all && held > 0; ++i) {
      const auto ends = std::minmax_element(slots_.begin(), slots_.end(), [](const Slot& a, const Slot& b) { return a.end < b.end; });
      const double last = ends.second->end;
      if (last < ends.first->end + held) {
        take_in_turn(cost, held, items / all);
        items %= all;
      } else {  // then the others catch up first
        const auto earlier = std::count_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.end < last; });
        for (std::int64_t k = 0; k < std::min<std::int64_t>(earlier, items); ++k) take_first(cost, held);
        items -= std::min<std::int64_t>(earlier, items);
      }
    }
    for (; items > 0; --items) take_first(cost, held);
  }

 private:
  [[nodiscard]] auto later() const {
    return [this](std::uint32_t a, std::uint32_t b) {
      if (in_step_ && slots_[a].end == slots_[b].end) return b < a;
      return slots_[b].before(slots_[a]);
    };
  }
  void take_first(const ItemCost& cost, double held) {
    if (next_.empty()) enter_all();
    while (due_.empty()) open_next();
    const std::uint32_t index = due_.back();
    due_.pop_back();
    slots_[index].end += held;
    slots_[index].cost = &cost;
    enter(index);
  }
  // So many to each slot: none is free twice before each is once.
  void take_in_turn(const ItemCost& cost, double held, std::int64_t rounds) {
    for (Slot& slot : slots_) {
      for (std::int64_t i = 0; i < rounds; ++i) slot.end += held;
      slot.cost = &cost;
    }
    next_.clear();
    due_.clear();
    std::fill(first_.begin(), first_.end(), kNone);
  }
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kPerLongest = 1024;  // buckets
  [[nodiscard]] std::uint64_t bucket_of(double end) const { return static_cast<std::uint64_t>(end * scale_); }
  [[nodiscard]] std::size_t at(std::uint64_t bucket) const { return bucket & (first_.size() - 1); }
  void enter_all() {
    next_.assign(slots_.size(), kNone);
    const auto earlier = [](const Slot& a, const Slot& b) { return a.end < b.end; };
    now_ = bucket_of(std::min_element(slots_.begin(), slots_.end(), earlier)->end) - 1;
    for (std::size_t i = 0; i < slots_.size(); ++i) enter(static_cast<std::uint32_t>(i));
  }
  void enter(std::uint32_t index) {
    const std::uint64_t bucket = bucket_of(slots_[index].end);
    if (bucket == now_) {  // among those that are due
      due_.insert(std::lower_bound(due_.begin(), due_.end(), index, later()), index);
      return;
    }
    next_[index] = first_[at(bucket)];
    first_[at(bucket)] = index;
  }
  void open_next() {
    while (first_[at(++now_)] == kNone) {
    }
    for (std::uint32_t i = std::exchange(first_[at(now_)], kNone); i != kNone; i = next_[i]) due_.push_back(i);
    std::sort(due_.begin(), due_.end(), later());
  }

  bool in_step_ = false;
  double scale_ = 0;
  std::uint64_t now_ = 0;  // bucket
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> due_;                                                         // those of the bucket, the first one last
  std::vector<std::uint32_t> next_;                                                        // by slot: another one of its bucket
  std::vector<std::uint32_t> first_ = std::vector<std::uint32_t>(2 * kPerLongest, kNone);  // by bucket
};

// End of an SM that gets no further item. `running` in order of ends, with the durations of `k` = running.size(); empty then.
double drain(std::vector<Slot>& running, int slots) {
  double now = 0;
  while (!running.empty()) {
    const std::size_t k = running.size();
    now = running.front().end;
    running.erase(running.begin());
    for (Slot& slot : running) slot.end = now + (slot.end - now) / duration(*slot.cost, k, slots) * duration(*slot.cost, k - 1, slots);
    std::sort(running.begin(), running.end(), [](const Slot& a, const Slot& b) { return a.before(b); });
  }
  return now;
}

// Longest items that fit one after the other into the makespan, from which on the beginning is spread evenly, and those that
// are then still placed one by one.
constexpr double kManyItems = 40;
constexpr double kPlacedItems = 15;

// Items at the beginning of the grid that need not be placed one by one: whole rounds over all places.
std::int64_t even_items(const ir::Kernel& kernel, const CostTable& costs, std::int64_t places, int slots) {
  double total = 0;
  double longest = 0;
  double items = 0;
  for (std::size_t f = 0; f < costs.size(); ++f) {
    const auto slabs = static_cast<double>(kernel.families[f].slab_count);
    for (const ItemCost* cost : costs[f]) {
      const double held = held_ticks(*cost, slots);
      total += held * slabs;
      items += slabs;
      longest = std::max(longest, held);
    }
  }
  const double rounds = total / static_cast<double>(places);
  if (rounds <= kManyItems * longest) return 0;
  return static_cast<std::int64_t>(items * (1 - kPlacedItems * longest / rounds)) / places * places;
}

}  // namespace

CostTable cost_table(const ir::Kernel& kernel, ClassCosts& costs) {
  CostTable table;
  table.reserve(kernel.families.size());
  for (const ir::ItemFamily& family : kernel.families) {
    std::vector<const ItemCost*>& row = table.emplace_back();
    row.reserve(family.tiles.size());
    for (const ir::RowTile& tile : family.tiles) row.push_back(&costs.cost(class_of(tile)));
  }
  return table;
}

double makespan(const ir::Kernel& kernel, const CostTable& costs, int sms, int slots) {
  const std::size_t places = static_cast<std::size_t>(sms) * static_cast<std::size_t>(slots);
  std::int64_t even = even_items(kernel, costs, static_cast<std::int64_t>(places), slots);
  double longest = 0;
  for (const auto& row : costs) {
    for (const ItemCost* cost : row) longest = std::max(longest, held_ticks(*cost, slots));
  }
  double done = 0;
  // After a first wave SMs drift apart more than the slots of one do, and those of a cluster wait for each other's places.
  const bool in_step = kernel.grid.cluster <= 1 && ir::ItemSequence(kernel).size() <= 2 * static_cast<std::int64_t>(places);
  SlotCalendar queue(places, longest, in_step);
  bool full = false;  // every place has been taken
  const ItemCost* waiting = nullptr;
  std::int64_t waiting_items = 0;  // of that cost, in a row
  const auto place_waiting = [&] {
    if (waiting_items > 0) queue.take(*waiting, held_ticks(*waiting, slots), waiting_items);
    waiting_items = 0;
  };
  each_run(
      kernel, even,
      [&](std::size_t family, std::int64_t slabs) {
        double once = 0;
        for (const ItemCost* cost : costs[family]) once += held_ticks(*cost, slots);
        done += once * static_cast<double>(slabs);
        even -= slabs * static_cast<std::int64_t>(costs[family].size());
      },
      [&](std::size_t family, std::size_t tile, std::int64_t count) {
        const ItemCost& cost = *costs[family][tile];
        const double held = held_ticks(cost, slots);
        const std::int64_t spread = std::min(count, even);
        done += held * static_cast<double>(spread);
        even -= spread;
        count -= spread;
        for (; count > 0 && !full; --count) {
          queue.add({done / static_cast<double>(places) + held, static_cast<int>(queue.size() % static_cast<std::size_t>(sms)), &cost});
          full = queue.size() == places;
        }
        if (count == 0) return;
        if (waiting != &cost) place_waiting();
        waiting = &cost;
        waiting_items += count;
      });
  place_waiting();
  if (slots == 1) {
    double last = 0;
    for (const Slot& slot : queue.slots()) last = std::max(last, full ? slot.end : duration(*slot.cost, 1, slots));
    return last;
  }
  double end = 0;
  std::vector<Slot> running;
  for (std::size_t sm = 0; sm < static_cast<std::size_t>(sms); ++sm) {
    for (std::size_t i = sm; i < queue.size(); i += static_cast<std::size_t>(sms)) running.push_back(queue.slots()[i]);  // in turn
    if (!full) {
      for (Slot& slot : running) slot.end = duration(*slot.cost, running.size(), slots);
    }
    std::sort(running.begin(), running.end(), [](const Slot& a, const Slot& b) { return a.before(b); });
    end = std::max(end, drain(running, slots));
  }
  return end;
}

namespace {

// Every CTA its own list; those that find no room on an SM follow, in order, on the first that ends.
double end_of_lists(const ir::Kernel& kernel, const CostTable& costs, int sms, int slots) {
  std::vector<const ItemCost*> items;
  each_run(kernel, [&](std::size_t family, std::size_t tile, std::int64_t count) {
    for (; count > 0; --count) items.push_back(costs[family][tile]);
  });
  const auto resident = std::min<std::size_t>(
      static_cast<std::size_t>(slots), (kernel.grid.lists.size() + static_cast<std::size_t>(sms) - 1) / static_cast<std::size_t>(sms));
  std::vector<double> ends(resident * static_cast<std::size_t>(sms), 0);  // a heap, the first on top
  double last = 0;
  for (const std::vector<std::int64_t>& list : kernel.grid.lists) {
    std::pop_heap(ends.begin(), ends.end(), std::greater<>());
    for (const std::int64_t position : list) ends.back() += duration(*items.at(static_cast<std::size_t>(position)), resident, slots);
    last = std::max(last, ends.back());
    std::push_heap(ends.begin(), ends.end(), std::greater<>());
  }
  return last;
}

}  // namespace

Makespan distribute(const ir::Kernel& kernel, const CostTable& costs, const MachineConfig& whole, bool waves) {
  Makespan out;
  const auto first = std::find_if(kernel.families.begin(), kernel.families.end(),
                                  [](const ir::ItemFamily& family) { return family.slab_count > 0 && !family.tiles.empty(); });
  if (first == kernel.families.end()) return out;
  const bool descending = kernel.grid.tile_order == ir::TileOrder::descending;
  const auto& row = costs[static_cast<std::size_t>(first - kernel.families.begin())];
  out.start_ticks = (descending ? row.back() : row.front())->start_ticks;
  if (!waves) {
    each_run(kernel, [&](std::size_t family, std::size_t tile, std::int64_t count) {
      out.ticks += costs[family][tile]->shared_ticks * static_cast<double>(count) / whole.sms;
    });
  } else if (kernel.grid.policy == ir::GridPolicy::lists) {
    out.ticks = end_of_lists(kernel, costs, whole.sms, whole.ctas_per_sm);
  } else if (kernel.grid.policy == ir::GridPolicy::persistent_static && whole.ctas_per_sm == 1) {
    std::vector<double> load(static_cast<std::size_t>(whole.sms), 0);
    std::size_t next = 0;
    each_run(kernel, [&](std::size_t family, std::size_t tile, std::int64_t count) {
      const double ticks = costs[family][tile]->shared_ticks;
      for (; count > 0; --count) {
        load[next] += ticks;
        next = next + 1 == load.size() ? 0 : next + 1;
      }
    });
    out.ticks = *std::max_element(load.begin(), load.end());
  } else {
    out.ticks = makespan(kernel, costs, whole.sms, whole.ctas_per_sm);
  }
  return out;
}

}  // namespace attnsim
