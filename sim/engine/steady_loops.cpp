// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/steady_loops.h"

#include <algorithm>

namespace attnsim::machine {

namespace {

// Trips of a stretch, those before the first stretch, and those that are played behind what is left out.
constexpr std::int64_t kStretch = 4;
constexpr std::int64_t kWarming = 4;
constexpr std::int64_t kKept = 4;
constexpr std::int64_t kSeenTimes = 4;
constexpr double kFewHits = 0.02;

// Rows that a loop brings to L2 are of no use to items that come later: there are none, or they walk others.
bool nothing_is_found_later(const ir::Kernel& kernel, std::int64_t slots) {
  if (ir::ItemSequence(kernel).size() <= slots) return true;
  for (const ir::ItemFamily& family : kernel.families) {
    std::int64_t visits = 0;
    std::int64_t last = 0;
    for (const ir::RowTile& tile : family.tiles) {
      visits += tile.trips();
      for (const ir::TripRun& run : tile.runs) last = std::max({last, run.first, run.first + (run.count - 1) * run.step});
    }
    if (visits > last + 1) return false;
    for (const ir::Agent& agent : kernel.program.agents) {
      for (const auto& section : agent.sections) {
        for (const ir::Op& op : section) {
          if (op.kind != ir::OpKind::load || op.access.row_from != ir::RowFrom::trip) continue;
          if (slots % (op.access.slab_divisor * static_cast<std::int64_t>(family.tiles.size())) != 0 && op.access.slab_divisor > 1)
            return false;
        }
      }
    }
  }
  return true;
}

}  // namespace

SteadyLoops::SteadyLoops(const ir::Kernel& kernel, const KernelPlan& plan, const MachineConfig& config, std::int64_t slots)
    : plan_(plan), config_(config) {
  if (!config.leave_out_trips || (config.cache != nullptr && !nothing_is_found_later(kernel, slots))) return;
  for (std::size_t s = 0; s < kernel.program.sections.size(); ++s) {
    const ir::Section& section = kernel.program.sections[s];
    if (section.kind != ir::SectionKind::loop || section.trips != ir::TripSource::runs) continue;
    section_ = section_ == -1 ? static_cast<int>(s) : -2;  // of several loops none
  }
  if (section_ < 0) return;
  for (const PlannedAgent& agent : plan.agents) agents_ += agent.sections[static_cast<std::size_t>(section_)].empty() ? 0 : 1;
}

bool SteadyLoops::walks(const AgentState& agent) const {
  return !plan_.agents[static_cast<std::size_t>(agent.index)].sections[static_cast<std::size_t>(section_)].empty();
}

std::int64_t SteadyLoops::room(const AgentState& agent) const {
  if (agent.position < 0 || agent.section != static_cast<std::size_t>(section_)) return -1;
  const std::int64_t skew = plan_.max_skew(static_cast<std::size_t>(agent.index), agent.section);
  std::int64_t begin = 0;
  for (const ir::TripRun& run : agent.item.tile->runs) {
    const std::int64_t end = begin + run.count;
    if (agent.step < end) return agent.step - skew - kWarming < begin ? -1 : std::max<std::int64_t>(0, end - kKept - agent.step);
    begin = end;
  }
  return 0;
}

std::int64_t SteadyLoops::leave_out(std::span<const CtaState> ctas, const Progress& now) {
  std::int64_t least = INT64_MAX;
  std::int64_t walking = 0;
  for (const CtaState& cta : ctas) {
    if (!cta.active) continue;
    for (const AgentState& agent : cta.agents) {
      if (!walks(agent)) continue;
      least = std::min(least, room(agent));
      ++walking;
    }
  }
  next_mark_ = trips_ + kStretch * walking;
  if (walking == 0 || least < 0) {
    marks_.clear();
    next_mark_ = trips_ + std::max<std::int64_t>(1, walking);
    return 0;
  }
  marks_.push_back(now);
  if (least < kStretch) return 0;
  const std::size_t steady = steady_amounts(marks_, static_cast<double>(least) / static_cast<double>(kStretch));
  if (steady == 0) return 0;
  const Progress seen = now - marks_[marks_.size() - 1 - steady];
  if (config_.fills_l2 && seen.hit_bytes > kFewHits * seen.loaded_bytes) return 0;  // CTAs that share rows may drift apart
  // Far ahead loops may fall into another step: what is left out is no more than some times what has been seen.
  const std::int64_t trips = std::min(least, kSeenTimes * kStretch * static_cast<std::int64_t>(steady));
  missing_ = {};
  missing_.add(seen, static_cast<double>(trips) / static_cast<double>(kStretch) / static_cast<double>(steady));
  marks_.clear();
  return trips;
}

void SteadyLoops::jump(std::span<CtaState> ctas, std::int64_t trips) const {
  for (CtaState& cta : ctas) {
    if (!cta.active) continue;
    for (AgentState& agent : cta.agents) agent.step += walks(agent) ? trips : 0;
  }
}

}  // namespace attnsim::machine
