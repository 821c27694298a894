// SPDX-License-Identifier: Apache-2.0
#include "sim/value/replay.h"

#include <algorithm>
#include <map>

#include "sim/value/execute.h"

namespace attnsim::value {

namespace {

// Items and trips that an agent has behind it when it starts an item: they choose the storage slots.
struct Before {
  std::int64_t items = 0;
  std::vector<std::int64_t> trips;  // by section
};
using BeforeMap = std::map<std::pair<std::int64_t, std::int64_t>, Before>;  // by (cta, item)

BeforeMap count_before(const ir::Kernel& kernel, const ir::ItemSequence& items, std::span<const CompletedOp> events) {
  std::map<std::int64_t, std::map<std::int64_t, double>> first_issue;  // cta -> item -> cycle
  for (const CompletedOp& e : events) {
    const auto [entry, is_new] = first_issue[e.cta].emplace(e.item, e.issue_cycle);
    if (!is_new) entry->second = std::min(entry->second, e.issue_cycle);
  }
  BeforeMap before;
  for (const auto& [cta, starts] : first_issue) {
    std::vector<std::pair<double, std::int64_t>> order;
    for (const auto& [item, cycle] : starts) order.emplace_back(cycle, item);
    std::sort(order.begin(), order.end());
    Before so_far{0, std::vector<std::int64_t>(kernel.program.sections.size(), 0)};
    for (const auto& [cycle, item] : order) {
      before[{cta, item}] = so_far;
      ++so_far.items;
      for (std::size_t s = 0; s < so_far.trips.size(); ++s) so_far.trips[s] += trips_of(kernel.program.sections[s], *items.at(item).tile);
    }
  }
  return before;
}

}  // namespace

void replay_events(const ir::Kernel& kernel, std::span<const CompletedOp> events, std::span<TensorData> tensors) {
  const ir::ItemSequence items(kernel);
  const BeforeMap before = count_before(kernel, items, events);
  std::map<std::int64_t, CtaMemory> memory;
  for (const CompletedOp& e : events) {
    Instance i = make_instance(kernel, e.agent, e.section, e.position, e.item, items.at(e.item), e.trip);
    const Before& b = before.at({e.cta, e.item});
    i.slot = i.in_loop ? b.trips[static_cast<std::size_t>(e.section)] + e.trip : b.items;
    execute(kernel.program, i, memory.try_emplace(e.cta, kernel.program).first->second, tensors);
  }
}

}  // namespace attnsim::value
