// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/steady_waves.h"

#include <algorithm>
#include <numeric>

namespace attnsim::machine {

namespace {

// Periods that the grid must have at least: fewer would leave nothing to leave out.
constexpr std::int64_t kLeastPeriods = 6;

// Items after which the grid repeats with other slabs; 0: it does not.
std::int64_t repeated_items(const ir::Kernel& kernel) {
  if (kernel.families.size() != 1 || kernel.grid.interleave > 1 || kernel.grid.policy == ir::GridPolicy::lists) return 0;
  const ir::ItemFamily& family = kernel.families.front();
  std::int64_t slabs = 1;
  if (kernel.grid.fastest == ir::Fastest::slabs && family.tiles.size() > 1) {
    slabs = kernel.grid.section_slabs > 0 ? std::min(kernel.grid.section_slabs, family.slab_count) : family.slab_count;
  }
  for (const ir::Agent& agent : kernel.program.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        const bool copies = op.kind == ir::OpKind::load || op.kind == ir::OpKind::store;
        if (copies && op.access.slab_divisor < family.slab_count) slabs = std::lcm(slabs, std::int64_t{op.access.slab_divisor});
      }
    }
  }
  return slabs * static_cast<std::int64_t>(family.tiles.size());
}

}  // namespace

SteadyWaves::SteadyWaves(const ir::Kernel& kernel, const MachineConfig& config, std::int64_t slots) : config_(config) {
  if (!config.leave_out_waves) return;
  const std::int64_t items = ir::ItemSequence(kernel).size();
  const std::int64_t repeated = repeated_items(kernel);
  if (repeated == 0 || items < kLeastPeriods * std::max(repeated, slots)) return;
  const std::int64_t whole_waves = std::lcm(repeated, slots);
  // Unequal items do not keep to waves.
  const bool equal = kernel.families.front().tiles.size() == 1;
  if (items >= kLeastPeriods * whole_waves) {
    period_ = whole_waves;
  } else if (!equal) {
    period_ = (slots + repeated - 1) / repeated * repeated;
    if (items < kLeastPeriods * period_) period_ = 0;
  }
}

std::int64_t SteadyWaves::leave_out(std::int64_t next, std::int64_t items, const Progress& now) {
  if (!warm_) {  // the first moment is the start
    warm_ = next > 0;
    return 0;
  }
  if (config_.fills_l2 && now.l2_evicted_bytes == 0) return 0;
  marks_.push_back(now);
  const std::int64_t periods = (items - next) / period_ - kept();
  const std::size_t steady = periods < 1 ? 0 : steady_amounts(marks_, static_cast<double>(periods));
  if (steady == 0) return 0;
  left_out_ = periods * period_;
  missing_.add(now - marks_[marks_.size() - 1 - steady], static_cast<double>(periods) / static_cast<double>(steady));
  return left_out_;
}

std::int64_t SteadyWaves::kept() const {
  if (!config_.shares_l2 || marks_.size() < 2) return 1;
  const double per_period = (marks_.back() - marks_.front()).l2_inserted_bytes / static_cast<double>(marks_.size() - 1);
  return 1 + static_cast<std::int64_t>(static_cast<double>(config_.cache->capacity_bytes()) / std::max(1.0, per_period));
}

}  // namespace attnsim::machine
