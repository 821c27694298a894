// SPDX-License-Identifier: Apache-2.0
// A run's first steps as text, one row per step, time to the right:
//
//   cycles 0 .. 1145, 50 per column
//                               0         500       1000
//   item trip agent  step       |         |         |
//      0    0 agent0 softmax    eeeeeE
//      0    1 agent0 softmax         eee===eeeE
//      0    0 agent1 await full DDDDDDE                 token 316
//      0    0 agent1 softmax          ==eee===eeE
//      0    1 agent1 softmax                    eeeeeeE
//
//   D  waits for a token, a copy, a tile or its CTA's start   =  issued, queues for a unit   e  a unit works on it
//   -  in flight: latency of its last group, or of memory     E  complete
// A column shows what most of it holds; `E` is the column in which the step completes. Signals, and awaits that pass at once, have
// no row. Below stand means per step over the rows shown.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/trace/window.h"

namespace attnsim {

struct TimelineRow {
  std::int64_t id = 0;
  StepPlace at;
  std::string agent;
  std::string step;
  bool waited = false;
  Wait wait = Wait::start;
  double wait_since = 0;
  double issue = 0;
  double complete = 0;
  struct Span {
    double begin = 0;
    double end = 0;
  };
  std::vector<Span> holds;   // by any unit but the issue slots
  std::vector<Span> queued;  // asked but not begun
};

// Collects the first rows of one CTA: the first on the window's first SM that handles one of its items. Throws TraceEnd when done.
class TimelineRecorder : public EngineListener {
 public:
  TimelineRecorder(const TraceWindow& window, int max_rows) : window_(window), max_rows_(max_rows) {}
  void on_kernel(const KernelEvent& event) override;
  void on_issue(const StepEvent& event) override;
  void on_step(const StepEvent& event) override;
  void on_hold(const HoldEvent& event) override;

  [[nodiscard]] std::vector<TimelineRow> rows() const;  // complete ones, in order of issue
  [[nodiscard]] const KernelEvent& kernel() const { return kernel_; }
  [[nodiscard]] const std::string& kernel_name() const { return kernel_name_; }
  [[nodiscard]] bool over_limit() const { return over_limit_; }

 private:
  TraceWindow window_;
  int max_rows_;
  KernelEvent kernel_;
  std::string kernel_name_;
  bool active_ = false;
  bool over_limit_ = false;
  std::int64_t cta_ = -1;
  std::map<std::int64_t, TimelineRow> open_;
  std::map<std::int64_t, TimelineRow> done_;
};

// `width` columns in all.
[[nodiscard]] std::string timeline_text(const std::vector<TimelineRow>& rows, int width);

}  // namespace attnsim
