// SPDX-License-Identifier: Apache-2.0
#include "sim/value/random_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sim/core/error.h"
#include "sim/value/agent_walk.h"
#include "sim/value/execute.h"
#include "sim/value/scoreboard.h"
#include "sim/value/token_counts.h"

namespace attnsim::value {

namespace {

struct Cta {
  std::int64_t id = 0;
  std::vector<std::int64_t> items;  // so far; a dynamic grid appends
  std::unique_ptr<CtaMemory> memory;
  std::vector<AgentWalk> agents;
  std::vector<Scoreboard> boards;
  std::vector<std::uint64_t> issue_weight;
  std::vector<std::uint64_t> complete_weight;
  int until_new_weights = 0;
  bool done = false;
};

class KernelRun {
 public:
  KernelRun(const ir::Kernel& kernel, std::span<TensorData> tensors, int persistent_ctas, CounterRng& rng)
      : kernel_(kernel), tensors_(tensors), rng_(rng), items_(kernel), tokens_(kernel) {
    make_ctas(persistent_ctas);
  }

  void run() {
    std::vector<std::size_t> live(ctas_.size());
    for (std::size_t c = 0; c < live.size(); ++c) live[c] = c;
    while (!live.empty()) {
      const std::size_t start = rng_.below(live.size());
      bool moved = false;
      for (std::size_t n = 0; n < live.size() && !moved; ++n) {
        const std::size_t at = (start + n) % live.size();
        Cta& cta = ctas_[live[at]];
        std::uint64_t burst = 1 + rng_.below(24);
        while (burst-- > 0 && step(cta)) moved = true;
        if (!finished(cta)) continue;
        cta.memory.reset();
        cta.done = true;
        live[at] = live.back();
        live.pop_back();
        moved = true;
      }
      if (!moved) throw SimError("deadlock in kernel " + kernel_.name + state());
    }
  }

 private:
  void make_ctas(int persistent_ctas) {
    const std::int64_t n = items_.size();
    std::int64_t count = n;
    if (kernel_.grid.policy == ir::GridPolicy::lists) count = static_cast<std::int64_t>(kernel_.grid.lists.size());
    if (kernel_.grid.policy == ir::GridPolicy::persistent_static || kernel_.grid.policy == ir::GridPolicy::persistent_dynamic) {
      const std::int64_t most = std::min<std::int64_t>(n, 8);
      count = persistent_ctas > 0 ? persistent_ctas
              : n > 0             ? 1 + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most)))
                                  : 0;
    }
    for (std::int64_t c = 0; c < count; ++c) {
      Cta cta;
      cta.id = c;
      if (kernel_.grid.policy == ir::GridPolicy::one_item_per_cta) cta.items.push_back(c);
      if (kernel_.grid.policy == ir::GridPolicy::lists) cta.items = kernel_.grid.lists[static_cast<std::size_t>(c)];
      for (std::int64_t i = c; kernel_.grid.policy == ir::GridPolicy::persistent_static && i < n; i += count) cta.items.push_back(i);
      for (std::size_t a = 0; a < kernel_.program.agents.size(); ++a) {
        cta.agents.emplace_back(kernel_, items_, static_cast<int>(a));
        cta.boards.emplace_back(kernel_.program);
      }
      ctas_.push_back(std::move(cta));
    }
  }

  // The agent's next op, of its next item if need be; last_arriver ops of other CTAs are passed over.
  const Instance* next_op(Cta& cta, std::size_t agent) {
    AgentWalk& walk = cta.agents[agent];
    while (true) {
      while (walk.current() && walk.current()->op->when == ir::When::last_arriver && !tokens_.last_arriver(cta.id, *walk.current()))
        walk.advance();
      if (walk.current()) return &*walk.current();
      const auto wanted = static_cast<std::size_t>(walk.items_started());
      if (wanted == cta.items.size()) {
        if (kernel_.grid.policy != ir::GridPolicy::persistent_dynamic || drawn_ >= items_.size()) return nullptr;
        cta.items.push_back(drawn_++);
      }
      walk.start(cta.items[wanted]);
    }
  }

  bool may_issue(const Cta& cta, std::size_t agent, const Instance& op) const {
    if (cta.boards[agent].blocks(op)) return false;
    return op.op->kind != ir::OpKind::await || tokens_.passes(cta.id, op);
  }

  void issue(Cta& cta, std::size_t agent, Instance op) {
    for (const ir::TokenId t : op.op->completes) op.tickets.push_back(tokens_.take_ticket(cta.id, op, t));
    if (ir::completes_later(*op.op)) {
      cta.boards[agent].add(op);
    } else {
      finish(cta, op);
      if (op.op->kind == ir::OpKind::await) tokens_.pass(cta.id, op);
      if (op.op->kind == ir::OpKind::signal) tokens_.signal(cta.id, op, op.op->token, tokens_.take_ticket(cta.id, op, op.op->token));
    }
    cta.agents[agent].advance();
  }

  void finish(Cta& cta, const Instance& op) {
    if (!cta.memory) cta.memory = std::make_unique<CtaMemory>(kernel_.program);
    execute(kernel_.program, op, *cta.memory, tensors_);
    for (std::size_t t = 0; t < op.tickets.size(); ++t) tokens_.signal(cta.id, op, op.op->completes[t], op.tickets[t]);
  }

  void draw_weights(Cta& cta) {
    cta.issue_weight.clear();
    cta.complete_weight.clear();
    for (std::size_t a = 0; a < cta.agents.size(); ++a) {
      cta.issue_weight.push_back(std::uint64_t{1} << (3 * rng_.below(4)));
      cta.complete_weight.push_back(std::uint64_t{1} << (3 * rng_.below(4)));
    }
    cta.until_new_weights = static_cast<int>(1 + rng_.below(40));
  }

  // One issue or one completion; false when nothing can move.
  bool step(Cta& cta) {
    if (cta.until_new_weights-- <= 0) draw_weights(cta);
    struct Choice {
      std::size_t agent;
      std::ptrdiff_t pending;  // -1: issue
      std::uint64_t weight;
    };
    std::vector<Choice> choices;
    std::uint64_t total = 0;
    for (std::size_t a = 0; a < cta.agents.size(); ++a) {
      const Instance* op = next_op(cta, a);
      if (op != nullptr && may_issue(cta, a, *op)) choices.push_back({a, -1, cta.issue_weight[a]});
      for (std::size_t p = 0; p < cta.boards[a].pending().size(); ++p) {
        if (cta.boards[a].may_complete(p)) choices.push_back({a, static_cast<std::ptrdiff_t>(p), cta.complete_weight[a]});
      }
    }
    for (const Choice& c : choices) total += c.weight;
    if (total == 0) return false;
    std::uint64_t draw = rng_.below(total);
    for (const Choice& c : choices) {
      if (draw >= c.weight) {
        draw -= c.weight;
        continue;
      }
      if (c.pending < 0) {
        issue(cta, c.agent, *next_op(cta, c.agent));
      } else {
        finish(cta, cta.boards[c.agent].remove(static_cast<std::size_t>(c.pending)));
      }
      break;
    }
    return true;
  }

  bool finished(Cta& cta) {
    for (std::size_t a = 0; a < cta.agents.size(); ++a) {
      if (!cta.boards[a].pending().empty() || next_op(cta, a) != nullptr) return false;
    }
    return true;
  }

  std::string state() {
    std::string text;
    for (Cta& cta : ctas_) {
      if (cta.done) continue;
      for (std::size_t a = 0; a < cta.agents.size(); ++a) {
        const Instance* i = next_op(cta, a);
        const std::string& name = kernel_.program.agents[a].name;
        if (i == nullptr) continue;
        text +=
            fmt::format("\n  cta {}, agent {}: item {}, section {}, trip {}: {} {}", cta.id, name, i->item_position,
                        kernel_.program.sections[static_cast<std::size_t>(i->section)].name, i->trip, info(i->op->kind).name, i->op->role);
        if (i->op->kind == ir::OpKind::await) {
          text += fmt::format(" {} (at {})", kernel_.program.tokens[static_cast<std::size_t>(i->op->token)].name,
                              tokens_.progress(cta.id, *i, i->op->token));
        }
      }
    }
    return text;
  }

  const ir::Kernel& kernel_;
  std::span<TensorData> tensors_;
  CounterRng& rng_;
  ir::ItemSequence items_;
  TokenCounts tokens_;
  std::vector<Cta> ctas_;
  std::int64_t drawn_ = 0;
};

}  // namespace

void run_random_order(const ir::Kernel& kernel, std::span<TensorData> tensors, int persistent_ctas, CounterRng& rng) {
  KernelRun(kernel, tensors, persistent_ctas, rng).run();
}

}  // namespace attnsim::value
