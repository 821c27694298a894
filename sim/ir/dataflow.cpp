// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/dataflow.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/topological_sort.hpp>
#include <tuple>

#include "sim/core/error.h"

namespace attnsim::ir {

namespace {

using FlowGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;

// A definition that reaches a use, `lag` steps (of the modulo-scheduled loop) before it.
struct Reach {
  int op = 0;
  int distance = 0;
  int lag = 0;
  int position = 0;
  bool certain = false;  // it always acts, so older definitions do not pass it
};

class Builder {
 public:
  explicit Builder(const Program& program) : program_(program) {}

  Dataflow run() {
    for (std::size_t a = 0; a < program_.agents.size(); ++a) {
      for (std::size_t s = 0; s < program_.agents[a].sections.size(); ++s) {
        for (std::size_t p = 0; p < program_.agents[a].sections[s].size(); ++p) {
          flow_.ops.push_back({static_cast<int>(a), static_cast<int>(s), static_cast<int>(p)});
        }
      }
    }
    for (std::size_t v = 0; v < flow_.ops.size(); ++v) add_uses(static_cast<int>(v));
    add_tokens();
    return std::move(flow_);
  }

 private:
  [[nodiscard]] const Op& op(int v) const {
    const OpPlace& at = flow_.ops[static_cast<std::size_t>(v)];
    return program_.agents[static_cast<std::size_t>(at.agent)]
        .sections[static_cast<std::size_t>(at.section)][static_cast<std::size_t>(at.position)];
  }

  void add_uses(int v) {
    std::vector<TileId> uses = op(v).in;
    if (op(v).accumulate) uses.insert(uses.end(), op(v).out.begin(), op(v).out.end());
    for (TileId& tile : uses) tile = program_.shown_by(tile);
    std::sort(uses.begin(), uses.end());
    uses.erase(std::unique(uses.begin(), uses.end()), uses.end());
    for (const TileId tile : uses) {
      for (const Reach& r : reaching(v, tile)) flow_.edges.push_back({r.op, v, FlowKind::value, tile, r.distance});
    }
  }

  // Definitions of `tile` by the agent of `use`, newest first, up to the first that certainly acts in this very pass.
  [[nodiscard]] std::vector<Reach> reaching(int use, TileId tile) const {
    const OpPlace at = flow_.ops[static_cast<std::size_t>(use)];
    std::vector<Reach> found;
    bool done = false;
    for (int section = at.section; section >= 0 && !done; --section) {
      std::vector<Reach> here;
      for (int d = 0; d < static_cast<int>(flow_.ops.size()); ++d) {
        const OpPlace& from = flow_.ops[static_cast<std::size_t>(d)];
        if (from.agent != at.agent || from.section != section) continue;
        if (std::find(op(d).out.begin(), op(d).out.end(), tile) == op(d).out.end()) continue;
        if (section == at.section) {
          const auto reach = same_section(d, use, tile);
          if (reach) here.push_back(*reach);
        } else {
          const bool once = program_.sections[static_cast<std::size_t>(section)].kind == SectionKind::once;
          here.push_back({d, 0, 0, from.position, once && op(d).when == When::always});
        }
      }
      std::sort(here.begin(), here.end(),
                [](const Reach& a, const Reach& b) { return std::pair(a.lag, -a.position) < std::pair(b.lag, -b.position); });
      bool covered = false;  // for trips after the first few
      for (const Reach& r : here) {
        if (covered) break;
        found.push_back(r);
        covered = r.certain;
        done = done || (r.certain && r.distance == 0);
      }
    }
    return found;
  }

  // Slots are chosen by trip, so a definition reaches the next use of the same slot that issues after it.
  [[nodiscard]] std::optional<Reach> same_section(int def, int use, TileId tile) const {
    const OpPlace& from = flow_.ops[static_cast<std::size_t>(def)];
    const OpPlace& to = flow_.ops[static_cast<std::size_t>(use)];
    const bool earlier = from.position < to.position;
    const bool certain = op(def).when == When::always || op(def).when == op(use).when;
    if (program_.sections[static_cast<std::size_t>(from.section)].kind == SectionKind::once) {
      if (!earlier) return std::nullopt;
      return Reach{def, 0, 0, from.position, certain};
    }
    const int stages = program_.tiles[static_cast<std::size_t>(tile)].stages;
    const int nearest = op(def).skew - op(use).skew + (earlier ? 0 : 1);
    int distance = nearest;
    while (distance % stages != 0) ++distance;
    return Reach{def, distance, distance - nearest + (earlier ? 0 : 1), from.position, certain};
  }

  void add_tokens() {
    for (std::size_t v = 0; v < flow_.ops.size(); ++v) {
      std::vector<TokenId> given = op(static_cast<int>(v)).completes;
      if (op(static_cast<int>(v)).kind == OpKind::signal) given.push_back(op(static_cast<int>(v)).token);
      for (const TokenId token : given) {
        for (std::size_t w = 0; w < flow_.ops.size(); ++w) {
          const Op& to = op(static_cast<int>(w));
          if (to.kind != OpKind::await || to.token != token) continue;
          flow_.edges.push_back({static_cast<int>(v), static_cast<int>(w), FlowKind::token, token, to.distance});
        }
      }
    }
  }

  const Program& program_;
  Dataflow flow_;
};

// Within one trip, program order, values and tokens of distance 0 must not run in a circle.
void check_acyclic(const Program& program, const Dataflow& flow) {
  FlowGraph graph(flow.ops.size());
  for (const FlowEdge& e : flow.edges) {
    const OpPlace& from = flow.ops[static_cast<std::size_t>(e.from)];
    const OpPlace& to = flow.ops[static_cast<std::size_t>(e.to)];
    const bool token = e.kind == FlowKind::token && program.tokens[static_cast<std::size_t>(e.id)].scope == TokenScope::cta &&
                       program.tokens[static_cast<std::size_t>(e.id)].initial_count == 0;
    if (e.distance == 0 && (token || e.kind == FlowKind::value) && from.section == to.section) {
      boost::add_edge(static_cast<std::size_t>(e.from), static_cast<std::size_t>(e.to), graph);
    }
  }
  for (std::size_t v = 1; v < flow.ops.size(); ++v) {
    const OpPlace& a = flow.ops[v - 1];
    const OpPlace& b = flow.ops[v];
    const auto skew = [&](const OpPlace& p) {
      return program.agents[static_cast<std::size_t>(p.agent)]
          .sections[static_cast<std::size_t>(p.section)][static_cast<std::size_t>(p.position)]
          .skew;
    };
    // An op of larger skew handles an older trip: order by position binds only ops of the same trip.
    if (a.agent == b.agent && a.section == b.section && skew(a) == skew(b)) boost::add_edge(v - 1, v, graph);
  }
  std::vector<std::size_t> order;
  try {
    boost::topological_sort(graph, std::back_inserter(order));
  } catch (const boost::not_a_dag&) {
    throw Invariant("ops of one trip wait for each other in a circle");
  }
}

}  // namespace

Dataflow dataflow(const Program& program) {
  Dataflow flow = Builder(program).run();
  check_acyclic(program, flow);
  return flow;
}

}  // namespace attnsim::ir
