// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/tally.h"

#include <algorithm>
#include <utility>

namespace attnsim::machine {

namespace {

constexpr std::size_t kCopyStates = 4;  // of one token's copy: HBM, L2, latency, not issued
constexpr std::size_t kReasonsPerToken = kCopyStates + 1;
constexpr std::array<std::string_view, kCopyStates> kCopyText{" from HBM", " from L2", " in latency", " not issued yet"};

std::size_t at(Reason r) {
  return static_cast<std::size_t>(r);
}

// The unit that a step works on; signals and awaits work on none.
bool works_on(const PlannedStep& step, Server& server) {
  switch (step.kind) {
    case StepKind::chain: server = Server::vector; return true;
    case StepKind::mma: server = Server::tensor; return true;
    case StepKind::load:
    case StepKind::store: server = Server::copy; return true;
    case StepKind::signal:
    case StepKind::await: return false;
  }
  return false;
}

// Work that follows position `op` of `section`: the rest of the section, its start again if it loops, then the later sections.
Server next_work(const KernelPlan& plan, const PlannedAgent& agent, std::size_t section, std::size_t op) {
  Server server = Server::vector;
  const auto scan = [&](std::size_t s, std::size_t from) {
    for (std::size_t i = from; i < agent.sections[s].size(); ++i) {
      if (works_on(agent.sections[s][i], server)) return true;
    }
    return false;
  };
  if (scan(section, op) || (plan.is_loop[section] != 0 && scan(section, 0))) return server;
  for (std::size_t k = 1; k <= agent.sections.size(); ++k) {
    if (scan((section + k) % agent.sections.size(), 0)) return server;
  }
  return server;
}

// The agents that signal a token or whose copies complete it: "consumer0 +1".
std::string signallers_of(const ir::Program& program, ir::TokenId token) {
  std::string first;
  int more = 0;
  for (const ir::Agent& agent : program.agents) {
    bool signals = false;
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        signals = signals || (op.kind == ir::OpKind::signal && op.token == token);
        signals = signals || std::find(op.completes.begin(), op.completes.end(), token) != op.completes.end();
      }
    }
    if (!signals) continue;
    if (first.empty())
      first = agent.name;
    else
      ++more;
  }
  return more > 0 ? first + " +" + std::to_string(more) : first;
}

}  // namespace

Tally::Tally(const KernelPlan& plan, const ir::Program& program, const MachineConfig& config)
    : config_(config), sms_(static_cast<std::size_t>(config.sms)) {
  for (std::size_t r = 0; r < kReasonCount; ++r) out_.reasons.emplace_back(name_of(static_cast<Reason>(r)));
  const auto add_row = [&](const std::string& name, const std::string& signallers) {
    for (const std::string_view state : kCopyText) out_.reasons.push_back("copy " + name + std::string(state));
    out_.reasons.push_back("token " + name + " (" + signallers + ")");
  };
  for (std::size_t t = 0; t < program.tokens.size(); ++t)
    add_row(program.tokens[t].name, signallers_of(program, static_cast<ir::TokenId>(t)));
  add_row("of a blocking load", "-");  // after the tokens
  for (auto& row : out_.idle_ticks) row.assign(out_.reasons.size(), 0);
  for (const PlannedAgent& agent : plan.agents) {
    auto& sections = next_.emplace_back();
    auto& uses = uses_.emplace_back();
    uses.fill(false);
    for (std::size_t s = 0; s < agent.sections.size(); ++s) {
      auto& ops = sections.emplace_back();
      for (std::size_t i = 0; i <= agent.sections[s].size(); ++i) ops.push_back(next_work(plan, agent, s, i));
      for (const PlannedStep& step : agent.sections[s]) {
        Server server{};
        if (!works_on(step, server)) continue;
        uses[static_cast<std::size_t>(server)] = true;
        uses[static_cast<std::size_t>(Server::issue)] = true;
        if (step.group_smem_ticks > 0 || step.smem_ticks_per_byte > 0) uses[static_cast<std::size_t>(Server::smem)] = true;
      }
    }
  }
}

void Tally::block(int sm, std::int32_t cta, std::int32_t agent, const AgentState& state, const PlannedStep* step, Wait reason) {
  Waiting w{cta, agent, Kind::start, Server::vector, 0};
  const auto& ops = next_[static_cast<std::size_t>(agent)][state.section];
  w.next = ops[static_cast<std::size_t>(state.op - state.ops)];
  const std::size_t last_row = (out_.reasons.size() - kReasonCount) / kReasonsPerToken - 1;
  w.token = step != nullptr && step->token != ir::kNone ? step->token : static_cast<int>(last_row);
  switch (reason) {
    case Wait::copy: w.kind = Kind::copy; break;
    case Wait::token: w.kind = Kind::token; break;
    case Wait::dependency:
    case Wait::pipe:
      if (step == nullptr) {
        w.kind = Kind::dependency;
      } else if (step->kind == StepKind::chain) {
        w.kind = Kind::vector;
      } else if (step->kind == StepKind::mma && !step->async) {
        w.kind = Kind::tensor;
      } else {
        w.kind = Kind::issue;
      }
      break;
    case Wait::start: w.kind = Kind::start; break;
  }
  sms_[static_cast<std::size_t>(sm)].waiting.push_back(w);
}

void Tally::unblock(int sm, std::int32_t cta, std::int32_t agent) {
  auto& waiting = sms_[static_cast<std::size_t>(sm)].waiting;
  const auto found = std::find_if(waiting.begin(), waiting.end(), [&](const Waiting& w) { return w.cta == cta && w.agent == agent; });
  if (found != waiting.end()) waiting.erase(found);
}

std::size_t Tally::reason_of(const Waiting& w, const BusyFlags& busy, const Sm& sm, PortState port) const {
  const auto is_busy = [&](Server s) { return busy[static_cast<std::size_t>(s)]; };
  const std::size_t row = kReasonCount + static_cast<std::size_t>(w.token) * kReasonsPerToken;
  switch (w.kind) {
    case Kind::copy:
      if (port == PortState::miss) return row;
      if (port == PortState::hit) return row + 1;
      return sm.loads > 0 ? row + 2 : row + 3;
    case Kind::token: return row + kCopyStates;
    case Kind::start: return at(Reason::start);
    case Kind::dependency:
      if (is_busy(Server::tensor)) return at(Reason::tensor_busy);
      break;
    case Kind::tensor:
      if (is_busy(Server::tensor)) return at(Reason::tensor_busy);
      break;
    case Kind::vector:
      if (is_busy(Server::vector)) return at(Reason::vector_busy);
      break;
    case Kind::issue: break;
  }
  if (w.kind != Kind::dependency) {
    if (is_busy(Server::issue)) return at(Reason::issue_busy);
    if (is_busy(Server::smem)) return at(Reason::smem_busy);
    if (w.kind == Kind::issue) return at(Reason::issue_busy);
  }
  return at(Reason::dependency);
}

std::size_t Tally::idle_reason(Server server, const Sm& sm, const SmState& state, const BusyFlags& busy, PortState port, bool more) const {
  if (state.resident == 0) return at(more ? Reason::dispatch : Reason::tail);
  const auto index = static_cast<std::size_t>(server);
  const bool by_work = server != Server::issue && server != Server::smem;  // issue and SMEM come with other work
  const Waiting* best = nullptr;
  int best_rank = 1 << 10;
  for (const Waiting& w : sm.waiting) {
    if (!uses_[static_cast<std::size_t>(w.agent)][index]) continue;
    const bool at_work = w.kind == Kind::issue || w.kind == Kind::tensor || w.kind == Kind::vector;
    int rank = 30;
    if (w.kind == Kind::start) {
      rank = 40;
    } else if (at_work) {
      rank = 10;
    } else if (!by_work || w.next == server) {
      rank = 0;
    } else {
      rank = 20;
    }
    rank += w.kind == Kind::dependency ? 0 : w.kind == Kind::copy ? 1 : 2;
    if (rank >= best_rank) continue;
    best_rank = rank;
    best = &w;
  }
  if (best != nullptr) return reason_of(*best, busy, sm, port);
  bool used = false;
  for (const auto& uses : uses_) used = used || uses[index];
  if (!used) return at(Reason::no_work);
  return at(sm.waiting.empty() ? Reason::store_drain : Reason::cta_done);
}

void Tally::book_copy(Sm& sm, const SmState& state, const BusyFlags& busy, const MemorySystem& memory, int index, std::int64_t now,
                      bool more) {
  const auto elapsed = static_cast<double>(now - sm.last);
  const PortState port = memory.port_state(index);
  const MemoryTotals totals = memory.totals(static_cast<double>(now));
  const auto sms = static_cast<double>(config_.sms);
  // Bandwidth of the chip that was left: this SM's part, in ticks of the whole.
  double l2_left = (totals.l2_unused - sm.l2_unused) / (config_.rates.l2 * sms) - l2_owed_;
  l2_owed_ = std::max(0.0, -l2_left);
  l2_left = std::max(0.0, l2_left);
  const double hbm_left = (totals.hbm_unused - sm.hbm_unused) / (config_.rates.hbm * sms);
  if (port == PortState::idle) {
    const std::size_t reason = idle_reason(Server::copy, sm, state, busy, port, more);
    idle(Server::copy, reason, elapsed);
    idle(Server::l2, reason, l2_left);
    idle(Server::hbm, reason, hbm_left);
  } else {
    const bool miss = port == PortState::miss;
    const std::size_t flow = memory.port_flow(index);
    const double bytes = totals.arrived[flow] - sm.arrived[flow];
    const double moving = std::clamp(bytes / config_.rates.port, 0.0, elapsed);
    const double full_rate = elapsed > 0 ? moving / elapsed : 0;
    out_.busy_ticks[static_cast<std::size_t>(Server::copy)] += moving;
    idle(Server::copy, at(miss ? Reason::hbm_shared : Reason::l2_shared), elapsed - moving);
    idle(Server::l2, at(Reason::port_rate), l2_left * full_rate);
    idle(Server::l2, at(Reason::hbm_shared), l2_left * (1 - full_rate));
    idle(Server::hbm, at(miss ? Reason::port_rate : Reason::port_hits), hbm_left * full_rate);
    idle(Server::hbm, at(Reason::l2_shared), hbm_left * (1 - full_rate));
  }
  sm.arrived = totals.arrived;
  sm.l2_unused = totals.l2_unused;
  sm.hbm_unused = totals.hbm_unused;
}

void Tally::close(int index, const SmState& state, const MemorySystem& memory, std::int64_t now, bool more) {
  Sm& sm = sms_[static_cast<std::size_t>(index)];
  const std::array<std::int64_t, kSmServers> free{state.tensor_free, state.vector_free, state.issue_free, state.smem_all_free};
  const PortState port = memory.port_state(index);
  const auto flags = [&](std::int64_t t) {
    BusyFlags busy{};
    for (std::size_t s = 0; s < kSmServers; ++s) busy[s] = free[s] > t;
    return busy;
  };
  if (now <= sm.last) return;
  std::array<std::int64_t, kSmServers> stops = free;
  std::sort(stops.begin(), stops.end());
  std::int64_t t = sm.last;
  const auto book = [&](std::int64_t end) {
    const BusyFlags busy = flags(t);
    for (std::size_t s = 0; s < kSmServers; ++s) {
      if (busy[s]) {
        out_.busy_ticks[s] += static_cast<double>(end - t);
      } else {
        const auto server = static_cast<Server>(s);
        idle(server, idle_reason(server, sm, state, busy, port, more), static_cast<double>(end - t));
      }
    }
    t = end;
  };
  for (const std::int64_t stop : stops) {
    if (stop > t && stop < now) book(stop);
  }
  book(now);
  book_copy(sm, state, flags(sm.last), memory, index, now, more);
  sm.last = now;
}

Attribution Tally::finish(double l2_bytes, double hbm_bytes, double written_back_bytes) {
  out_.busy_ticks[static_cast<std::size_t>(Server::l2)] = l2_bytes / config_.rates.l2 - l2_owed_;
  out_.busy_ticks[static_cast<std::size_t>(Server::hbm)] = hbm_bytes / config_.rates.hbm;
  idle(Server::hbm, at(Reason::turnaround), written_back_bytes * (config_.hbm_write_cost - 1) / config_.rates.hbm);
  return std::move(out_);
}

}  // namespace attnsim::machine
