// SPDX-License-Identifier: Apache-2.0
// The KV-stationary kernel with accumulators in tensor memory (FA4's roles): load -> MMA issuer -> compute agent -> reducer. S^T and P^T
// share their columns, and dP^T, dS^T and dQ theirs: the MMAs of one agent execute in issue order, and dP waits until dQ has been read.
//
//   issuer:    t S -> s_full    t-1 await ds_full: dK, dQ -> dq_full    t await dq_read: dP -> dp_full    t await p_full: dV
//   compute:   await s_full  P -> p_full    await dp_full  dS -> ds_full        reducer:  await dq_full  dQ -> dq_read, added by TMA
//
// CUTLASS' kernels feed dK from the SMEM copy of dS instead, behind dQ, so that dK runs while dQ is read (ds_in_smem).
// LSE and delta travel with Q: dK, which gives Q's slot back, comes behind dS. Where dQ has a kernel of its own there are no dQ and no
// reducer.
#include <numbers>

#include "sim/core/error.h"
#include "workloads/families/tile_list_backward.h"
#include "workloads/families/tile_list_fused.h"

namespace attnsim {

using ir::DType;
using ir::Fn;
using ir::When;

namespace {

constexpr int kTmemLanes = 128;  // rows of tensor memory

class BackwardTmemWriter {
 public:
  BackwardTmemWriter(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors)
      : plan_(plan),
        schedule_(schedule),
        tensors_(tensors),
        adds_(schedule.backward.adds_grad_query()),
        ordered_(schedule.backward.grad_query == GradQuery::ordered),
        ds_in_smem_(schedule.backward.ds_in_smem),
        turned_(plan.rule.tile_q < kTmemLanes) {}

  ir::Program write() {
    b_.section("prologue", ir::SectionKind::once);
    b_.section("main", ir::SectionKind::loop);
    b_.section("epilogue", ir::SectionKind::once);
    load_ = add(AgentKind::producer);
    issuer_ = add(AgentKind::issuer);
    compute_ = add(AgentKind::consumer);
    if (adds_) reducer_ = add(AgentKind::reducer);
    make_tiles();
    make_tokens();
    extra_ = trip_instructions(b_, compute_, spec_of(AgentKind::consumer).warps, (plan_.rule.trip_instructions + 1) / 2);
    write_loads();
    write_issuer();
    write_compute();
    if (adds_) write_reducer();
    return b_.take();
  }

 private:
  [[nodiscard]] const AgentSpec& spec_of(AgentKind kind) const {
    for (const AgentSpec& spec : schedule_.agents) {
      if (spec.kind == kind) return spec;
    }
    throw Invariant("a schedule for tensor memory lacks an agent");
  }
  int add(AgentKind kind) {
    const AgentSpec& spec = spec_of(kind);
    return b_.agent(spec.name, spec.warps, spec.registers_per_thread);
  }

  void make_tiles() {
    const TileRule& rule = plan_.rule;
    const ir::AxisId keys = b_.rows("keys", rule.tile_kv);
    const ir::AxisId queries = b_.trip_columns("queries", rule.tile_q);
    const ir::AxisId d = b_.fixed("d", plan_.padded_qk, plan_.head_dim_qk);
    const ir::AxisId dv = b_.fixed("dv", plan_.padded_v, plan_.head_dim_v);
    const auto registers = [&](const char* name, ir::AxisId rows, ir::AxisId cols, DType dtype, int agent) {
      return b_.registers(name, rows, cols, dtype, agent);
    };
    k_ = b_.smem("k", keys, d, plan_.dtype);
    v_ = b_.smem("v", keys, dv, plan_.dtype);
    q_ = b_.smem("q", queries, d, plan_.dtype, rule.stages);
    grad_o_ = b_.smem("do", queries, dv, plan_.dtype, do_stages());
    lse_ = b_.smem("lse", queries, ir::kUnit, DType::f32, rule.stages);
    delta_ = b_.smem("delta", queries, ir::kUnit, DType::f32, rule.stages);
    lse_row_ = b_.smem("lse_row", ir::kUnit, queries, DType::f32, rule.stages, lse_);
    delta_row_ = b_.smem("delta_row", ir::kUnit, queries, DType::f32, rule.stages, delta_);
    if (adds_) {
      ds_smem_ = b_.smem("ds_smem", keys, queries, plan_.dtype);
      stage_ = b_.smem("dq_stage", queries, d, DType::f32);
      b_.slice(stage_, kStageColumns);
    }
    s_ = b_.tmem("s", keys, queries, DType::f32);
    p_ = b_.tmem("p", keys, queries, plan_.dtype, 1, s_);
    dp_ = b_.tmem("dp", keys, queries, DType::f32);
    if (!ds_in_smem_) ds_ = b_.tmem("ds", keys, queries, plan_.dtype, 1, dp_);
    const ir::TileId below = ds_in_smem_ ? dp_ : ds_;
    if (adds_) grad_q_ = turned_ ? b_.tmem("dq", d, queries, DType::f32, 1, below) : b_.tmem("dq", queries, d, DType::f32, 1, below);
    grad_v_ = b_.tmem("dv", keys, dv, DType::f32);
    grad_k_ = b_.tmem("dk", keys, d, DType::f32);
    scores_ = registers("scores", keys, queries, DType::f32, compute_);
    products_ = registers("products", keys, queries, DType::f32, compute_);
    ds_registers_ = registers("ds_registers", keys, queries, plan_.dtype, compute_);
    score_ = score_tiles(b_, plan_, keys, queries, compute_, "", {true, true});
    mask_ = mask_tiles(b_, plan_, keys, queries, compute_);
    k_sum_ = registers("dk_sum", keys, d, DType::f32, compute_);
    v_sum_ = registers("dv_sum", keys, dv, DType::f32, compute_);
    k_out_ = registers("dk_out", keys, d, plan_.dtype, compute_);
    v_out_ = registers("dv_out", keys, dv, plan_.dtype, compute_);
    if (adds_)
      q_sum_ = turned_ ? registers("dq_sum", d, queries, DType::f32, reducer_) : registers("dq_sum", queries, d, DType::f32, reducer_);
  }

  void make_tokens() {
    kv_full_ = b_.token("kv_full", 2);
    q_full_ = b_.token("q_full");
    q_empty_ = b_.token("q_empty");
    rows_full_ = b_.token("rows_full", 2);
    do_full_ = b_.token("do_full");
    do_empty_ = b_.token("do_empty");
    s_full_ = b_.token("s_full");
    p_full_ = b_.token("p_full");
    dp_full_ = b_.token("dp_full");
    ds_full_ = b_.token("ds_full");
    if (adds_) {
      ds_empty_ = b_.token("ds_empty");
      dq_full_ = b_.token("dq_full");
      dq_read_ = b_.token("dq_read");
      staged_ = b_.token("staged");
      stage_empty_ = b_.token("stage_empty");
      if (ordered_) turn_ = b_.token("turn", 1, 0, ir::TokenScope::turn);
    }
    dv_done_ = b_.token("dv_done");
    dk_done_ = b_.token("dk_done");
  }

  [[nodiscard]] int do_stages() const { return plan_.rule.stages_v > 0 ? plan_.rule.stages_v : plan_.rule.stages; }

  [[nodiscard]] ir::Op load(ir::TileId tile, const ir::Access& from, ir::TokenId full, bool pair) const {
    ir::Op op = ops::load(tile, from, schedule_.copy, {full});
    op.pair = pair;
    return op;
  }

  void write_loads() {
    const bool pair = schedule_.backward.pair;
    ops::append(b_.ops(load_, kPrologue), ops::with_role({load(k_, key_rows(plan_, tensors_.k), kv_full_, false)}, "load_k"));
    ops::append(b_.ops(load_, kPrologue), ops::with_role({load(v_, key_rows(plan_, tensors_.v), kv_full_, false)}, "load_v"));
    ops::append(b_.ops(load_, kMain),
                ops::with_role(
                    {ops::await(q_empty_, plan_.rule.stages), load(q_, trip_rows(tensors_.q), q_full_, pair),
                     load(lse_, trip_rows(tensors_.lse2), rows_full_, false), load(delta_, trip_rows(tensors_.delta), rows_full_, false)},
                    "load_q"));
    ops::append(b_.ops(load_, kMain),
                ops::with_role({ops::await(do_empty_, do_stages()), load(grad_o_, trip_rows(tensors_.grad_o), do_full_, pair)}, "load_do"));
  }

  [[nodiscard]] ir::Op mma(ir::TileId a, ir::TileId b, ir::TileId d, bool b_transposed, bool accumulate,
                           std::vector<ir::TokenId> completes) const {
    ir::Op op = ops::mma(a, b, d, ir::MmaKind::tcgen05, b_transposed, accumulate);
    op.completes = std::move(completes);
    op.pair = schedule_.backward.pair;
    return op;
  }

  // The first trip overwrites what the item before left in the accumulator.
  [[nodiscard]] ops::Ops accumulate(ir::TileId a, ir::TileId b, ir::TileId d, const std::vector<ir::TokenId>& completes) const {
    return {ops::when(When::first_trip, mma(a, b, d, false, false, completes)),
            ops::when(When::not_first_trip, mma(a, b, d, false, true, completes))};
  }

  void write_issuer() {
    ops::Ops& list = b_.ops(issuer_, kMain);
    ops::append(
        list, ops::with_role(
                  {ops::when(When::first_trip, ops::await(kv_full_)), ops::await(q_full_), mma(k_, q_, s_, true, false, {s_full_})}, "qk"));
    ops::append(list, ops::with_role({ops::await(ds_full_)}, ds_in_smem_ ? "dq" : "dk", 1));
    if (ds_in_smem_) write_dq(list, {dq_full_});
    std::vector<ir::TokenId> done{q_empty_, dk_done_};
    if (ds_in_smem_) done.push_back(ds_empty_);
    ops::append(list, ops::with_role(accumulate(ds_in_smem_ ? ds_smem_ : ds_, q_, grad_k_, done), "dk", 1));
    if (adds_ && !ds_in_smem_) write_dq(list, {dq_full_, ds_empty_});
    ops::Ops dov{ops::await(do_full_)};
    if (adds_) dov.push_back(ops::await(dq_read_, 1));
    dov.push_back(mma(v_, grad_o_, dp_, true, false, {dp_full_}));
    ops::append(list, ops::with_role(dov, "dov"));
    ops::Ops dv{ops::await(p_full_)};
    ops::append(dv, accumulate(p_, grad_o_, grad_v_, {do_empty_, dv_done_}));
    ops::append(list, ops::with_role(dv, "dv"));
  }

  void write_dq(ops::Ops& list, const std::vector<ir::TokenId>& done) const {
    ir::Op dq = turned_ ? mma(k_, ds_smem_, grad_q_, false, false, done) : mma(ds_smem_, k_, grad_q_, false, false, done);
    dq.a_transposed = true;
    ops::append(list, ops::with_role({dq}, "dq", 1));
  }

  void write_compute() {
    ops::Ops& list = b_.ops(compute_, kMain);
    // S of a trip comes behind dV of the trip before, dP behind dK: these awaits pass at once, and count.
    ops::append(list,
                ops::with_role({ops::await(rows_full_), ops::await(s_full_), ops::await(dv_done_, 1), ops::unary(Fn::copy, s_, scores_)},
                               "load_s"));
    ops::append(b_.ops(compute_, kPrologue), extra_.start());
    ops::append(list, extra_.in_trip());
    ops::append(b_.ops(compute_, kPrologue), mask_start(plan_, tensors_.tables, mask_));
    ops::append(b_.ops(compute_, kPrologue), score_start(plan_, tensors_.tables, score_));
    ops::append(list, score_ops(plan_, tensors_.tables, score_, scores_));
    ops::append(list, ops::with_role(mask_ops(plan_, tensors_.tables, mask_, scores_), "mask"));
    ir::Op exponential = ops::unary(Fn::exp2, scores_, scores_);
    exponential.polynomial = plan_.exp2_polynomial;
    ops::append(list, ops::with_role({ops::binary(Fn::multiply, scores_, plan_.score.factor * std::numbers::log2e, scores_),
                                      ops::binary(Fn::subtract, scores_, lse_row_, scores_), exponential},
                                     "exp"));
    ops::append(list, ops::with_role({ops::convert(scores_, p_), ops::signal(p_full_)}, "convert_p"));
    ops::append(list, extra_.in_trip());
    ops::Ops ds{ops::await(dp_full_), ops::await(dk_done_, 1), ops::unary(Fn::copy, dp_, products_),
                ops::binary(Fn::subtract, products_, delta_row_, products_), ops::binary(Fn::multiply, products_, scores_, products_)};
    ops::append(ds, score_gradient_ops(score_, products_));
    if (adds_) ds.push_back(ops::await(ds_empty_, 1));
    ds.push_back(ops::convert(products_, ds_registers_));
    if (!ds_in_smem_) ds.push_back(ops::unary(Fn::copy, ds_registers_, ds_));
    if (adds_) ds.push_back(ops::unary(Fn::copy, ds_registers_, ds_smem_));
    ds.push_back(ops::signal(ds_full_));
    ops::append(list, ops::with_role(ds, "ds"));
    const bool sums = tensors_.grad_k_part != ir::kNone;
    write_sum(grad_v_, v_sum_, {v_sum_, v_out_, sums ? tensors_.grad_v_part : tensors_.grad_v, 1}, dv_done_);
    write_sum(grad_k_, k_sum_, {k_sum_, k_out_, sums ? tensors_.grad_k_part : tensors_.grad_k, softmax_scale(plan_)}, dk_done_);
  }

  // An item that no query visits has no sum in tensor memory.
  void write_sum(ir::TileId sum, ir::TileId registers, const KeyGradients& gradients, ir::TokenId done) {
    ops::append(b_.ops(compute_, kEpilogue),
                ops::with_role({ops::await(done, 1), ops::when(When::not_item_flag, ops::unary(Fn::copy, sum, registers)),
                                ops::when(When::item_flag, ops::zero(registers))},
                               "store"));
    ops::append(b_.ops(compute_, kEpilogue), store_key_gradients(plan_, schedule_, gradients));
  }

  // dQ lies where dS was; behind dq_full the wait for dS passes at once. In order the turn is passed on in the next trip, when the stage is
  // free again, which is when all have seen the sum.
  void write_reducer() {
    ir::Op add = ops::atomic_add(stage_, trip_rows(tensors_.grad_q_sum), schedule_.copy, {stage_empty_});
    add.pair = schedule_.backward.pair;
    add.until_seen = ordered_;
    ir::Op to_stage = ops::unary(Fn::copy, q_sum_, stage_);
    if (turned_) to_stage.kind = ir::OpKind::transpose;
    ops::Ops& list = b_.ops(reducer_, kMain);
    ops::append(list, ops::with_role({ops::await(ds_full_), ops::await(dq_full_), ops::unary(Fn::copy, grad_q_, q_sum_),
                                      ops::signal(dq_read_), ops::await(stage_empty_, 1)},
                                     "add_dq"));
    if (ordered_) ops::append(list, ops::with_role({pass_on(schedule_, turn_, stage_)}, "add_dq", 1));
    ops::append(list, ops::with_role({to_stage, ops::signal(staged_), ops::await(staged_)}, "add_dq"));
    if (ordered_) ops::append(list, ops::with_role({ops::await(turn_)}, "add_dq"));
    ops::append(list, ops::with_role({add}, "add_dq"));
  }

  static constexpr int kStageColumns = 64;  // of dQ in SMEM at a time
  const TileListPlan& plan_;
  const Schedule& schedule_;
  const BackwardTensors& tensors_;
  bool adds_;     // dQ by reductions
  bool ordered_;  // in the order of the KV tiles
  bool ds_in_smem_;
  bool turned_;  // dQ^T [d x queries]: its rows fill the lanes where a query tile does not
  ProgramBuilder b_;
  TripInstructions extra_;
  std::vector<ir::TileId> mask_;
  ScoreTiles score_;
  int load_ = 0, issuer_ = 0, compute_ = 0, reducer_ = 0;
  ir::TileId k_ = 0, v_ = 0, q_ = 0, grad_o_ = 0, lse_ = 0, delta_ = 0, lse_row_ = 0, delta_row_ = 0, ds_smem_ = 0, stage_ = 0;
  ir::TileId s_ = 0, p_ = 0, dp_ = 0, ds_ = 0, grad_q_ = 0, grad_v_ = 0, grad_k_ = 0;
  ir::TileId scores_ = 0, products_ = 0, ds_registers_ = 0, k_sum_ = 0, v_sum_ = 0, k_out_ = 0, v_out_ = 0, q_sum_ = 0;
  ir::TokenId kv_full_ = 0, q_full_ = 0, q_empty_ = 0, rows_full_ = 0, do_full_ = 0, do_empty_ = 0, s_full_ = 0, p_full_ = 0, dp_full_ = 0;
  ir::TokenId ds_full_ = 0, ds_empty_ = 0, dq_full_ = 0, dq_read_ = 0, staged_ = 0, stage_empty_ = 0, dv_done_ = 0, dk_done_ = 0, turn_ = 0;
};

}  // namespace

ir::Program key_stationary_tmem_program(const TileListPlan& plan, const Schedule& schedule, const BackwardTensors& tensors) {
  return BackwardTmemWriter(plan, schedule, tensors).write();
}

}  // namespace attnsim
