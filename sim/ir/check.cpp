// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/core/error.h"
#include "sim/ir/program.h"

namespace attnsim::ir {

namespace {

// Set of tokens that an agent signals, by signal ops or at completion of its asynchronous ops.
std::set<TokenId> signalled_by(const Agent& agent) {
  std::set<TokenId> tokens;
  for (const auto& section : agent.sections) {
    for (const Op& op : section) {
      tokens.insert(op.completes.begin(), op.completes.end());
      if (op.kind == OpKind::signal) tokens.insert(op.token);
    }
  }
  return tokens;
}

std::set<TokenId> awaited_by(const Agent& agent) {
  std::set<TokenId> tokens;
  for (const auto& section : agent.sections) {
    for (const Op& op : section) {
      if (op.kind == OpKind::await) tokens.insert(op.token);
    }
  }
  return tokens;
}

bool is_tcgen05(const Op& op) {
  return op.kind == OpKind::mma && op.mma == MmaKind::tcgen05;
}

class Checker {
 public:
  explicit Checker(const Program& program) : program_(program) {}

  void run() {
    check_declarations();
    for (std::size_t a = 0; a < program_.agents.size(); ++a) {
      const Agent& agent = program_.agents[a];
      agent_ = static_cast<int>(a);
      go_to("agent " + agent.name);
      ensure(agent.sections.size() == program_.sections.size(), "has {} sections, the program has {}", agent.sections.size(),
             program_.sections.size());
      ensure(agent.warps > 0, "has no warps");
      for (std::size_t s = 0; s < agent.sections.size(); ++s) {
        for (std::size_t p = 0; p < agent.sections[s].size(); ++p) {
          const Op& op = agent.sections[s][p];
          op_place_ = {&agent, &program_.sections[s], p, &op};
          check_op(op, program_.sections[s]);
        }
      }
    }
    check_tokens();
    check_uses();
  }

 private:
  template <class... Args>
  void ensure(bool ok, fmt::format_string<Args...> text, Args&&... args) const {
    if (!ok) throw Invariant(fmt::format("{}: {}", place(), fmt::format(text, std::forward<Args>(args)...)));
  }

  // What is being checked, put into words only for an error.
  void go_to(std::string place) {
    place_ = std::move(place);
    op_place_ = {};
  }
  [[nodiscard]] std::string place() const {
    const auto& [agent, section, index, op] = op_place_;
    if (op == nullptr) return place_;
    if (section == nullptr) return fmt::format("agent {}, {} {}", agent->name, info(op->kind).name, op->role);
    return fmt::format("agent {}, section {}, op {} ({} {})", agent->name, section->name, index, info(op->kind).name, op->role);
  }

  [[nodiscard]] const Tile& tile(TileId id) const { return program_.tiles[static_cast<std::size_t>(id)]; }
  [[nodiscard]] int rows(TileId id) const { return program_.padded(tile(id).rows); }
  [[nodiscard]] int cols(TileId id) const { return program_.padded(tile(id).cols); }

  template <class T>
  [[nodiscard]] static bool valid_id(int id, const std::vector<T>& items) {
    return id >= 0 && id < static_cast<int>(items.size());
  }

  void check_declarations() {
    for (const Axis& axis : program_.axes) {
      go_to("axis " + axis.name);
      ensure(axis.padded > 0, "padded extent {} is not positive", axis.padded);
      ensure(axis.kind != AxisKind::fixed || (axis.valid > 0 && axis.valid <= axis.padded), "valid extent {} is not in 1..{}", axis.valid,
             axis.padded);
    }
    for (std::size_t i = 0; i < program_.tiles.size(); ++i) {
      const Tile& t = program_.tiles[i];
      go_to("tile " + t.name);
      ensure(t.rows == kUnit || valid_id(t.rows, program_.axes), "unknown row axis {}", t.rows);
      ensure(t.cols == kUnit || valid_id(t.cols, program_.axes), "unknown column axis {}", t.cols);
      ensure(t.stages > 0, "needs at least one stage");
      ensure(t.borrowed_slots >= 0 && t.borrowed_slots < t.stages, "borrows slots that it does not have");
      ensure(t.alias_of == kNone || valid_id(t.alias_of, program_.tiles), "unknown alias {}", t.alias_of);
      ensure(t.space != Space::registers || valid_id(t.agent, program_.agents), "register tile without an owner");
      if (t.view_of != kNone) check_view(t);
      const TileId storage = program_.storage_of(static_cast<TileId>(i));
      ensure(tile(storage).space == t.space, "aliases a tile of another space");
      ensure(t.space != Space::registers || tile(storage).agent == t.agent, "aliases a register tile of another agent");
    }
    for (const Token& token : program_.tokens) {
      go_to("token " + token.name);
      ensure(token.arrivals > 0, "needs at least one arrival");
      ensure(token.initial_count >= 0, "negative initial count");
    }
  }

  void check_view(const Tile& t) const {
    ensure(valid_id(t.view_of, program_.tiles), "views unknown tile {}", t.view_of);
    const Tile& shown = tile(t.view_of);
    ensure(shown.view_of == kNone && t.alias_of == kNone, "views a view, or is an alias too");
    ensure(t.space == Space::smem && shown.space == Space::smem, "views are for SMEM");
    ensure(t.rows == shown.rows && t.dtype == shown.dtype && t.stages == shown.stages && shown.slice_cols == 0,
           "differs in rows, dtype or stages from {}, which it views", shown.name);
    ensure(t.view_column >= 0 && t.view_column + program_.padded(t.cols) <= program_.padded(shown.cols),
           "shows columns {} to {} of {}, which has {}", t.view_column, t.view_column + program_.padded(t.cols) - 1, shown.name,
           program_.padded(shown.cols));
  }

  void check_op(const Op& op, const Section& section) {
    for (const auto* ids : {&op.in, &op.out}) {
      for (const TileId id : *ids) {
        ensure(valid_id(id, program_.tiles), "unknown tile {}", id);
        ensure(tile(id).space != Space::registers || tile(id).agent == agent_, "uses register tile {} of another agent", tile(id).name);
      }
    }
    for (const TileId id : op.out) ensure(tile(id).view_of == kNone, "writes view {}", tile(id).name);
    for (const TokenId id : op.completes) ensure(valid_id(id, program_.tokens), "completes unknown token {}", id);
    ensure(op.completes.empty() || op.kind == OpKind::load || op.kind == OpKind::store || op.kind == OpKind::mma ||
               info(op.kind).op_class == OpClass::copy,
           "only copies and MMAs complete tokens; use a signal");
    ensure(op.skew >= 0, "negative skew");
    ensure(op.share > 0 && op.share <= 1, "share {} is not in 0..1", op.share);
    ensure(op.parts >= 1 && op.part >= 0 && op.part < op.parts, "part {} of {}", op.part, op.parts);
    if (op.parts > 1) check_parts(op);
    ensure(op.tmem_rounds >= 1, "{} reads of tensor memory in turn", op.tmem_rounds);
    ensure(op.polynomial >= 0 && op.polynomial <= 1 && (op.polynomial == 0 || op.fn == Fn::exp2), "only a part of an exp2 is a polynomial");
    const bool loop = section.kind == SectionKind::loop;
    ensure(loop || op.skew == 0, "skew outside a loop");
    const bool per_trip = op.when == When::first_trip || op.when == When::not_first_trip || op.when == When::last_trip ||
                          op.when == When::partial_trip || op.when == When::full_trip;
    ensure(loop || !per_trip, "acts by trip outside a loop");
    ensure(op.when != When::last_arriver ||
               (valid_id(op.token, program_.tokens) && program_.tokens[static_cast<std::size_t>(op.token)].scope == TokenScope::kernel),
           "last_arriver needs a token of kernel scope");
    const bool turn = (op.kind == OpKind::await || op.kind == OpKind::signal) && valid_id(op.token, program_.tokens) &&
                      program_.tokens[static_cast<std::size_t>(op.token)].scope == TokenScope::turn;
    ensure(!turn || (loop && section.trips == TripSource::runs), "turns at the tiles of a loop outside one");
    ensure(!op.until_seen || op.kind == OpKind::store || op.kind == OpKind::atomic || (turn && op.kind == OpKind::signal),
           "only stores and turns are seen");
    check_shapes(op);
  }

  void check_parts(const Op& op) const {
    ensure(op.kind == OpKind::mma || op.kind == OpKind::unary || op.kind == OpKind::binary || op.kind == OpKind::convert,
           "only element-wise ops and MMAs come in parts");
    const Tile& divided = tile(op.kind == OpKind::mma ? op.in.at(0) : op.out.at(0));
    const int padded = program_.padded(op.kind == OpKind::mma && op.a_transposed ? divided.rows : divided.cols);
    ensure(padded % op.parts == 0, "{} parts do not divide {}", op.parts, padded);
    ensure(op.kind != OpKind::mma || op.accumulate || op.part == 0, "only the first part of an MMA may clear its result");
  }

  void count_operands(const Op& op, std::size_t in, std::size_t out) const {
    ensure(op.in.size() == in && op.out.size() == out, "takes {} operands and {} results, has {} and {}", in, out, op.in.size(),
           op.out.size());
  }
  // Operand fits the result, or is broadcast along an axis of extent 1.
  void check_fits(TileId in, TileId out) const {
    const bool fits = (rows(in) == rows(out) || rows(in) == 1) && (cols(in) == cols(out) || cols(in) == 1);
    ensure(fits, "{} [{} x {}] does not fit {} [{} x {}]", tile(in).name, rows(in), cols(in), tile(out).name, rows(out), cols(out));
  }

  void check_shapes(const Op& op) const {
    ensure(op.access.order == kNone || valid_id(op.access.order, program_.orders), "unknown order {}", op.access.order);
    ensure(!op.by_steps || (op.kind == OpKind::mma && is_async(op.mma)), "only asynchronous MMAs take turns by steps");
    ensure(!op.immediate || info(op.kind).op_class == OpClass::elementwise, "only element-wise results are known to the compiler");
    ensure(!op.precise || op.fn == Fn::multiply || (op.fn == Fn::exp2 && op.polynomial == 0), "only a multiply or an exp2 is precise");
    switch (op.kind) {
      case OpKind::load: count_operands(op, 0, 1); break;
      case OpKind::store:
      case OpKind::atomic: count_operands(op, 1, 0); break;
      case OpKind::mma: check_mma(op); break;
      case OpKind::unary:
        count_operands(op, op.fn == Fn::zero ? 0 : 1, 1);
        if (!op.in.empty()) check_fits(op.in[0], op.out[0]);
        break;
      case OpKind::binary:
        count_operands(op, op.scalar ? 1 : 2, 1);
        for (const TileId in : op.in) check_fits(in, op.out[0]);
        break;
      case OpKind::convert:
      case OpKind::broadcast:
        count_operands(op, 1, 1);
        check_fits(op.in[0], op.out[0]);
        break;
      case OpKind::select:
        count_operands(op, 2, 1);
        for (const TileId in : op.in) check_fits(in, op.out[0]);
        ensure(op.scalar.has_value(), "select needs a fill");
        break;
      case OpKind::look_up:
        count_operands(op, 2, 1);
        ensure(rows(op.in[0]) == 1, "looks up in {}, which is no row", tile(op.in[0]).name);
        check_fits(op.in[1], op.out[0]);
        break;
      case OpKind::iota:
      case OpKind::compare: count_operands(op, 0, 1); break;
      case OpKind::reduce_row:
        count_operands(op, 1, 1);
        ensure(rows(op.in[0]) == rows(op.out[0]) && cols(op.out[0]) == 1, "a row reduction gives one value per row");
        break;
      case OpKind::reduce_col:
        count_operands(op, 1, 1);
        ensure(cols(op.in[0]) == cols(op.out[0]) && rows(op.out[0]) == 1, "a column reduction gives one value per column");
        break;
      case OpKind::transpose:
        count_operands(op, 1, 1);
        ensure(rows(op.in[0]) == cols(op.out[0]) && cols(op.in[0]) == rows(op.out[0]), "shapes are not transposes of each other");
        break;
      case OpKind::signal:
      case OpKind::await: ensure(valid_id(op.token, program_.tokens), "unknown token {}", op.token); break;
      default: break;
    }
  }

  void check_mma(const Op& op) const {
    count_operands(op, 2, 1);
    const TileId a = op.in[0];
    const TileId b = op.in[1];
    const TileId d = op.out[0];
    const int m = op.a_transposed ? cols(a) : rows(a);
    const int k = op.a_transposed ? rows(a) : cols(a);
    const int kb = op.b_transposed ? cols(b) : rows(b);
    const int n = op.b_transposed ? rows(b) : cols(b);
    ensure(k == kb && m == rows(d) && n == cols(d), "mma shapes do not agree: A [{} x {}], B [{} x {}], D [{} x {}]", m, k, kb, n, rows(d),
           cols(d));
    const bool hopper = op.mma == MmaKind::wgmma_ss || op.mma == MmaKind::wgmma_rs;
    ensure(!hopper || tile(b).space == Space::smem, "wgmma takes B from SMEM");
    ensure(op.mma != MmaKind::wgmma_ss || tile(a).space == Space::smem, "wgmma_ss takes A from SMEM");
    ensure(
        op.mma != MmaKind::tcgen05 || (tile(d).space == Space::tmem && tile(b).space == Space::smem && tile(a).space != Space::registers),
        "tcgen05 takes A from SMEM or TMEM and B from SMEM, and accumulates in TMEM");
    ensure(op.mma != MmaKind::wgmma_rs || tile(a).space == Space::registers, "wgmma_rs takes A from registers");
  }

  void check_tokens() {
    for (std::size_t i = 0; i < program_.tokens.size(); ++i) {
      const Token& t = program_.tokens[i];
      const int signallers = program_.signallers(static_cast<TokenId>(i));
      go_to("token " + t.name);
      ensure(t.scope == TokenScope::kernel || signallers == 0 || t.arrivals % signallers == 0,
             "{} arrivals do not divide among the {} agents that signal it", t.arrivals, signallers);
      ensure(t.scope != TokenScope::turn || (t.arrivals == 1 && t.initial_count == 0 && signallers <= 1),
             "a turn passes by one signal of one agent");
      ensure(t.initial_count % t.arrivals == 0, "initial count {} is no whole number of phases of {}", t.initial_count, t.arrivals);
    }
    std::set<TokenId> signalled;
    for (const Agent& agent : program_.agents) signalled.merge(signalled_by(agent));
    for (const Agent& agent : program_.agents) {
      for (const TokenId token : awaited_by(agent)) {
        const Token& t = program_.tokens[static_cast<std::size_t>(token)];
        go_to("agent " + agent.name);
        ensure(t.scope == TokenScope::kernel || signalled.contains(token), "awaits token {} that nobody signals", t.name);
      }
    }
  }

  struct Write {
    int agent;
    bool later;
    bool tcgen05;
  };

  // A value must have a writer; one that another agent writes, or that arrives later, must be awaited.
  void check_uses() {
    std::vector<std::vector<Write>> writes(program_.tiles.size());
    for (std::size_t a = 0; a < program_.agents.size(); ++a) {
      for (const auto& section : program_.agents[a].sections) {
        for (const Op& op : section) {
          for (const TileId id : op.out) {
            writes[static_cast<std::size_t>(program_.storage_of(id))].push_back({static_cast<int>(a), completes_later(op), is_tcgen05(op)});
          }
        }
      }
    }
    std::vector<std::set<TokenId>> signalled;
    for (const Agent& agent : program_.agents) signalled.push_back(signalled_by(agent));
    for (std::size_t a = 0; a < program_.agents.size(); ++a) {
      const Agent& agent = program_.agents[a];
      const std::set<TokenId> awaited = awaited_by(agent);
      for (const auto& section : agent.sections) {
        for (const Op& op : section) {
          op_place_ = {&agent, nullptr, 0, &op};
          for (const TileId id : op.in) {
            if (op.kind == OpKind::signal) continue;
            const auto& writers = writes[static_cast<std::size_t>(program_.storage_of(id))];
            ensure(!writers.empty(), "reads {} that nobody writes", tile(id).name);
            if (tile(id).space == Space::registers) continue;
            for (const Write& w : writers) {
              // What the agent itself does: done before its next op, or in the order of issue.
              if (w.agent == static_cast<int>(a) && (!w.later || (w.tcgen05 && is_tcgen05(op)))) continue;
              const Agent& writer = program_.agents[static_cast<std::size_t>(w.agent)];
              const std::set<TokenId>& given = signalled[static_cast<std::size_t>(w.agent)];
              const bool ordered = std::any_of(given.begin(), given.end(), [&](TokenId t) { return awaited.contains(t); });
              ensure(ordered, "reads {} without awaiting any token of its writer {}", tile(id).name, writer.name);
            }
          }
        }
      }
    }
  }

  const Program& program_;
  int agent_ = 0;
  struct OpPlace {
    const Agent* agent = nullptr;
    const Section* section = nullptr;  // nullptr: not said
    std::size_t index = 0;
    const Op* op = nullptr;  // nullptr: place_ says it
  };
  std::string place_;
  OpPlace op_place_;
};

}  // namespace

void check(const Program& program) {
  Checker(program).run();
}

}  // namespace attnsim::ir
