// SPDX-License-Identifier: Apache-2.0
// The KV-stationary kernel with accumulators in registers. K and V of an item stay in SMEM; Q, dO, LSE and delta of the visited query
// tiles go through rings. LSE and delta are columns of queries, read as rows of S^T through aliases.
#include <algorithm>
#include <numbers>
#include <optional>

#include "sim/core/error.h"
#include "workloads/families/tile_list_backward.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::DType;
using ir::Fn;
using ir::MmaKind;
using ir::When;

namespace {

struct Tiles {
  ir::TileId k, v, q, grad_o, lse, delta, lse_row, delta_row;
  ir::TileId s, dp, p, ds, ds_registers, grad_k, grad_v, grad_q, grad_q_stage, k_out, v_out;
  ir::TileId local = ir::kNone;  // what the agent spilled, taken as one number
};
struct Tokens {
  ir::TokenId kv_full, q_full, do_full;
  ir::TokenId q_empty = ir::kNone;
  ir::TokenId do_empty = ir::kNone;
  ir::TokenId written = ir::kNone;  // P and dS have reached SMEM
  ir::TokenId product = ir::kNone;  // dV's, dK's: waited for at once
  ir::TokenId grad_q_full = ir::kNone;
  ir::TokenId grad_q_empty = ir::kNone;
  ir::TokenId turn = ir::kNone;
};

const AgentSpec* agent_of_kind(const Schedule& schedule, AgentKind kind) {
  for (const AgentSpec& spec : schedule.agents) {
    if (spec.kind == kind) return &spec;
  }
  return nullptr;
}

class BackwardWriter {
 public:
  BackwardWriter(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors)
      : plan_(plan),
        schedule_(schedule),
        tensors_(tensors),
        adds_(schedule.backward.adds_grad_query()),
        ordered_(schedule.backward.grad_query == GradQuery::ordered),
        scales_(schedule.backward.scale_in_trip) {}

  ir::Program write() {
    b_.section("prologue", ir::SectionKind::once);
    b_.section("main", ir::SectionKind::loop);
    b_.section("epilogue", ir::SectionKind::once);
    const AgentSpec* producer = agent_of_kind(schedule_, AgentKind::producer);
    const AgentSpec* reducer = adds_ ? agent_of_kind(schedule_, AgentKind::reducer) : nullptr;
    const AgentSpec* compute = agent_of_kind(schedule_, AgentKind::consumer);
    if (compute == nullptr) compute = agent_of_kind(schedule_, AgentKind::all);
    require(compute != nullptr, "schedule without computing agent");
    const int loader = producer != nullptr ? b_.agent(producer->name, producer->warps, producer->registers_per_thread) : 0;
    const TileRule& rule = plan_.rule;
    compute_ = b_.agent(compute->name, rule.warps > 0 ? rule.warps : compute->warps,
                        rule.registers_per_thread > 0 ? rule.registers_per_thread : compute->registers_per_thread);
    const int adder = reducer != nullptr ? b_.agent(reducer->name, reducer->warps, reducer->registers_per_thread) : ir::kNone;
    loads_itself_ = producer == nullptr;
    guard_ = producer != nullptr || ir::is_async(plan_.mma);
    make_tokens(adder != ir::kNone);
    make_tiles(adder != ir::kNone);
    extra_ = trip_instructions(b_, compute_, rule.warps > 0 ? rule.warps : compute->warps, rule.trip_instructions);

    ops::append(b_.ops(loader, kPrologue), list_lookup(b_, loader, schedule_, tensors_));
    ops::append(b_.ops(loader, kPrologue),
                ops::with_role({ops::load(t_.k, key_rows(plan_, tensors_.k), schedule_.copy, {k_.kv_full})}, "load_k"));
    ops::append(b_.ops(loader, kPrologue),
                ops::with_role({ops::load(t_.v, key_rows(plan_, tensors_.v), schedule_.copy, {k_.kv_full})}, "load_v"));
    if (producer != nullptr) {
      for (const RolePlacement& p : producer->loop) ops::append(b_.ops(loader, kMain), ops::with_role(role(p.role), p.role, p.skew));
    }
    ops::append(b_.ops(compute_, kPrologue), mask_start(plan_, tensors_.tables, mask_));
    ops::append(b_.ops(compute_, kPrologue), score_start(plan_, tensors_.tables, score_));
    ops::append(b_.ops(compute_, kPrologue), extra_.start());
    ops::append(b_.ops(compute_, kPrologue), ops::with_role({ops::zero(t_.grad_k), ops::zero(t_.grad_v), ops::await(k_.kv_full)}, "init"));
    write_loop(*compute);
    ops::append(b_.ops(compute_, kEpilogue), store_key_gradients(plan_, schedule_, {t_.grad_v, t_.v_out, grad_v_target(), 1}));
    ops::append(b_.ops(compute_, kEpilogue),
                store_key_gradients(plan_, schedule_, {t_.grad_k, t_.k_out, grad_k_target(), scales_ ? 1 : softmax_scale(plan_)}));
    if (adder != ir::kNone) {
      ir::Op add = ops::atomic_add(t_.grad_q_stage, trip_rows(tensors_.grad_q_sum), schedule_.copy, {k_.grad_q_empty});
      add.until_seen = ordered_;
      ops::Ops list{ops::await(k_.grad_q_full)};
      if (ordered_) list.push_back(ops::await(k_.turn));
      list.push_back(add);
      if (ordered_) list.push_back(pass_on(schedule_, k_.turn, t_.grad_q_stage));
      ops::append(b_.ops(adder, kMain), ops::with_role(list, "add_dq"));
    }
    return b_.take();
  }

 private:
  [[nodiscard]] ir::TensorId grad_k_target() const { return tensors_.grad_k_part != ir::kNone ? tensors_.grad_k_part : tensors_.grad_k; }
  [[nodiscard]] ir::TensorId grad_v_target() const { return tensors_.grad_v_part != ir::kNone ? tensors_.grad_v_part : tensors_.grad_v; }

  void make_tokens(bool reducer) {
    k_.kv_full = b_.token("kv_full", 2);
    k_.q_full = b_.token("q_full", listed() ? 3 : 2);
    k_.do_full = b_.token("do_full", 2);
    if (guard_) {
      k_.q_empty = b_.token("q_empty");
      k_.do_empty = b_.token("do_empty");
    }
    if (adds_ || plan_.rule.p_in_smem) k_.written = b_.token("written");
    if (waits_for_products(plan_, schedule_)) k_.product = b_.token("product");
    if (reducer) {
      k_.grad_q_full = b_.token("dq_full");
      k_.grad_q_empty = b_.token("dq_empty");
      if (ordered_) k_.turn = b_.token("turn", 1, 0, ir::TokenScope::turn);
    }
  }

  void make_tiles(bool reducer) {
    const TileRule& rule = plan_.rule;
    const ir::AxisId keys = b_.rows("keys", rule.tile_kv);
    const ir::AxisId queries = b_.trip_columns("queries", rule.tile_q);
    const ir::AxisId d = b_.fixed("d", plan_.padded_qk, plan_.head_dim_qk);
    const ir::AxisId dv = b_.fixed("dv", plan_.padded_v, plan_.head_dim_v);
    const int do_stages = rule.stages_v > 0 ? rule.stages_v : rule.stages;
    const auto registers = [&](const char* name, ir::AxisId rows, ir::AxisId cols, DType dtype) {
      return b_.registers(name, rows, cols, dtype, compute_);
    };
    t_.k = b_.smem("k", keys, d, plan_.dtype);
    t_.v = b_.smem("v", keys, dv, plan_.dtype);
    t_.q = b_.smem("q", queries, d, plan_.dtype, rule.stages);
    t_.lse = b_.smem("lse", queries, ir::kUnit, DType::f32, rule.stages);
    t_.lse_row = b_.smem("lse_row", ir::kUnit, queries, DType::f32, rule.stages, t_.lse);
    t_.grad_o = b_.smem("do", queries, dv, plan_.dtype, do_stages);
    t_.delta = b_.smem("delta", queries, ir::kUnit, DType::f32, do_stages);
    t_.delta_row = b_.smem("delta_row", ir::kUnit, queries, DType::f32, do_stages, t_.delta);
    t_.s = registers("s", keys, queries, DType::f32);
    t_.dp = registers("dp", keys, queries, DType::f32);
    t_.p = rule.p_in_smem ? b_.smem("p", keys, queries, plan_.dtype) : registers("p", keys, queries, plan_.dtype);
    t_.ds_registers = schedule_.backward.ds_in_registers ? registers("ds_registers", keys, queries, plan_.dtype) : ir::kNone;
    const bool ds_smem = adds_ || !schedule_.backward.ds_in_registers;
    t_.ds = ds_smem ? b_.smem("ds", keys, queries, plan_.dtype) : ir::kNone;
    score_ = score_tiles(b_, plan_, keys, queries, compute_, "", {true, true});
    mask_ = mask_tiles(b_, plan_, keys, queries, compute_);
    if (listed()) mask_[*listed()] = b_.smem("queries_at", ir::kUnit, queries, DType::i32, rule.stages);
    t_.grad_k = registers("dk", keys, d, DType::f32);
    t_.grad_v = registers("dv", keys, dv, DType::f32);
    t_.k_out = registers("dk_out", keys, d, plan_.dtype);
    t_.v_out = registers("dv_out", keys, dv, plan_.dtype);
    if (adds_) t_.grad_q = registers("dq", queries, d, DType::f32);
    if (reducer) t_.grad_q_stage = b_.smem("dq_stage", queries, d, DType::f32);
    if (schedule_.backward.trip_local_reads > 0) t_.local = registers("local", ir::kUnit, ir::kUnit, DType::f32);
  }

  // The instruction that loads the numbers of gathered queries: they come with Q.
  [[nodiscard]] std::optional<std::size_t> listed() const {
    if (!plan_.gathers) return std::nullopt;
    const auto& code = plan_.code.instructions;
    const auto load = std::find_if(code.begin(), code.end(), [](const MaskInstruction& i) { return i.kind == ir::OpKind::load; });
    return load == code.end() ? std::nullopt : std::optional(static_cast<std::size_t>(load - code.begin()));
  }

  [[nodiscard]] ir::Op mma(ir::TileId a, ir::TileId b, ir::TileId d, bool a_in_registers, bool b_transposed, bool accumulate,
                           int warp_columns) const {
    const bool from_registers = a_in_registers && plan_.mma == MmaKind::wgmma_ss;
    ir::Op op = ops::mma(a, b, d, from_registers ? MmaKind::wgmma_rs : plan_.mma, b_transposed, accumulate);
    op.warp_columns = warp_columns;
    return op;
  }

  ops::Ops load_role(bool is_q) const {
    const TileRule& rule = plan_.rule;
    ops::Ops list;
    const ir::TokenId empty = is_q ? k_.q_empty : k_.do_empty;
    if (empty != ir::kNone) list.push_back(ops::await(empty, is_q || rule.stages_v == 0 ? rule.stages : rule.stages_v));
    const ir::TokenId full = is_q ? k_.q_full : k_.do_full;
    list.push_back(ops::load(is_q ? t_.q : t_.grad_o, trip_rows(is_q ? tensors_.q : tensors_.grad_o), schedule_.copy, {full}));
    list.push_back(ops::load(is_q ? t_.lse : t_.delta, trip_rows(is_q ? tensors_.lse2 : tensors_.delta), schedule_.copy, {full}));
    if (plan_.gathers) {
      for (ir::Op& op : list) {
        if (op.kind == ir::OpKind::load) op.access.order = 0;
      }
    }
    if (is_q && listed()) {
      const ops::Ops tests = mask_ops(plan_, tensors_.tables, mask_, t_.s);
      ir::Op numbers = *std::find_if(tests.begin(), tests.end(), [](const ir::Op& op) { return op.kind == ir::OpKind::load; });
      numbers.copy = schedule_.copy;
      numbers.when = When::always;
      numbers.completes = {full};
      list.push_back(numbers);
    }
    return list;
  }

  // S^T becomes P^T in place, dP^T becomes dS^T.
  ops::Ops role(const std::string& name) const {
    const TileRule& rule = plan_.rule;
    if (name == "load_q" || name == "load_do") return load_role(name == "load_q");
    if (name == "qk") return {ops::await(k_.q_full), mma(t_.k, t_.q, t_.s, false, true, false, rule.warp_columns)};
    if (name == "dov") return {mma(t_.v, t_.grad_o, t_.dp, false, true, false, rule.warp_columns)};
    if (name == "mask") {
      ops::Ops list = mask_ops(plan_, tensors_.tables, mask_, t_.s);
      if (listed()) std::erase_if(list, [](const ir::Op& op) { return op.kind == ir::OpKind::load; });
      return list;
    }
    if (name == "exp") {
      ops::Ops list;
      if (!scales_) list.push_back(scale_scores());
      ops::append(list, {ops::binary(Fn::subtract, t_.s, t_.lse_row, t_.s), ops::unary(Fn::exp2, t_.s, t_.s)});
      if (schedule_.precise_softmax) ops::make_precise(list);
      return list;
    }
    if (name == "convert_p") return {ops::convert(t_.s, t_.p)};
    if (name == "ds") return ds_role();
    if (name == "dv") return {mma(t_.p, t_.grad_o, t_.grad_v, !rule.p_in_smem, false, true, rule.warp_columns_dkv)};
    if (name == "dk") {
      const bool registers = t_.ds_registers != ir::kNone;
      return {mma(registers ? t_.ds_registers : t_.ds, t_.q, t_.grad_k, registers, false, true, rule.warp_columns_dkv)};
    }
    if (name == "dq") {
      if (!adds_) return {};
      ir::Op op = mma(t_.ds, t_.k, t_.grad_q, false, false, false, rule.warp_columns_dq);
      op.a_transposed = true;
      return {op};
    }
    if (name == "add_dq") return add_role();
    throw Invariant("unknown role in a schedule's loop");
  }

  [[nodiscard]] ir::Op scale_scores() const { return ops::binary(Fn::multiply, t_.s, plan_.score.factor * std::numbers::log2e, t_.s); }

  ops::Ops ds_role() const {
    ops::Ops list{ops::binary(Fn::subtract, t_.dp, t_.delta_row, t_.dp), ops::binary(Fn::multiply, t_.dp, t_.s, t_.dp)};
    ops::append(list, score_gradient_ops(score_, t_.dp));
    if (scales_) list.push_back(ops::binary(Fn::multiply, t_.dp, softmax_scale(plan_), t_.dp));
    if (t_.ds_registers != ir::kNone) {
      list.push_back(ops::convert(t_.dp, t_.ds_registers));
      if (t_.ds != ir::kNone) list.push_back(ops::unary(Fn::copy, t_.ds_registers, t_.ds));
    } else {
      list.push_back(ops::convert(t_.dp, t_.ds));
    }
    if (k_.written != ir::kNone) ops::append(list, {ops::signal(k_.written), ops::await(k_.written)});
    return list;
  }

  ops::Ops add_role() const {
    if (!adds_) return {};
    if (k_.grad_q_full == ir::kNone) return {ops::atomic_add(t_.grad_q, trip_rows(tensors_.grad_q_sum), ir::CopyKind::plain)};
    return {ops::await(k_.grad_q_empty, 1), ops::unary(Fn::copy, t_.grad_q, t_.grad_q_stage), ops::signal(k_.grad_q_full)};
  }

  // A single slot is loaded again only behind its last reader. An asynchronous product has read its slot when its result is complete:
  // dO is given back behind the next product to issue, Q at the end of the trip;
  // an agent that loads into a slot itself waits at once.
  void write_loop(const AgentSpec& spec) {
    std::vector<RolePlacement> loop = spec.loop;
    const auto at = [&](const char* name) {
      return std::find_if(loop.begin(), loop.end(), [&](const RolePlacement& p) { return p.role == name; });
    };
    const auto move_behind = [&](const char* load, const char* reader) {
      if (at(load) == loop.end() || at(load) > at(reader)) return;
      const RolePlacement moved = *at(load);
      loop.erase(at(load));
      loop.insert(std::next(at(reader)), moved);
    };
    if (!guard_ && plan_.rule.stages == 1) move_behind("load_q", "dk");
    if (!guard_ && (plan_.rule.stages_v > 0 ? plan_.rule.stages_v : plan_.rule.stages) == 1) move_behind("load_do", "dv");
    ops::Ops& list = b_.ops(compute_, kMain);
    ops::append(list, extra_.in_trip());
    bool do_awaited = false;
    for (const RolePlacement& p : loop) {
      if (!do_awaited && (p.role == "dov" || p.role == "dv")) {
        ops::append(list, ops::with_role({ops::await(k_.do_full)}, p.role, p.skew));
        do_awaited = true;
      }
      if (p.role == "mask") {
        for (int i = 0; i < schedule_.backward.trip_local_reads; ++i) {
          const ir::Access any{tensors_.lse2, 1, 0, false, false, ir::RowFrom::zero, 0};
          ops::append(list, ops::with_role({ops::load(t_.local, any, ir::CopyKind::plain)}, "local", p.skew));
        }
        for (ir::Op op : score_ops(plan_, tensors_.tables, score_, t_.s)) {
          op.skew = p.skew;
          list.push_back(op);
        }
        if (scales_) ops::append(list, ops::with_role({scale_scores()}, "exp", p.skew));
      }
      ops::append(list, ops::with_role(role(p.role), p.role, p.skew));
      if (p.role == "dv" || p.role == "dk")
        ops::append(list, ops::with_role(wait_for(k_.product, p.role == "dv" ? t_.grad_v : t_.grad_k), p.role, p.skew));
      const bool behind_dv = p.role == (loads_itself_ ? "dv" : adds_ ? "dq" : "dk");
      if (guard_ && behind_dv) ops::append(list, ops::with_role({ops::signal(k_.do_empty, {t_.grad_v})}, "release", p.skew));
      if (guard_ && loads_itself_ && p.role == "dk")
        ops::append(list, ops::with_role({ops::signal(k_.q_empty, {t_.grad_k})}, "release", p.skew));
    }
    if (guard_ && !loads_itself_) ops::append(list, ops::with_role({ops::signal(k_.q_empty, {t_.grad_k})}, "release", at("dk")->skew));
  }

  const TileListPlan& plan_;
  const Schedule& schedule_;
  const BackwardTensors& tensors_;
  bool adds_;     // dQ by reductions
  bool ordered_;  // in the order of the KV tiles
  bool scales_;
  bool guard_ = false;
  bool loads_itself_ = true;
  int compute_ = 0;
  ProgramBuilder b_;
  Tiles t_{};
  std::vector<ir::TileId> mask_;
  ScoreTiles score_;
  TripInstructions extra_;
  Tokens k_{};
};

}  // namespace

ir::Program key_stationary_program(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors) {
  if (plan.mma == MmaKind::tcgen05) return key_stationary_tmem_program(plan, schedule, tensors);
  return BackwardWriter(plan, schedule, tensors).write();
}

}  // namespace attnsim
