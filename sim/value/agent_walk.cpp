// SPDX-License-Identifier: Apache-2.0
#include "sim/value/agent_walk.h"

#include <algorithm>

namespace attnsim::value {

AgentWalk::AgentWalk(const ir::Kernel& kernel, const ir::ItemSequence& items, int agent)
    : kernel_(&kernel), items_(&items), agent_(agent), trips_done_(kernel.program.sections.size(), 0) {
  for (const auto& section : kernel.program.agents[static_cast<std::size_t>(agent)].sections) {
    int skew = 0;
    for (const ir::Op& op : section) skew = std::max(skew, op.skew);
    max_skew_.push_back(skew);
  }
}

void AgentWalk::start(std::int64_t item_position) {
  item_position_ = item_position;
  item_ = items_->at(item_position);
  ++items_started_;
  section_ = 0;
  step_ = 0;
  position_ = 0;
  find();
}

void AgentWalk::advance() {
  ++position_;
  find();
}

void AgentWalk::find() {
  current_.reset();
  const ir::Program& program = kernel_->program;
  const auto& sections = program.agents[static_cast<std::size_t>(agent_)].sections;
  while (section_ < sections.size()) {
    const ir::Section& section = program.sections[section_];
    const std::int64_t trips = trips_of(section, *item_.tile);
    const std::int64_t steps = trips > 0 ? trips + max_skew_[section_] : 0;
    for (; step_ < steps; ++step_, position_ = 0) {
      for (; position_ < sections[section_].size(); ++position_) {
        const std::int64_t trip = step_ - sections[section_][position_].skew;
        if (trip < 0 || trip >= trips) continue;
        Instance i = make_instance(*kernel_, agent_, static_cast<int>(section_), static_cast<int>(position_), item_position_, item_, trip);
        if (!acts(i, trips)) continue;
        i.slot = i.in_loop ? trips_done_[section_] + trip : items_started_ - 1;
        current_ = i;
        return;
      }
    }
    if (section.kind == ir::SectionKind::loop) trips_done_[section_] += trips;
    ++section_;
    step_ = 0;
    position_ = 0;
  }
}

}  // namespace attnsim::value
