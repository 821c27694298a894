// SPDX-License-Identifier: Apache-2.0
// Grids of many items that go alike. Once items are handed out at an even pace and fetch from HBM what those before them did, items to
// come need not be played: the machine takes them through L2 alone and adds their time. It plays on where L2 finds something else, and
// at the end of the grid. Private to sim/engine.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/engine/events.h"
#include "sim/ir/kernel.h"

namespace attnsim::machine {

// What has happened since the start, at a moment.
struct Progress {
  double l2_bytes = 0;
  double loaded_bytes = 0;
  double hit_bytes = 0;
  double hbm_bytes = 0;
  double hbm_written_bytes = 0;
  double owed_bytes = 0;  // write-backs that HBM has still to do
  double cta_cycles = 0;
  std::array<double, kWaitCount> wait_ticks{};

  void add(const Progress& other, double times = 1);
};

// Watches a play in windows of a period of items each. The pace is the difference of the windows' mean times: items that start in step
// with others, as CTAs of equal items do, weigh no more than others.
class SteadyGrid {
 public:
  // `slots`: CTAs that are resident at once; `hbm_rate`: bytes per tick.
  SteadyGrid(const ir::Kernel& kernel, std::int64_t slots, double hbm_rate);

  [[nodiscard]] bool enabled() const { return !stretches_.empty(); }
  [[nodiscard]] bool is_mark(std::int64_t next) const { return next == mark_; }
  // One more item is handed out.
  void hand_out(std::int64_t now) { handed_out_ticks_ += static_cast<double>(now); }
  // At a mark, before item `next` is handed out: how many items may be left out, a multiple of chunk(); mostly 0.
  std::int64_t room(std::int64_t next, const Progress& now);
  [[nodiscard]] std::int64_t chunk() const { return chunk_; }
  // Whether so many items that are left out have moved what those before them did.
  [[nodiscard]] bool as_before(const Progress& moved, std::int64_t items) const;
  // What they take.
  [[nodiscard]] double ticks_of(std::int64_t items) const { return static_cast<double>(items) / static_cast<double>(period_) * ticks_; }
  [[nodiscard]] Progress progress_of(std::int64_t items) const;
  // Play goes on with item `next`.
  void resume(std::int64_t next, const Progress& now);

 private:
  // Items, each of which costs what the one `unit` items before it does.
  struct Stretch {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::int64_t unit = 1;
    std::int64_t shared = 1;  // items of slabs that share rows
  };
  struct Window {
    double mean_ticks = 0;  // at which its items were handed out
    Progress end;
  };
  void add_stretches(const ir::Kernel& kernel, const ir::ItemFamily& family, std::int64_t first);
  void add_stretch(const Stretch& stretch);
  // The stretch that `next` is in, or the next one.
  void enter(std::int64_t next, const Progress& now);
  void close_window(const Progress& now);
  bool settled(std::size_t count);
  [[nodiscard]] bool differs(const Progress& a, const Progress& b, double ticks, double tolerance) const;

  std::int64_t slots_;
  double hbm_rate_;
  bool whole_waves_;  // a CTA takes every so manieth item: only whole waves can be left out
  std::int64_t items_ = 0;
  std::vector<Stretch> stretches_;
  std::size_t at_ = 0;
  std::int64_t period_ = 1;
  std::int64_t chunk_ = 1;
  std::int64_t mark_ = -1;       // of items that are handed out
  double handed_out_ticks_ = 0;  // sum of the times
  double before_ticks_ = 0;      // the same at the last mark
  std::vector<Window> windows_;  // the first one ends where the stretch begins
  double ticks_ = 0;             // of a period that has settled
  Progress seen_;                // in one
};

}  // namespace attnsim::machine
