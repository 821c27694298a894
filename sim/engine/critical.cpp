// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/critical.h"

#include <algorithm>

namespace attnsim {

namespace {

constexpr double kSameCycle = 1e-9;
constexpr std::size_t kMostRoles = 3;

std::string unit_text(Unit unit, bool from_hbm) {
  switch (unit) {
    case Unit::tensor: return "tensor";
    case Unit::vector: return "vector";
    case Unit::smem:
    case Unit::smem_copies: return "SMEM";
    case Unit::issue: return "issue";
    case Unit::l2_port: return from_hbm ? "HBM" : "L2";
  }
  return "";
}

}  // namespace

std::string role_of(const Step& step) {
  std::vector<std::string> roles;
  for (const ir::Op* op : step.ops) {
    if (std::find(roles.begin(), roles.end(), op->role) == roles.end()) roles.push_back(op->role);
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(roles.size(), kMostRoles); ++i) text += (i == 0 ? "" : "+") + roles[i];
  return roles.size() > kMostRoles ? text + "+..." : text;
}

CriticalRecorder::Node& CriticalRecorder::node(std::int64_t id) {
  if (nodes_.size() <= static_cast<std::size_t>(id)) nodes_.resize(static_cast<std::size_t>(id) + 1);
  return nodes_[static_cast<std::size_t>(id)];
}

CriticalRecorder::Cta& CriticalRecorder::cta(std::int64_t id) {
  if (ctas_.size() <= static_cast<std::size_t>(id)) ctas_.resize(static_cast<std::size_t>(id) + 1);
  return ctas_[static_cast<std::size_t>(id)];
}

void CriticalRecorder::on_kernel(const KernelEvent& event) {
  if (event.end_cycle < 0) {
    nodes_.clear();
    holds_.clear();
    ctas_.clear();
    last_step_ = 0;
    last_complete_ = -1;
    kernel_ = event.kernel;
    current_ = {event.node, event.kernel->name, 0, event.sms, {}};
    return;
  }
  current_.cycles = event.end_cycle;
  walk(event.end_cycle);
  for (CriticalPart& part : current_.parts) part.share = event.end_cycle > 0 ? part.cycles / event.end_cycle : 0;
  std::stable_sort(current_.parts.begin(), current_.parts.end(),
                   [](const CriticalPart& a, const CriticalPart& b) { return a.cycles > b.cycles; });
  sequences_.push_back(std::move(current_));
  nodes_.clear();
  holds_.clear();
}

void CriticalRecorder::on_cta(const CtaEvent& event) {
  if (event.kind != CtaEvent::Kind::launch) return;
  Cta& c = cta(event.cta);
  c.replaces = event.replaces;
  c.launch = event.cycle;
}

void CriticalRecorder::on_step(const StepEvent& event) {
  Node& n = node(event.id);
  n.step = event.step;
  n.agent = event.at.agent;
  n.cta = event.at.cta;
  n.issue = event.issue_cycle;
  n.cause = event.cause;
  n.cause_cycle = event.cause_cycle;
  Cta& c = cta(event.at.cta);
  if (event.complete_cycle >= c.last_complete) {
    c.last_complete = event.complete_cycle;
    c.last_step = event.id;
  }
  if (event.complete_cycle >= last_complete_) {
    last_complete_ = event.complete_cycle;
    last_step_ = event.id;
  }
}

void CriticalRecorder::on_hold(const HoldEvent& event) {
  Node& n = node(event.step);
  holds_.push_back({event.unit, event.asked, event.begin, event.end, event.after, n.last_hold});
  n.last_hold = static_cast<std::int64_t>(holds_.size()) - 1;
}

void CriticalRecorder::on_copy(const CopyEvent& event) {
  if (event.miss_bytes > 0) node(event.step).from_hbm = true;
}

// What the step's progress until t hung on: the hold that ended at t, else one under way at t, else the one that ended last. One that
// begins at t counts where it was queued for: the step waited for its holder until then.
const CriticalRecorder::Hold* CriticalRecorder::binding_hold(const Node& n, double t) const {
  const Hold* best = nullptr;
  const auto rank = [&](const Hold& h) { return h.end > t + kSameCycle ? 1 : h.end > t - kSameCycle ? 2 : 0; };
  const auto better = [&](const Hold& a, const Hold& b) {
    if (rank(a) != rank(b)) return rank(a) > rank(b);
    if (rank(a) == 0 && a.end != b.end) return a.end > b.end;
    return a.unit < b.unit;
  };
  for (std::int64_t i = n.last_hold; i >= 0; i = holds_[static_cast<std::size_t>(i)].earlier) {
    const Hold& h = holds_[static_cast<std::size_t>(i)];
    const bool queued = h.after != 0 && h.begin > h.asked + kSameCycle;
    if (h.begin > t + kSameCycle || (h.begin > t - kSameCycle && !queued)) continue;
    if (best == nullptr || better(h, *best)) best = &h;
  }
  return best;
}

void CriticalRecorder::add(const Node* n, const std::string& cause, double from, double to) {
  if (to <= from) return;
  const std::string role = n != nullptr && n->step != nullptr ? role_of(*n->step) : "";
  const std::string agent = n != nullptr ? kernel_->program.agents[static_cast<std::size_t>(n->agent)].name : "";
  auto part = std::find_if(current_.parts.begin(), current_.parts.end(),
                           [&](const CriticalPart& p) { return p.role == role && p.agent == agent && p.cause == cause; });
  if (part == current_.parts.end()) part = current_.parts.insert(part, CriticalPart{role, agent, cause, 0, 0, 0});
  part->cycles += to - from;
  ++part->times;
}

void CriticalRecorder::walk(double end_cycle) {
  if (last_step_ == 0) return add(nullptr, "idle", 0, end_cycle);
  add(nullptr, "write-backs", last_complete_, end_cycle);
  std::int64_t id = last_step_;
  double t = last_complete_;
  for (std::size_t steps = 4 * (nodes_.size() + holds_.size()); steps > 0 && t > 0; --steps) {
    const Node& n = node(id);
    if (const Hold* h = binding_hold(n, t)) {
      add(&n, "latency", h->end, t);
      add(&n, unit_text(h->unit, n.from_hbm), h->begin, std::min(h->end, t));
      t = h->begin;
      if (h->begin > h->asked + kSameCycle) {
        if (h->after != 0) {
          id = h->after;
          continue;
        }
        add(&n, unit_text(h->unit, n.from_hbm), h->asked, h->begin);
        t = h->asked;
      }
      if (t > n.issue + kSameCycle) continue;
    }
    add(&n, "latency", n.issue, t);
    t = n.issue;
    if (n.cause != 0) {
      add(&n, "barrier", n.cause_cycle, t);
      t = std::min(t, n.cause_cycle);
      id = n.cause;
      continue;
    }
    const Cta& c = cta(n.cta);
    add(nullptr, "CTA start", c.launch, t);
    t = std::min(t, c.launch);
    if (c.replaces < 0) break;
    const Cta& before = cta(c.replaces);
    add(nullptr, "CTA dispatch", before.last_complete, t);
    t = std::min(t, before.last_complete);
    id = before.last_step;
  }
  add(nullptr, "CTA dispatch", 0, t);
}

}  // namespace attnsim
