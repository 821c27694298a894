// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/grid.h"

#include <algorithm>

#include "sim/bounds/makespan.h"
#include "sim/core/error.h"

namespace attnsim::bounds {

namespace {

class GridBounder {
 public:
  GridBounder(const KernelWork& work, const ir::Kernel& kernel, const Chip& chip)
      : work_(work),
        kernel_(kernel),
        chip_(chip),
        sms_(chip.sm.count),
        slots_(static_cast<std::int64_t>(sms_) * ctas_per_sm(kernel, chip)) {}

  GridBound run() {
    if (work_.items == 0) return bound_;
    for (std::size_t s = 0; s < kServers; ++s) raise(work_.padded[s] / static_cast<double>(sms_), name_of(static_cast<Server>(s)));
    const ir::GridPolicy policy = kernel_.grid.policy;
    if (policy == ir::GridPolicy::one_item_per_cta || policy == ir::GridPolicy::persistent_dynamic) {
      dispatched();
    } else {
      preassigned();
    }
    bound_.cycles += chip_.launch.cta_start_cycles;
    return bound_;
  }

 private:
  void raise(double cycles, std::string_view limiter) {
    if (bound_.limiter.empty() || cycles > bound_.cycles) bound_ = {cycles, std::string(limiter)};
  }

  struct Load {
    double total = 0;
    double longest = 0;
    void add(double time, double items) {
      total += time * items;
      longest = std::max(longest, time);
    }
  };

  template <class Time>
  [[nodiscard]] double makespan(Time time_of, std::int64_t machines, double known) const {
    Load load;
    for (const ItemClass& c : work_.classes) load.add(time_of(c), static_cast<double>(c.family->slab_count));
    return makespan(load, time_of, machines, known);
  }
  // 0 where it is no more than `known`: items dealt out longest first take no longer than their mean load and the longest of them.
  template <class Time>
  [[nodiscard]] double makespan(const Load& load, Time time_of, std::int64_t machines, double known) const {
    if (load.total / static_cast<double>(machines) + load.longest <= known) return 0;
    std::vector<JobRun> jobs;
    jobs.reserve(work_.classes.size());
    for (const ItemClass& c : work_.classes) jobs.push_back({time_of(c), c.family->slab_count});
    return makespan_bound(std::move(jobs), machines);
  }

  void dispatched() {
    std::array<Load, kServers> loads;
    for (const ItemClass& c : work_.classes) {
      for (std::size_t s = 0; s < kServers; ++s) loads[s].add(c.servers[s], static_cast<double>(c.family->slab_count));
    }
    for (std::size_t s = 0; s < kServers; ++s) {
      const auto served = [s](const ItemClass& c) { return c.servers[s]; };
      raise(makespan(loads[s], served, sms_, bound_.cycles), name_of(static_cast<Server>(s)));
    }
    if (kernel_.grid.policy == ir::GridPolicy::one_item_per_cta) {
      // A CTA holds its slot from its start to the end of its item.
      const double start = chip_.launch.cta_start_cycles;
      const auto held = [&](const ItemClass& c) {
        return start + std::max(c.latency_cycles, *std::max_element(c.servers.begin(), c.servers.end()));
      };
      raise(makespan(held, slots_, bound_.cycles + start) - start, "latency");
      if (chip_.launch.ctas_per_clk > 0) raise(static_cast<double>(work_.items - 1) / chip_.launch.ctas_per_clk, "dispatch");
      return;
    }
    const bool all_first = work_.items <= slots_;  // every item is its CTA's first
    for (std::size_t a = 0; a < kernel_.program.agents.size(); ++a) {
      raise(makespan([&](const ItemClass& c) { return all_first ? c.latency_cycles : c.agent_cycles[a]; }, slots_, bound_.cycles),
            "latency");
    }
  }

  [[nodiscard]] const ItemClass& class_of(const ir::Item& item) const {
    std::size_t index = 0;
    for (const ir::ItemFamily& family : kernel_.families) {
      if (&family == item.family) return work_.classes[index + static_cast<std::size_t>(item.tile - family.tiles.data())];
      index += family.tiles.size();
    }
    throw Invariant("item of an unknown family");
  }

  // Each CTA's items are known; an SM holds whole CTAs, so a CTA's own sums bound it.
  void preassigned() {
    const ir::ItemSequence sequence(kernel_);
    const std::size_t agents = kernel_.program.agents.size();
    std::vector<double> sums;
    const auto close_cta = [&] {
      for (std::size_t q = 0; q < sums.size(); ++q) raise(sums[q], q < kServers ? name_of(static_cast<Server>(q)) : "latency");
    };
    const auto add = [&](const ItemClass& c, bool first) {
      for (std::size_t s = 0; s < kServers; ++s) sums[s] += c.servers[s];
      for (std::size_t a = 0; a < agents; ++a) sums[kServers + a] += c.agent_cycles[a];
      if (first) raise(c.latency_cycles, "latency");
    };
    if (kernel_.grid.policy == ir::GridPolicy::lists) {
      for (const std::vector<std::int64_t>& list : kernel_.grid.lists) {
        sums.assign(kServers + agents, 0);
        for (std::size_t i = 0; i < list.size(); ++i) add(class_of(sequence.at(list[i])), i == 0);
        close_cta();
      }
      return;
    }
    const std::int64_t ctas = std::min(slots_, sequence.size());
    for (std::int64_t cta = 0; cta < ctas; ++cta) {
      sums.assign(kServers + agents, 0);
      for (std::int64_t i = cta; i < sequence.size(); i += ctas) add(class_of(sequence.at(i)), i == cta);
      close_cta();
    }
  }

  const KernelWork& work_;
  const ir::Kernel& kernel_;
  const Chip& chip_;
  std::int64_t sms_;
  std::int64_t slots_;
  GridBound bound_;
};

}  // namespace

int ctas_per_sm(const ir::Kernel& kernel, const Chip& chip) {
  constexpr double kBytesPerRegister = 4;
  const ir::SmLimits limits{static_cast<std::int64_t>(chip.sm.smem_kib * 1024), static_cast<std::int64_t>(chip.sm.tmem_kib * 1024),
                            static_cast<std::int64_t>(chip.sm.registers_kib * 1024 / kBytesPerRegister), chip.sm.max_threads,
                            chip.sm.max_ctas};
  const int ctas = ir::occupancy(kernel.program, limits);
  if (ctas < 1) throw SimError("kernel " + kernel.name + " does not fit an SM of chip " + chip.name);
  return ctas;
}

GridBound grid_bound(const KernelWork& work, const ir::Kernel& kernel, const Chip& chip) {
  return GridBounder(work, kernel, chip).run();
}

}  // namespace attnsim::bounds
