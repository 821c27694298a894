// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/distribution.h"

#include <algorithm>
#include <limits>

namespace attnsim {

namespace {

// Time of an item that shares the SM with k - 1 others all along.
double duration(const ItemCost& cost, std::size_t k, int slots) {
  if (k <= 1 || slots <= 1) return cost.alone_ticks;
  const double share = static_cast<double>(k - 1) / static_cast<double>(slots - 1);
  return cost.alone_ticks + (cost.shared_ticks * slots - cost.alone_ticks) * share;
}

// A slot of an SM with the item that it holds, were the SM to stay as full as it is.
struct Slot {
  double end = 0;
  int sm = 0;
  const ItemCost* cost = nullptr;
  [[nodiscard]] bool before(const Slot& other) const { return end != other.end ? end < other.end : sm < other.sm; }
};

// Slots in order of their ends. A new end is mostly the latest or near it, so it is moved in from the back.
class SlotQueue {
 public:
  explicit SlotQueue(std::size_t capacity) : ring_(std::max<std::size_t>(capacity, 1)) {}

  [[nodiscard]] const Slot& front() const { return ring_[head_]; }
  void pop() {
    head_ = next(head_);
    --count_;
  }
  void push(const Slot& slot) {
    std::size_t hole = at(count_++);
    while (hole != head_) {
      const std::size_t before = hole == 0 ? ring_.size() - 1 : hole - 1;
      if (!slot.before(ring_[before])) break;
      ring_[hole] = ring_[before];
      hole = before;
    }
    ring_[hole] = slot;
  }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] const Slot& operator[](std::size_t i) const { return ring_[at(i)]; }

 private:
  [[nodiscard]] std::size_t next(std::size_t i) const { return i + 1 == ring_.size() ? 0 : i + 1; }
  [[nodiscard]] std::size_t at(std::size_t i) const { return head_ + i >= ring_.size() ? head_ + i - ring_.size() : head_ + i; }
  std::vector<Slot> ring_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
};

// End of an SM that gets no further item. `running` in order of ends, with the durations of `k` = running.size().
double drain(std::vector<Slot> running, int slots) {
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

const ItemCost& cost_of(const CostTable& costs, const ItemRun& run) {
  return *costs[run.family][run.tile];
}

void add_run(std::vector<ItemRun>& runs, const ItemRun& run) {
  if (run.count > 0) runs.push_back(run);
}

}  // namespace

std::vector<ItemRun> item_runs(const ir::Kernel& kernel) {
  std::vector<ItemRun> runs;
  for (std::size_t f = 0; f < kernel.families.size(); ++f) {
    const ir::ItemFamily& family = kernel.families[f];
    const std::size_t tiles = family.tiles.size();
    const auto ordered = [&](std::size_t i) { return kernel.grid.tile_order == ir::TileOrder::descending ? tiles - 1 - i : i; };
    if (kernel.grid.fastest == ir::Fastest::tiles) {
      if (tiles == 1) {
        add_run(runs, {f, 0, family.slab_count});
        continue;
      }
      for (std::int64_t slab = 0; slab < family.slab_count; ++slab) {
        for (std::size_t i = 0; i < tiles; ++i) add_run(runs, {f, ordered(i), 1});
      }
      continue;
    }
    const std::int64_t section = kernel.grid.section_slabs > 0 ? std::min(kernel.grid.section_slabs, family.slab_count) : family.slab_count;
    for (std::int64_t start = 0; start < family.slab_count; start += section) {
      for (std::size_t i = 0; i < tiles; ++i) add_run(runs, {f, ordered(i), std::min(section, family.slab_count - start)});
    }
  }
  return runs;
}

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

double makespan(const std::vector<ItemRun>& runs, const CostTable& costs, int sms, int slots) {
  const std::size_t places = static_cast<std::size_t>(sms) * static_cast<std::size_t>(slots);
  std::int64_t items = 0;
  for (const ItemRun& run : runs) items += run.count;
  SlotQueue queue(places);
  std::vector<std::vector<Slot>> left(static_cast<std::size_t>(sms));  // when fewer items than places: all start at 0
  const bool full = items >= static_cast<std::int64_t>(places);
  for (const ItemRun& run : runs) {
    const ItemCost& cost = cost_of(costs, run);
    const double held = duration(cost, static_cast<std::size_t>(slots), slots);
    for (std::int64_t i = 0; i < run.count; ++i) {
      if (queue.size() < places) {
        queue.push({held, static_cast<int>(queue.size() % static_cast<std::size_t>(sms)), &cost});
        continue;
      }
      const Slot freed = queue.front();
      queue.pop();
      queue.push({freed.end + held, freed.sm, &cost});
    }
  }
  for (std::size_t i = 0; i < queue.size(); ++i) left[static_cast<std::size_t>(queue[i].sm)].push_back(queue[i]);
  double end = 0;
  for (std::vector<Slot>& running : left) {
    if (!full) {  // the SM never held all its slots
      for (Slot& slot : running) slot.end = duration(*slot.cost, running.size(), slots);
      std::sort(running.begin(), running.end(), [](const Slot& a, const Slot& b) { return a.before(b); });
    }
    end = std::max(end, drain(std::move(running), slots));
  }
  return end;
}

Makespan distribute(const ir::Kernel& kernel, const CostTable& costs, const MachineConfig& whole, bool waves) {
  const std::vector<ItemRun> runs = item_runs(kernel);
  const double start = runs.empty() ? 0 : cost_of(costs, runs.front()).start_ticks;
  if (!waves) {
    double total = 0;
    for (const ItemRun& run : runs) total += cost_of(costs, run).shared_ticks * static_cast<double>(run.count);
    return {total / whole.sms, start};
  }
  if (kernel.grid.policy == ir::GridPolicy::persistent_static && whole.ctas_per_sm == 1) {
    std::vector<double> load(static_cast<std::size_t>(whole.sms), 0);
    std::size_t next = 0;
    for (const ItemRun& run : runs) {
      const double ticks = cost_of(costs, run).shared_ticks;
      for (std::int64_t i = 0; i < run.count; ++i) {
        load[next] += ticks;
        next = next + 1 == load.size() ? 0 : next + 1;
      }
    }
    return {*std::max_element(load.begin(), load.end()), start};
  }
  return {makespan(runs, costs, whole.sms, whole.ctas_per_sm), start};
}

}  // namespace attnsim
