// SPDX-License-Identifier: Apache-2.0
// Listens to a `detailed` run and writes a window of it as a trace for ui.perfetto.dev or chrome://tracing (docs/trace.md).
//   process 0         the chip: kernels, L2 and HBM bandwidth, resident CTAs
//   process 1 + SM    threads: the agents of each CTA place, then the units (tensor, vector, smem, smem (copies), issue, l2 port);
//                     asynchronous tracks: copies from issue to completion
// Memory is bounded by what is in flight. Throws TraceEnd once nothing of the window can follow, or `max_events` are written.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "sim/trace/json_events.h"
#include "sim/trace/mean_rates.h"
#include "sim/trace/window.h"

namespace attnsim {

struct TraceEnd {};

class ChromeTrace : public EngineListener {
 public:
  ChromeTrace(JsonEvents& events, const TraceWindow& window, std::int64_t max_events);

  void on_kernel(const KernelEvent& event) override;
  void on_cta(const CtaEvent& event) override;
  void on_issue(const StepEvent& event) override;
  void on_step(const StepEvent& event) override;
  void on_hold(const HoldEvent& event) override;
  void on_copy(const CopyEvent& event) override;
  void on_rate(const RateEvent& event) override;

  void flush();  // what is still held back; call once, at the end or after TraceEnd
  [[nodiscard]] bool over_limit() const { return over_limit_; }
  [[nodiscard]] double last_cycle() const { return last_cycle_; }  // of the last kernel's window
  [[nodiscard]] bool saw_kernel() const { return saw_kernel_; }

 private:
  struct Open {  // a step between issue and completion
    std::string name;
    StepPlace at;
    CopyEvent copy;
    bool is_copy = false;
  };
  struct Held {
    HoldEvent hold;
    std::string name;
    StepPlace at;
  };
  struct Source {  // where an arrow from a step may start
    TraceThread thread;
    double end = 0;
  };
  [[nodiscard]] double shown(double cycle) const { return offset_ + cycle; }
  [[nodiscard]] TraceThread agent_thread(const StepPlace& at) const;
  void name_threads();
  void reached(double cycle);
  void write_hold(Held& held);
  void write_arrow(const StepEvent& event);
  void remember(std::int64_t step, Source source);

  JsonEvents& events_;
  TraceWindow window_;
  std::int64_t max_events_;
  KernelEvent kernel_;
  bool active_ = false;  // the current kernel is in the window
  bool saw_kernel_ = false;
  bool over_limit_ = false;
  double offset_ = 0;  // of the current kernel's cycle 0
  double last_cycle_ = 0;
  std::int64_t resident_ = 0;
  std::map<std::int64_t, Open> open_;
  std::map<std::pair<int, Unit>, Held> held_;  // the last hold of a unit, while groups of its step may follow
  std::map<std::int64_t, Source> sources_;
  std::map<std::pair<int, int>, double> agent_busy_until_;  // by thread: the end of its last slice
  MeanRates rates_;
};

}  // namespace attnsim
