// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/steady_grid.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attnsim::machine {

namespace {

// Waves of CTAs that a stretch must have at least, as fewer leave nothing to leave out; those at the end of the grid that are played.
constexpr std::int64_t kLeastWaves = 8;
constexpr std::int64_t kPlayedAtEnd = 2;
// Items of a window at least, and windows that a stretch must have for them to hold all slabs that share rows.
constexpr std::int64_t kLeastItems = 16;
constexpr std::int64_t kWindows = 12;
// Windows that are compared.
constexpr std::size_t kFewest = 3;
constexpr std::size_t kMost = 12;
// By how much the halves of those may differ in time, and how far their mean may be off.
constexpr double kTolerance = 0.01;
constexpr double kMeanTolerance = 0.003;
constexpr double kHitTolerance = 0.01;  // of the loaded bytes
// Of few periods what L2 evicts varies: they may differ by more.
constexpr double kFewPeriods = 5;
// HBM may take this part of the time before it counts how much it moves.
constexpr double kHiddenHbm = 0.4;
// Part of a slab's row tiles that are alike from which on the others do not count.
constexpr double kMostlyAlike = 0.9;

bool alike(const ir::RowTile& a, const ir::RowTile& b) {
  return a.rows == b.rows && a.trips() == b.trips() && a.partial_trips() == b.partial_trips() && a.peers == b.peers && a.flag == b.flag;
}

// Slabs that share rows of a tensor.
std::int64_t slabs_together(const ir::Kernel& kernel, const ir::ItemFamily& family) {
  std::int64_t slabs = 1;
  for (const ir::Agent& agent : kernel.program.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        const bool copies = op.kind == ir::OpKind::load || op.kind == ir::OpKind::store;
        if (copies && op.access.slab_divisor < family.slab_count) slabs = std::lcm(slabs, std::int64_t{op.access.slab_divisor});
      }
    }
  }
  return slabs;
}

}  // namespace

void Progress::add(const Progress& other, double times) {
  l2_bytes += other.l2_bytes * times;
  loaded_bytes += other.loaded_bytes * times;
  hit_bytes += other.hit_bytes * times;
  hbm_bytes += other.hbm_bytes * times;
  hbm_written_bytes += other.hbm_written_bytes * times;
  owed_bytes += other.owed_bytes * times;
  cta_cycles += other.cta_cycles * times;
  for (std::size_t i = 0; i < wait_ticks.size(); ++i) wait_ticks[i] += other.wait_ticks[i] * times;
}

SteadyGrid::SteadyGrid(const ir::Kernel& kernel, std::int64_t slots, double hbm_rate)
    : slots_(slots), hbm_rate_(hbm_rate), whole_waves_(kernel.grid.policy == ir::GridPolicy::persistent_static) {
  for (const ir::ItemFamily& family : kernel.families) items_ += family.item_count();
  if (items_ < kLeastWaves * slots) return;
  std::int64_t first = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    add_stretches(kernel, family, first);
    first += family.item_count();
  }
  enter(0, {});
}

void SteadyGrid::add_stretch(const Stretch& stretch) {
  if (stretch.end - stretch.begin >= kLeastWaves * std::max(stretch.unit, slots_)) stretches_.push_back(stretch);
}

void SteadyGrid::add_stretches(const ir::Kernel& kernel, const ir::ItemFamily& family, std::int64_t first) {
  const auto tiles = static_cast<std::int64_t>(family.tiles.size());
  const ir::Grid& grid = kernel.grid;
  // Runs of tiles that are alike, in the order of the grid; `together` slabs of one tile follow one another.
  const bool by_tiles = grid.fastest == ir::Fastest::tiles;
  const std::int64_t wanted = grid.section_slabs > 0 ? std::min(grid.section_slabs, family.slab_count) : family.slab_count;
  const auto tile_at = [&](std::int64_t i) -> const ir::RowTile& {
    return family.tiles[static_cast<std::size_t>(grid.tile_order == ir::TileOrder::descending ? tiles - 1 - i : i)];
  };
  const std::int64_t shared = slabs_together(kernel, family) * tiles;
  std::vector<std::pair<std::int64_t, std::int64_t>> runs;
  std::int64_t longest = 0;
  for (std::int64_t i = 0; i < tiles; ++i) {
    if (runs.empty() || !alike(tile_at(i), tile_at(runs.back().first))) runs.emplace_back(i, i);
    runs.back().second = i + 1;
    longest = std::max(longest, runs.back().second - runs.back().first);
  }
  if (static_cast<double>(longest) >= kMostlyAlike * static_cast<double>(tiles))
    return add_stretch({first, first + tiles * family.slab_count, 1, by_tiles ? shared : 1});
  const std::int64_t width = by_tiles ? 1 : wanted;
  if (longest * width >= kLeastWaves * slots_) {
    for (std::int64_t slab = 0; slab + width <= family.slab_count; slab += width) {
      for (const auto& [begin, end] : runs) add_stretch({first + slab * tiles + begin * width, first + slab * tiles + end * width, 1, 1});
    }
    return;
  }
  const std::int64_t unit = by_tiles ? tiles : wanted * tiles;
  add_stretch({first, first + tiles * family.slab_count, unit, shared});
}

void SteadyGrid::enter(std::int64_t next, const Progress& now) {
  windows_.clear();
  mark_ = -1;
  const auto is_short = [&](const Stretch& s) { return s.end - std::max(next, s.begin) < kLeastWaves * std::max(s.unit, slots_); };
  while (at_ < stretches_.size() && is_short(stretches_[at_])) ++at_;
  if (at_ == stretches_.size()) return;
  const Stretch& stretch = stretches_[at_];
  // Of whole units; where the stretch is long of what shares rows, too.
  const std::int64_t least = std::max(slots_, kLeastItems);
  std::int64_t unit = stretch.unit;
  const std::int64_t shared = std::lcm(unit, stretch.shared);
  if (std::max(shared, least) * kWindows <= stretch.end - std::max(next, stretch.begin)) unit = shared;
  period_ = (least + unit - 1) / unit * unit;
  mark_ = std::max(next, stretch.begin);
  if (mark_ == next) close_window(now);
}

void SteadyGrid::close_window(const Progress& now) {
  windows_.push_back({(handed_out_ticks_ - before_ticks_) / static_cast<double>(period_), now});
  before_ticks_ = handed_out_ticks_;
  mark_ += period_;
}

bool SteadyGrid::differs(const Progress& a, const Progress& b, double ticks, double tolerance) const {
  const auto hbm_ticks = [this](const Progress& p) { return p.hbm_bytes / hbm_rate_; };
  const bool hidden = std::max(hbm_ticks(a), hbm_ticks(b)) <= kHiddenHbm * ticks;
  if (!hidden && std::abs(hbm_ticks(a) - hbm_ticks(b)) > tolerance * ticks) return true;
  return std::abs(a.hit_bytes - b.hit_bytes) > (hidden ? 2 : 1) * kHitTolerance * std::max(a.loaded_bytes, b.loaded_bytes);
}

// Whether the last `count` periods were alike; of what they took and moved the mean is kept.
bool SteadyGrid::settled(std::size_t count) {
  const std::size_t last = windows_.size() - 1;
  const auto ticks_at = [&](std::size_t i) { return windows_[i].mean_ticks; };
  const auto n = static_cast<double>(count);
  ticks_ = (ticks_at(last) - ticks_at(last - count)) / n;
  if (ticks_ <= 0) return false;
  double squares = 0;
  for (std::size_t i = last - count + 1; i <= last; ++i) {
    const double off = ticks_at(i) - ticks_at(i - 1) - ticks_;
    squares += off * off;
  }
  if (std::sqrt(squares / (n - 1)) / n > kMeanTolerance * ticks_) return false;  // what one window is late the next is early
  const std::size_t middle = last - count / 2;
  const double earlier = (ticks_at(middle) - ticks_at(last - count)) / static_cast<double>(middle - (last - count));
  const double later = (ticks_at(last) - ticks_at(middle)) / static_cast<double>(last - middle);
  if (std::abs(later - earlier) > kTolerance * ticks_) return false;
  const auto moved = [&](std::size_t begin, std::size_t end) {
    Progress difference = windows_[end].end;
    difference.add(windows_[begin].end, -1);
    Progress mean;
    mean.add(difference, 1 / static_cast<double>(end - begin));
    return mean;
  };
  seen_ = moved(last - count, last);
  return !differs(moved(last - count, middle), moved(middle, last), ticks_, 2 * kTolerance);
}

std::int64_t SteadyGrid::room(std::int64_t next, const Progress& now) {
  const Stretch& stretch = stretches_[at_];
  close_window(now);
  const std::int64_t end = stretch.end == items_ ? stretch.end - kPlayedAtEnd * slots_ : stretch.end - slots_;
  const std::int64_t waves = std::lcm(stretch.unit, slots_);
  chunk_ = 2 * waves <= end - next ? (period_ + waves - 1) / waves * waves : period_;
  const std::int64_t room = whole_waves_ && chunk_ % slots_ != 0 ? 0 : (end - next) / chunk_ * chunk_;
  if (room <= 0) {
    ++at_;
    enter(next, now);
    return 0;
  }
  // The first mark opens the first window, whose items may have started together.
  for (std::size_t count = kFewest; count <= kMost && count + 2 <= windows_.size(); ++count) {
    if (settled(count)) return room;
  }
  return 0;
}

bool SteadyGrid::as_before(const Progress& moved, std::int64_t items) const {
  const double few = kFewPeriods * static_cast<double>(period_) / static_cast<double>(items);
  return !differs(moved, progress_of(items), ticks_of(items), 2 * kTolerance * (1 + few));
}

Progress SteadyGrid::progress_of(std::int64_t items) const {
  Progress out;
  out.add(seen_, static_cast<double>(items) / static_cast<double>(period_));
  return out;
}

void SteadyGrid::resume(std::int64_t next, const Progress& now) {
  enter(next, now);
}

}  // namespace attnsim::machine
