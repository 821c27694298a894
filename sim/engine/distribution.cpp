// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/distribution.h"

#include <algorithm>
#include <limits>
#include <queue>

namespace attnsim {

namespace {

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

}  // namespace

Makespan distribute(const ir::Kernel& kernel, ClassCosts& costs, const MachineConfig& whole, bool waves) {
  const ir::ItemSequence sequence(kernel);
  const auto cost_at = [&](std::int64_t position) -> const ItemCost& { return costs.cost(class_of(*sequence.at(position).tile)); };
  const double start = sequence.size() > 0 ? cost_at(0).start_ticks : 0;
  if (!waves) {
    double total = 0;
    for (std::int64_t i = 0; i < sequence.size(); ++i) total += cost_at(i).shared_ticks;
    return {total / whole.sms, start};
  }
  const auto slots = static_cast<std::int64_t>(whole.sms) * whole.ctas_per_sm;
  if (kernel.grid.policy == ir::GridPolicy::persistent_static && whole.ctas_per_sm == 1) {
    std::vector<double> load(static_cast<std::size_t>(slots), 0);
    for (std::int64_t i = 0; i < sequence.size(); ++i) load[static_cast<std::size_t>(i % slots)] += cost_at(i).shared_ticks;
    return {*std::max_element(load.begin(), load.end()), start};
  }
  Distribution distribution(whole.sms, whole.ctas_per_sm);
  for (std::int64_t i = 0; i < sequence.size(); ++i) distribution.add(cost_at(i));
  return {distribution.drain(), start};
}

}  // namespace attnsim
