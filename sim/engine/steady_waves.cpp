// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/steady_waves.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attnsim::machine {

namespace {

// Stretches count as alike when time and bytes differ by no more than this.
constexpr double kDrift = 0.01;
// Periods that the grid must have at least: fewer would leave nothing to leave out.
constexpr std::int64_t kLeastPeriods = 6;
// Periods at the start that count for nothing.
constexpr std::size_t kWarming = 1;

bool alike(double a, double b) {
  return std::abs(a - b) <= kDrift * std::max(std::abs(a), std::abs(b));
}

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

bool alike(const Progress& a, const Progress& b) {
  return alike(static_cast<double>(a.ticks), static_cast<double>(b.ticks)) && alike(a.l2_bytes, b.l2_bytes) &&
         std::abs(a.hbm_bytes - b.hbm_bytes) <= kDrift * std::max(a.l2_bytes, b.l2_bytes) &&
         std::abs(a.hbm_written_bytes - b.hbm_written_bytes) <= kDrift * std::max(a.l2_bytes, b.l2_bytes);
}

Progress operator-(const Progress& a, const Progress& b) {
  Progress out{a.ticks - b.ticks,
               a.l2_inserted_bytes - b.l2_inserted_bytes,
               a.l2_evicted_bytes - b.l2_evicted_bytes,
               a.l2_bytes - b.l2_bytes,
               a.hbm_bytes - b.hbm_bytes,
               a.hbm_written_bytes - b.hbm_written_bytes,
               a.loaded_bytes - b.loaded_bytes,
               a.hit_bytes - b.hit_bytes,
               a.cta_cycles - b.cta_cycles,
               {},
               {}};
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_ticks[i] = a.wait_ticks[i] - b.wait_ticks[i];
  for (std::size_t i = 0; i < a.offset_trips.size(); ++i) out.offset_trips[i] = a.offset_trips[i] - b.offset_trips[i];
  return out;
}

Progress operator+(const Progress& a, const Progress& b) {
  return a - b * -1;
}

Progress operator*(const Progress& a, double times) {
  const auto scaled = [&](std::int64_t x) { return static_cast<std::int64_t>(std::llround(static_cast<double>(x) * times)); };
  Progress out{scaled(a.ticks),
               scaled(a.l2_inserted_bytes),
               scaled(a.l2_evicted_bytes),
               a.l2_bytes * times,
               a.hbm_bytes * times,
               a.hbm_written_bytes * times,
               a.loaded_bytes * times,
               a.hit_bytes * times,
               a.cta_cycles * times,
               {},
               {}};
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_ticks[i] = a.wait_ticks[i] * times;
  for (std::size_t i = 0; i < a.offset_trips.size(); ++i) out.offset_trips[i] = a.offset_trips[i] * times;
  return out;
}

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
  marks_.push_back(now);
  const std::size_t last = marks_.size() - 1;
  for (std::size_t stretch = 1; 2 * stretch + kWarming <= last; ++stretch) {
    const Progress& middle = marks_[last - stretch];
    const Progress& first = marks_[last - 2 * stretch];
    if (config_.fills_l2 && first.l2_evicted_bytes == 0) return 0;
    if (!alike(now - middle, middle - first)) continue;
    const std::int64_t periods = (items - next) / period_ - kept(stretch);
    if (periods < 1) return 0;
    left_out_ = periods * period_;
    missing_ = (now - first) * (static_cast<double>(periods) / static_cast<double>(2 * stretch));
    return left_out_;
  }
  return 0;
}

std::int64_t SteadyWaves::kept(std::size_t stretch) const {
  if (!config_.shares_l2) return 1;
  const std::int64_t inserted = marks_.back().l2_inserted_bytes - marks_[marks_.size() - 1 - stretch].l2_inserted_bytes;
  const std::int64_t per_period = std::max<std::int64_t>(1, inserted / static_cast<std::int64_t>(stretch));
  return 1 + config_.cache->capacity_bytes() / per_period;
}

}  // namespace attnsim::machine
