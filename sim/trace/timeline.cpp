// SPDX-License-Identifier: Apache-2.0
#include "sim/trace/timeline.h"

#include <algorithm>

#include "sim/trace/chrome_trace.h"
#include "sim/trace/step_text.h"

namespace attnsim {

void TimelineRecorder::on_kernel(const KernelEvent& event) {
  kernel_ = event;
  if (event.end_cycle < 0) {
    active_ = window_.has_node(event.node);
    if (active_) kernel_name_ = event.kernel->name;
    return;
  }
  if (active_) throw TraceEnd{};
}

void TimelineRecorder::on_issue(const StepEvent& event) {
  if (!active_) return;
  const bool past = event.issue_cycle > window_.to_cycle;
  if ((past || over_limit_) && open_.empty() && cta_ >= 0) throw TraceEnd{};
  if (past || event.issue_cycle < window_.from_cycle || !window_.has(event.at) || event.at.sm != window_.first_sm) return;
  if (cta_ < 0) cta_ = event.at.cta;
  if (event.at.cta != cta_) return;
  const bool sync = event.step->kind == StepKind::signal || event.step->kind == StepKind::await;
  if (sync && !event.waited) return;
  if (static_cast<int>(open_.size() + done_.size()) >= max_rows_) {
    over_limit_ = true;
    return;
  }
  TimelineRow row;
  row.id = event.id;
  row.at = event.at;
  row.agent = kernel_.kernel->program.agents[static_cast<std::size_t>(event.at.agent)].name;
  row.step = step_name(*event.step, kernel_.kernel->program);
  row.waited = event.waited;
  row.wait = event.wait;
  row.wait_since = event.wait_since;
  row.issue = event.issue_cycle;
  open_.emplace(event.id, std::move(row));
}

void TimelineRecorder::on_hold(const HoldEvent& event) {
  const auto row = open_.find(event.step);
  if (row == open_.end() || event.unit == Unit::issue) return;  // a few cycles beside another unit
  row->second.holds.push_back({event.begin, event.end});
  if (event.begin > event.asked) row->second.queued.push_back({event.asked, event.begin});
}

void TimelineRecorder::on_step(const StepEvent& event) {
  const auto row = open_.find(event.id);
  if (row == open_.end()) return;
  row->second.complete = event.complete_cycle;
  done_.insert(open_.extract(row));
}

std::vector<TimelineRow> TimelineRecorder::rows() const {
  std::vector<TimelineRow> out;
  for (const auto& [id, row] : done_) out.push_back(row);
  return out;
}

}  // namespace attnsim
