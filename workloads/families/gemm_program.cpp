// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "workloads/families/gemm.h"
#include "workloads/families/program_builder.h"

namespace attnsim {

namespace {

ir::Access a_access(const GemmTensors& t, int row_offset) {
  return {t.a, 1, 0, false, true, ir::RowFrom::item, row_offset};
}
ir::Access b_access(const GemmTensors& t) {
  return {t.b, 1, 1, false, false, ir::RowFrom::trip, 0};
}
ir::Access c_access(const GemmPlan& plan, const GemmTensors& t, int row_offset) {
  if (plan.splits > 1) return {t.partial, 1, static_cast<int>(plan.splits), true, false, ir::RowFrom::item, row_offset};
  return {t.c, 1, 1, false, false, ir::RowFrom::item, row_offset};
}

class GemmWriter {
 public:
  GemmWriter(const GemmPlan& plan, const Schedule& schedule, const GemmTensors& tensors)
      : plan_(plan), schedule_(schedule), tensors_(tensors), in_tmem_(schedule.mma == ir::MmaKind::tcgen05) {}

  ir::Program write() {
    prologue_ = b_.section("prologue", ir::SectionKind::once);
    main_ = b_.section("main", ir::SectionKind::loop);
    epilogue_ = b_.section("epilogue", ir::SectionKind::once);
    depth_ = b_.trip_columns("k", plan_.tile.tile_k);
    cols_ = b_.fixed("n", plan_.tile.tile_n, plan_.width);
    add_agents();
    b_tile_ = b_.smem("b", depth_, cols_, plan_.dtype, plan_.tile.stages);
    full_ = b_.token("full", 1 + plan_.tile.consumers);
    if (ir::is_async(schedule_.mma)) empty_ = b_.token("empty", plan_.tile.consumers);
    for (int c = 0; c < plan_.tile.consumers; ++c) add_consumer(c);
    loads();
    for (std::size_t c = 0; c < computing_.size(); ++c) computes(c);
    return b_.take();
  }

 private:
  struct Computing {
    int agent = 0;
    int drain = 0;  // the agent that stores
    ir::TileId a = ir::kNone;
    ir::TileId acc = ir::kNone;
    ir::TileId out = ir::kNone;
    int row_offset = 0;
  };

  void add_agents() {
    for (const AgentSpec& spec : schedule_.agents) {
      if (spec.kind == AgentKind::producer) producer_ = b_.agent(spec.name, spec.warps, spec.registers_per_thread);
    }
    for (const AgentSpec& spec : schedule_.agents) {
      if (spec.kind == AgentKind::producer) continue;
      const int warps = plan_.tile.warps > 0 ? plan_.tile.warps : spec.warps;
      const int registers = plan_.tile.registers_per_thread > 0 ? plan_.tile.registers_per_thread : spec.registers_per_thread;
      for (int c = 0; c < plan_.tile.consumers; ++c) {
        const std::string suffix = plan_.tile.consumers > 1 ? std::to_string(c) : "";
        Computing computing;
        constexpr int kIssuerRegisters = 64;
        if (in_tmem_) computing.agent = b_.agent("mma" + suffix, 1, kIssuerRegisters);
        computing.drain = b_.agent(spec.name + suffix, warps, registers);
        if (!in_tmem_) computing.agent = computing.drain;
        computing_.push_back(computing);
      }
    }
    if (producer_ < 0) producer_ = computing_.front().agent;
  }

  void add_consumer(int c) {
    Computing& it = computing_[static_cast<std::size_t>(c)];
    const std::string suffix = plan_.tile.consumers > 1 ? std::to_string(c) : "";
    const int rows = plan_.tile.tile_m / plan_.tile.consumers;
    it.row_offset = c * rows;
    const ir::AxisId axis = b_.rows("m" + suffix, rows, it.row_offset);
    it.a = b_.smem("a" + suffix, axis, depth_, plan_.dtype, plan_.tile.stages);
    it.acc = in_tmem_ ? b_.tmem("acc" + suffix, axis, cols_, ir::DType::f32)
                      : b_.registers("acc" + suffix, axis, cols_, ir::DType::f32, it.agent);
    if (plan_.splits == 1) it.out = b_.registers("out" + suffix, axis, cols_, plan_.out, it.drain);
    if (plan_.splits > 1 && in_tmem_) it.out = b_.registers("out" + suffix, axis, cols_, ir::DType::f32, it.drain);
  }

  void loads() {
    const bool apart = producer_ != computing_.front().agent;
    const ir::CopyKind shared = ir::CopyKind::tma_multicast;
    ops::Ops& list = b_.ops(producer_, main_);
    if (empty_ != ir::kNone) ops::append(list, ops::with_role({ops::await(empty_, plan_.tile.stages)}, "load_a"));
    const ir::CopyKind a_copy = plan_.cluster > 1 && !plan_.shares_b ? shared : schedule_.copy;
    for (const Computing& it : computing_) {
      ops::append(list, ops::with_role({ops::load(it.a, a_access(tensors_, it.row_offset), a_copy, {full_})}, "load_a"));
    }
    const bool pair = plan_.tile.pair && plan_.shares_b;
    ir::Op load_b = ops::load(b_tile_, b_access(tensors_), plan_.shares_b && !pair ? shared : schedule_.copy, {full_});
    load_b.pair = pair;
    ops::append(list, ops::with_role({load_b}, "load_b"));
    lag_ = apart ? 0 : plan_.tile.stages - 1;
  }

  void computes(std::size_t index) {
    const Computing& it = computing_[index];
    const bool async = ir::is_async(schedule_.mma);
    ops::Ops& begin = b_.ops(it.agent, prologue_);
    ir::TokenId drained = ir::kNone;
    ir::TokenId done = ir::kNone;
    if (in_tmem_) {
      done = b_.token("acc_full" + std::to_string(index));
      drained = b_.token("acc_empty" + std::to_string(index));
      ops::append(begin, ops::with_role({ops::await(drained, 1)}, "init"));
    } else {
      ops::append(begin, ops::with_role({ops::zero(it.acc)}, "init"));
    }
    ops::Ops& list = b_.ops(it.agent, main_);
    ops::append(list, ops::with_role({ops::await(full_)}, "gemm", lag_));
    const auto product = [&](bool accumulate, ir::When when) {
      ir::Op mma = ops::mma(it.a, b_tile_, it.acc, schedule_.mma, false, accumulate);
      mma.warp_columns = plan_.tile.warp_columns;
      mma.pair = plan_.tile.pair && plan_.shares_b;
      if (async && empty_ != ir::kNone) mma.completes = {empty_};
      ops::append(list, ops::with_role({ops::when(when, mma)}, "gemm", lag_));
    };
    if (in_tmem_) {
      product(false, ir::When::first_trip);
      product(true, ir::When::not_first_trip);
    } else {
      product(true, ir::When::always);
    }
    if (in_tmem_) ops::append(b_.ops(it.agent, epilogue_), ops::with_role({ops::signal(done, {it.acc})}, "gemm"));
    ops::Ops& end = b_.ops(it.drain, epilogue_);
    if (in_tmem_) ops::append(end, ops::with_role({ops::await(done)}, "store"));
    if (it.out != ir::kNone) ops::append(end, ops::with_role({ops::convert(it.acc, it.out)}, "store"));
    if (in_tmem_) ops::append(end, ops::with_role({ops::signal(drained)}, "store"));
    const ir::TileId stored = it.out != ir::kNone ? it.out : it.acc;
    ops::append(end, ops::with_role({ops::store(stored, c_access(plan_, tensors_, it.row_offset), ir::CopyKind::plain)}, "store"));
  }

  const GemmPlan& plan_;
  const Schedule& schedule_;
  const GemmTensors& tensors_;
  bool in_tmem_;
  ProgramBuilder b_;
  int prologue_ = 0;
  int main_ = 0;
  int epilogue_ = 0;
  int lag_ = 0;
  int producer_ = -1;
  ir::AxisId depth_ = ir::kUnit;
  ir::AxisId cols_ = ir::kUnit;
  ir::TileId b_tile_ = ir::kNone;
  ir::TokenId full_ = ir::kNone;
  ir::TokenId empty_ = ir::kNone;
  std::vector<Computing> computing_;
};

}  // namespace

ir::Program gemm_program(const GemmPlan& plan, const Schedule& schedule, const GemmTensors& tensors) {
  return GemmWriter(plan, schedule, tensors).write();
}

ir::Kernel gemm_reduce_kernel(const GemmPlan& plan, const GemmTensors& tensors) {
  constexpr int kWarps = 4;
  constexpr int kRegisters = 64;
  constexpr int kElements = 2048;  // of one CTA: 16 per thread
  ProgramBuilder b;
  const int prologue = b.section("prologue", ir::SectionKind::once);
  const int main = b.section("splits", ir::SectionKind::loop, ir::TripSource::peers);
  const int epilogue = b.section("epilogue", ir::SectionKind::once);
  const int agent = b.agent("reduce", kWarps, kRegisters);
  const int tile_rows = std::max(1, kElements / plan.width);
  const ir::AxisId rows = b.rows("rows", tile_rows);
  const ir::AxisId cols = b.fixed("n", plan.width, plan.width);
  const ir::TileId sum = b.registers("sum", rows, cols, ir::DType::f32, agent);
  const ir::TileId part = b.registers("part", rows, cols, ir::DType::f32, agent);
  const ir::TileId out = b.registers("out", rows, cols, plan.out, agent);
  const ir::Access from{tensors.partial, 1, static_cast<int>(plan.splits), false, true, ir::RowFrom::item, 0};
  const ir::Access to{tensors.c, 1, 1, false, false, ir::RowFrom::item, 0};
  ops::append(b.ops(agent, prologue), ops::with_role({ops::zero(sum)}, "init"));
  ops::append(b.ops(agent, main), ops::with_role({ops::load(part, from, ir::CopyKind::plain)}, "load_partial"));
  ops::append(b.ops(agent, main), ops::with_role({ops::binary(ir::Fn::add, sum, part, sum)}, "merge"));
  ops::append(b.ops(agent, epilogue), ops::with_role({ops::convert(sum, out), ops::store(out, to, ir::CopyKind::plain)}, "store"));
  ir::Kernel kernel;
  kernel.name = "reduce";
  kernel.program = b.take();
  ir::ItemFamily family;
  family.slab_count = plan.panels;
  family.loop_extent = plan.splits;
  for (std::int64_t row = 0; row < plan.m; row += tile_rows) {
    ir::RowTile tile;
    tile.row_begin = row;
    tile.rows = std::min<std::int64_t>(tile_rows, plan.m - row);
    tile.peers = static_cast<int>(plan.splits);
    family.tiles.push_back(tile);
  }
  kernel.families.push_back(std::move(family));
  return kernel;
}

}  // namespace attnsim
