// SPDX-License-Identifier: Apache-2.0
#include "sim/trace/chrome_trace.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/trace/step_text.h"

namespace attnsim {

namespace {

constexpr int kChip = 0;  // process
constexpr int kFirstUnitThread = 1;
constexpr int kFirstAgentThread = 100;
constexpr int kThreadsPerKernel = 10000;
constexpr double kBinCycles = 128;       // of the bandwidth counters
constexpr double kInside = 0.001;        // an arrow starts and ends this much inside its slices
constexpr std::size_t kSources = 65536;  // steps back that an arrow may start from

int process_of(int sm) {
  return 1 + sm;
}

TraceThread unit_thread(int sm, Unit unit) {
  return {process_of(sm), kFirstUnitThread + static_cast<int>(unit)};
}

std::string place_args(const StepPlace& at, const ir::Program& program, std::int64_t step) {
  return fmt::format(R"("step":{},"cta":{},"item":{},"section":"{}","trip":{})", step, at.cta, at.item,
                     program.sections[static_cast<std::size_t>(at.section)].name, at.trip);
}

std::string demand_args(const Step& step) {
  std::string out;
  for (std::size_t p = 0; p < kPipeCount; ++p) {
    if (step.demand[p] > 0) out += fmt::format(R"(,"{}_cycles":{:.6g})", name_of(static_cast<Pipe>(p)), step.demand[p]);
  }
  return out;
}

}  // namespace

ChromeTrace::ChromeTrace(JsonEvents& events, const TraceWindow& window, std::int64_t max_events)
    : events_(events), window_(window), max_events_(max_events), rates_(kBinCycles, [this](double cycle, const MeanRates::Values& mean) {
        if (!active_ || !window_.overlaps(cycle, cycle + kBinCycles)) return;
        const double gb_per_s = kernel_.clock_mhz * 1e-3;  // of a byte per cycle
        events_.counter(kChip, shown(cycle), "L2 bandwidth", "GB/s", mean[0] * gb_per_s);
        events_.counter(kChip, shown(cycle), "HBM bandwidth", "GB/s", (mean[1] + mean[2]) * gb_per_s);
      }) {
  events_.name_process(kChip, "chip");
}

TraceThread ChromeTrace::agent_thread(const StepPlace& at) const {
  const auto agents = static_cast<int>(kernel_.kernel->program.agents.size());
  return {process_of(at.sm), kThreadsPerKernel * kernel_.node + kFirstAgentThread + at.place * agents + at.agent};
}

void ChromeTrace::name_threads() {
  const auto& agents = kernel_.kernel->program.agents;
  for (int sm = window_.first_sm; sm <= std::min(window_.last_sm, kernel_.sms - 1); ++sm) {
    events_.name_process(process_of(sm), fmt::format("SM {}", sm));
    for (std::size_t u = 0; u < kUnitCount; ++u) {
      events_.name_thread(unit_thread(sm, static_cast<Unit>(u)), std::string(name_of(static_cast<Unit>(u))));
    }
    for (int place = 0; place < kernel_.ctas_per_sm; ++place) {
      for (std::size_t a = 0; a < agents.size(); ++a) {
        StepPlace at;
        at.sm = sm;
        at.place = place;
        at.agent = static_cast<int>(a);
        events_.name_thread(agent_thread(at), fmt::format("{}: CTA place {}, {}", kernel_.kernel->name, place, agents[a].name));
      }
    }
  }
}

void ChromeTrace::on_kernel(const KernelEvent& event) {
  kernel_ = event;
  if (event.end_cycle < 0) {
    active_ = window_.has_node(event.node);
    if (!active_) return;
    saw_kernel_ = true;
    offset_ = window_.node >= 0 ? 0 : event.start_us * event.clock_mhz;
    resident_ = 0;
    rates_.restart();
    name_threads();
    return;
  }
  if (!active_) return;
  last_cycle_ = event.end_cycle;
  flush();
  active_ = false;
  if (window_.node >= 0) throw TraceEnd{};
}

void ChromeTrace::flush() {
  if (!active_) return;
  rates_.finish(last_cycle_);
  for (auto& [place, held] : held_) write_hold(held);
  held_.clear();
  const TraceThread thread{kChip, 1 + kernel_.node};  // of its own: a programmatic launch starts before its predecessor's end
  events_.name_thread(thread, kernel_.kernel->name);
  events_.slice(thread, shown(0), shown(last_cycle_), kernel_.kernel->name, "{}");
  open_.clear();
  sources_.clear();
  agent_busy_until_.clear();
}

void ChromeTrace::reached(double cycle) {
  last_cycle_ = std::max(last_cycle_, cycle);
  if (events_.written() >= max_events_) {
    over_limit_ = true;
    throw TraceEnd{};
  }
  if (window_.node >= 0 && cycle > window_.to_cycle && open_.empty()) throw TraceEnd{};
}

void ChromeTrace::on_cta(const CtaEvent& event) {
  if (!active_) return;
  reached(event.cycle);
  resident_ += event.kind == CtaEvent::Kind::launch ? 1 : -1;
  if (!window_.overlaps(event.cycle, event.cycle)) return;
  events_.counter(kChip, shown(event.cycle), "resident CTAs", "CTAs", static_cast<double>(resident_));
}

void ChromeTrace::on_rate(const RateEvent& event) {
  if (active_) rates_.add(event);
}

void ChromeTrace::on_issue(const StepEvent& event) {
  if (!active_) return;
  reached(event.issue_cycle);
  if (!window_.has(event.at) || event.issue_cycle > window_.to_cycle) return;
  const ir::Program& program = kernel_.kernel->program;
  open_.emplace(event.id, Open{step_name(*event.step, program), event.at, {}, false});
  if (!event.waited || !window_.overlaps(event.wait_since, event.issue_cycle)) return;
  const TraceThread thread = agent_thread(event.at);
  events_.slice(thread, shown(event.wait_since), shown(event.issue_cycle), "wait: " + std::string(name_of(event.wait)),
                fmt::format(R"({{{},"before":"{}","cause_step":{}}})", place_args(event.at, program, event.id),
                            step_name(*event.step, program), event.cause));
  agent_busy_until_[{thread.pid, thread.tid}] = event.issue_cycle;
  write_arrow(event);
}

void ChromeTrace::write_arrow(const StepEvent& event) {
  const auto source = sources_.find(event.cause);
  if (source == sources_.end() || event.issue_cycle - event.wait_since < 2 * kInside) return;
  events_.flow(event.id, source->second.thread, source->second.end - kInside, agent_thread(event.at), shown(event.issue_cycle) - kInside);
}

void ChromeTrace::remember(std::int64_t step, Source source) {
  sources_[step] = source;
  if (sources_.size() > kSources) sources_.erase(sources_.begin());
}

void ChromeTrace::on_step(const StepEvent& event) {
  const auto found = open_.find(event.id);
  if (!active_ || found == open_.end()) return;
  const Open open = std::move(found->second);
  open_.erase(found);
  if (!window_.overlaps(event.issue_cycle, event.complete_cycle)) return;
  const TraceThread thread = agent_thread(event.at);
  double& busy_until = agent_busy_until_[{thread.pid, thread.tid}];
  const std::string place = place_args(event.at, kernel_.kernel->program, event.id);
  if (event.step->kind == StepKind::signal || event.step->kind == StepKind::await) {
    events_.instant(thread, shown(event.issue_cycle), open.name, "{" + place + "}");
    if (busy_until == event.issue_cycle) remember(event.id, {thread, shown(event.issue_cycle)});
    return;
  }
  const std::string args = "{" + place + demand_args(*event.step) + "}";
  const bool shows = window_.overlaps(event.issue_cycle, event.release_cycle);
  if (event.release_cycle > event.issue_cycle) {
    if (shows) events_.slice(thread, shown(event.issue_cycle), shown(event.release_cycle), open.name, args);
    busy_until = std::max(busy_until, event.release_cycle);
  } else if (shows) {
    events_.instant(thread, shown(event.issue_cycle), open.name, args);
  }
  if (!open.is_copy) return;
  events_.in_flight(process_of(event.at.sm), event.id, shown(event.issue_cycle), shown(event.complete_cycle), open.name,
                    fmt::format(R"({{{},"hit_bytes":{},"miss_bytes":{}}})", place, open.copy.hit_bytes, open.copy.miss_bytes));
}

void ChromeTrace::on_hold(const HoldEvent& event) {
  const auto open = open_.find(event.step);
  if (!active_ || open == open_.end()) return;
  remember(event.step, {unit_thread(event.sm, event.unit), shown(event.end)});
  const auto [entry, is_new] = held_.try_emplace({event.sm, event.unit}, Held{event, open->second.name, open->second.at});
  if (is_new) return;
  Held& held = entry->second;
  if (held.hold.step == event.step && held.hold.end == event.begin) {
    held.hold.end = event.end;
    return;
  }
  write_hold(held);
  held = Held{event, open->second.name, open->second.at};
}

void ChromeTrace::write_hold(Held& held) {
  if (!window_.overlaps(held.hold.begin, held.hold.end)) return;
  const std::string& agent = kernel_.kernel->program.agents[static_cast<std::size_t>(held.at.agent)].name;
  events_.slice(unit_thread(held.hold.sm, held.hold.unit), shown(held.hold.begin), shown(held.hold.end), held.name,
                fmt::format(R"({{{},"agent":"{}","queued":{:.6g}}})", place_args(held.at, kernel_.kernel->program, held.hold.step), agent,
                            held.hold.begin - held.hold.asked));
}

void ChromeTrace::on_copy(const CopyEvent& event) {
  const auto open = open_.find(event.step);
  if (!active_ || open == open_.end()) return;
  open->second.copy = event;
  open->second.is_copy = true;
}

}  // namespace attnsim
