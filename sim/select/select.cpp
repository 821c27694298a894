// SPDX-License-Identifier: Apache-2.0
#include "sim/select/select.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/core/error.h"
#include "sim/select/isa_table.h"

namespace attnsim {

namespace {

using ir::Op;
using ir::OpClass;
using ir::OpKind;
using ir::Space;
using ir::TileId;

double ceil_to(double value, int granule) {
  return std::ceil(value / granule) * granule;
}

class Selector {
 public:
  Selector(const ir::Kernel& kernel, const Chip& chip) : program_(kernel.program), chip_(chip), table_(load_isa_table(chip.isa)) {
    for (const ir::Agent& agent : program_.agents) {
      for (const auto& section : agent.sections) {
        for (const Op& op : section) mark_async_tiles(op);
      }
    }
  }

  SelectedAgent select(const ir::Agent& agent) {
    warps_ = agent.warps;
    interleaved_ = agent.interleaved;
    layout_ = lane_layout(table_, program_, agent);
    mark_exchanged_tiles(agent);
    SelectedAgent out;
    out.width = std::min(1.0, static_cast<double>(agent.warps) / chip_.sm.subpartitions);
    for (const auto& section : agent.sections) out.sections.push_back(select(section));
    return out;
  }

 private:
  void mark_async_tiles(const Op& op) {
    if (op.kind != OpKind::mma || !ir::is_async(op.mma)) return;
    for (const auto* tiles : {&op.in, &op.out}) {
      for (TileId t : *tiles) {
        if (tile(t).space == Space::registers) async_tiles_.insert(t);
      }
    }
  }

  // SMEM that element-wise ops of an agent write for others of its own: how its warps pass on numbers.
  void mark_exchanged_tiles(const ir::Agent& agent) {
    exchanged_tiles_.clear();
    for (const auto& section : agent.sections) {
      for (const Op& op : section) {
        const OpClass op_class = ir::info(op.kind).op_class;
        if (op_class != OpClass::elementwise && op_class != OpClass::reduction) continue;
        for (TileId t : op.out) {
          if (tile(t).space == Space::smem) exchanged_tiles_.insert(t);
        }
      }
    }
  }

  [[nodiscard]] const ir::Tile& tile(TileId id) const { return program_.tiles[static_cast<std::size_t>(id)]; }
  [[nodiscard]] double elements(TileId id) const { return static_cast<double>(program_.padded_elements(id)); }
  [[nodiscard]] double bytes(TileId id) const { return elements(id) * ir::bits_of(tile(id).dtype) / 8; }

  // Lanes that compute an element-wise result of this shape. A single number is every lane's own.
  [[nodiscard]] double lanes(TileId id) const {
    const double n = elements(id);
    return n == 1 ? static_cast<double>(chip_.sm.lanes_per_warp * warps_) : n * replication(layout_, tile(id));
  }

  std::vector<Step> select(const std::vector<Op>& ops) {
    std::vector<Step> steps;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const Op& op = ops[i];
      const auto position = static_cast<int>(i);
      const std::size_t known = steps.size();
      switch (ir::info(op.kind).op_class) {
        case OpClass::free: break;
        case OpClass::sync: steps.push_back(sync(op)); break;
        case OpClass::matrix: steps.push_back(matrix(op)); break;
        case OpClass::copy: steps.push_back(copy(op)); break;
        case OpClass::elementwise:
        case OpClass::reduction: i = chain(ops, i, steps); break;
      }
      if (steps.size() > known) steps.back().position = position;
    }
    return steps;
  }

  Step base(StepKind kind, const Op& op) const {
    Step step;
    step.kind = kind;
    step.when = op.when;
    step.skew = op.skew;
    step.interleaved = interleaved_;
    step.ops = {&op};
    return step;
  }

  Step sync(const Op& op) const {
    Step step = base(op.kind == OpKind::signal ? StepKind::signal : StepKind::await, op);
    for (TileId t : op.in) wait_for(step, t);
    return step;
  }

  void wait_for(Step& step, TileId id) const {
    if (async_tiles_.count(id) != 0 && std::find(step.waits.begin(), step.waits.end(), id) == step.waits.end()) step.waits.push_back(id);
  }

  // Every row of the result has lanes of its own, which read all of B and widen it for their multiply-adds; where B's stored rows are
  // summed over they exchange their parts. A stays in registers.
  Step lane_product(const Op& op) const {
    const ir::Tile& a = tile(op.in[0]);
    const ir::Tile& b = tile(op.in[1]);
    const ir::Tile& d = tile(op.out[0]);
    const double m = program_.padded(d.rows);
    const double n = program_.padded(d.cols);
    const double k = program_.padded(op.a_transposed ? a.rows : a.cols);
    Step step = base(StepKind::chain, op);
    add_instructions(step, lane_rule("multiply_add"), m * n * k);
    if (ir::bits_of(b.dtype) < 32) add_instructions(step, lane_rule("widen"), m * n * k);
    if (b.space == Space::smem) {
      step.smem_bytes += m * n * k * ir::bits_of(b.dtype) / 8;
      step.warp_instructions += step.smem_bytes / table_.copy_bytes_per_lane / chip_.sm.lanes_per_warp;
    }
    const double summed = op.b_transposed ? k / layout_.row_lanes : k;
    step.latency_cycles = chip_.latency.smem_cycles + summed * chip_.latency.fp32_cycles;
    if (op.b_transposed) {
      const double exchanges = std::ceil(std::log2(layout_.row_lanes));
      const double exchanged = m * n * layout_.row_lanes * exchanges;
      add_instructions(step, lane_rule("multiply_add"), exchanged);
      step.warp_instructions += exchanged / chip_.sm.lanes_per_warp;
      step.smem_bytes += exchanged * 4;
      step.latency_cycles += exchanges * chip_.latency.shuffle_cycles;
    }
    step.writes = op.out;
    finish_chain(step);
    return step;
  }

  [[nodiscard]] const ElementwiseRule& lane_rule(const std::string& name) const {
    const auto rule = table_.elementwise.find(name);
    if (rule == table_.elementwise.end()) throw SimError("isa " + table_.name + " has no instruction for products on lanes (" + name + ")");
    return rule->second;
  }

  Step matrix(const Op& op) const {
    if (op.mma == ir::MmaKind::lanes) return lane_product(op);
    const auto rule = table_.mma.find(op.mma);
    if (rule == table_.mma.end()) {
      throw SimError("isa " + table_.name + " has no matrix instruction " + std::string(ir::name_of(op.mma)) + " (role " + op.role + ")");
    }
    const ir::Tile& a = tile(op.in[0]);
    const ir::Tile& b = tile(op.in[1]);
    const ir::Tile& d = tile(op.out[0]);
    // A pair with 64 rows a CTA spreads them over all lanes, half of the columns each.
    const double m = ceil_to(program_.padded(d.rows), op.pair ? rule->second.m / 2 : rule->second.m);
    const double n = ceil_to(program_.padded(d.cols), rule->second.n);
    const double k = ceil_to(program_.padded(op.a_transposed ? a.rows : a.cols) / op.parts, rule->second.k);
    const double rate = chip_.tensor_flop_per_clk(chip_.tensor_rate(std::string(ir::name_of(a.dtype)), std::string(ir::name_of(d.dtype))));
    if (rate <= 0) throw SimError("chip " + chip_.name + " has no matrix unit for " + std::string(ir::name_of(a.dtype)));

    Step step = base(StepKind::mma, op);
    step.async = ir::is_async(op.mma);
    step.tensor_flops = 2 * m * n * k;
    step.operand_bits = ir::bits_of(a.dtype);
    const double element_bytes = step.operand_bits / 8.0;
    // Warps stand in a grid over the result: each of its rows reads all of B, each of its columns all of A.
    const bool per_warp = rule->second.b_read_per_warp;
    const double a_readers = per_warp ? op.warp_columns : 1;
    const double b_readers = per_warp ? std::clamp(static_cast<double>(warps_) / op.warp_columns, 1.0, m / rule->second.m) : 1;
    if (a.space == Space::smem) step.smem_bytes += a_readers * m * k * element_bytes;
    if (b.space == Space::smem) step.smem_bytes += b_readers * n * k * element_bytes / (op.pair ? 2 : 1);
    const double instructions = m * n * k / (static_cast<double>(rule->second.m) * rule->second.n * rule->second.k);
    const double loads = step.smem_bytes / (table_.copy_bytes_per_lane * chip_.sm.lanes_per_warp);  // ldmatrix of four matrices
    step.warp_instructions = step.async ? k / rule->second.k * warps_ : instructions + loads;
    step.demand[static_cast<std::size_t>(Pipe::tensor)] = step.tensor_flops / (rate * rule->second.rate_fraction * chip_.tensor.efficiency);
    step.demand[static_cast<std::size_t>(Pipe::smem)] = step.smem_bytes / chip_.sm.smem_bytes_per_clk;
    step.demand[static_cast<std::size_t>(Pipe::issue)] = step.warp_instructions / chip_.sm.issue_per_clk;
    step.occupancy_cycles = step.demand[static_cast<std::size_t>(Pipe::tensor)];
    step.latency_cycles = step.async ? chip_.latency.wgmma_cycles : chip_.latency.mma_sync_cycles + chip_.latency.smem_cycles;
    step.groups = static_cast<int>(k) / rule->second.k;
    if (!step.async && op.warp_columns > 1) step.latency_cycles += accumulation_stalls(step);
    if (b.slice_cols > 0) step.stall_cycles = slice_stalls(step, b);
    // Asynchronous MMAs of one agent run in issue order, so they wait for register operands only, not for each other.
    if (a.space == Space::registers) wait_for(step, op.in[0]);
    step.writes = op.out;
    return step;
  }

  // Each k-step adds to the results of the one before. Where warps side by side leave each of them few results, the unit is through with
  // a k-step before its results are there.
  [[nodiscard]] double accumulation_stalls(const Step& step) const {
    const double width = std::min(1.0, static_cast<double>(warps_) / chip_.sm.subpartitions);
    const double busy = step.occupancy_cycles / step.groups / width;
    return (step.groups - 1) * std::max(0.0, chip_.latency.mma_sync_cycles - busy);
  }

  // A streamed operand drains the instructions at every slice, as its slot is filled again behind a barrier. Slices are fetched
  // `stages` - 1 ahead, so that none comes sooner than that part of a fetch's latency after the one before.
  [[nodiscard]] double slice_stalls(const Step& step, const ir::Tile& streamed) const {
    const double slices = std::ceil(static_cast<double>(program_.padded(streamed.cols)) / streamed.slice_cols);
    const double busy = std::max(step.demand[static_cast<std::size_t>(Pipe::tensor)], step.demand[static_cast<std::size_t>(Pipe::smem)]);
    const double drain = step.latency_cycles + chip_.latency.barrier_cycles;
    const double fetch = chip_.latency.l2_cycles / std::max(1, streamed.stages - 1) - busy / slices;
    return (slices - 1) * std::max(drain, fetch);
  }

  Step copy(const Op& op) const {
    const bool load = op.kind == OpKind::load || op.kind == OpKind::gather;
    Step step = base(load ? StepKind::load : StepKind::store, op);
    step.async = !(load && op.copy == ir::CopyKind::plain);
    const TileId id = load ? op.out[0] : op.in[0];
    const bool engine = op.copy == ir::CopyKind::tma || op.copy == ir::CopyKind::tma_multicast;
    const double per_lane = op.kind == OpKind::atomic ? table_.atomic_bytes_per_lane : table_.copy_bytes_per_lane;
    const double copies = engine ? 1 : std::ceil(bytes(id) / (per_lane * chip_.sm.lanes_per_warp));
    step.warp_instructions = engine ? 1 : copies * (1 + table_.copy_address_instructions);
    step.alu_ops = engine ? 0 : copies * table_.copy_address_instructions * chip_.sm.lanes_per_warp;
    step.demand[static_cast<std::size_t>(Pipe::issue)] = step.warp_instructions / chip_.sm.issue_per_clk;
    step.demand[static_cast<std::size_t>(Pipe::alu)] = step.alu_ops / chip_.sm.alu_lanes;
    if (tile(id).space == Space::smem) {
      step.smem_bytes = bytes(id) / (op.pair ? 2 : 1);
      step.demand[static_cast<std::size_t>(Pipe::smem)] = step.smem_bytes / chip_.sm.smem_bytes_per_clk;
    }
    step.occupancy_cycles = step.demand[static_cast<std::size_t>(Pipe::issue)];
    wait_for(step, id);
    step.writes = op.out;
    return step;
  }

  // Integer code (masks) is wide: what it adds to a chain's latency is its longest path, not its sum.
  struct IntegerPath {
    std::map<TileId, double> ready;
    double longest = 0;
    std::set<TileId> inverted;  // divisors whose reciprocal is at hand

    [[nodiscard]] double grown_by(const Op& op, double latency) {
      double start = 0;
      for (const TileId in : op.in) {
        const auto found = ready.find(in);
        if (found != ready.end()) start = std::max(start, found->second);
      }
      const double end = start + latency;
      for (const TileId out : op.out) ready[out] = end;
      const double grown = std::max(0.0, end - longest);
      longest = std::max(longest, end);
      return grown;
    }
  };

  [[nodiscard]] bool is_integer(const Op& op) const {
    return !op.out.empty() && (tile(op.out[0]).dtype == ir::DType::i32 || tile(op.out[0]).dtype == ir::DType::pred);
  }

  // A chain goes on while ops share agent, section, trip and condition, and touch no asynchronous tile that it does not wait
  // for already (else the whole chain would wait for a matrix product that only its end needs).
  std::size_t chain(const std::vector<Op>& ops, std::size_t first, std::vector<Step>& steps) const {
    Step step = base(StepKind::chain, ops[first]);
    step.ops.clear();
    IntegerPath path;
    for (TileId t : touched(ops, first)) wait_for(step, t);
    std::size_t i = first;
    for (; i < ops.size(); ++i) {
      const Op& op = ops[i];
      const OpClass op_class = ir::info(op.kind).op_class;
      if (op_class == OpClass::free) continue;
      if (op_class != OpClass::elementwise && op_class != OpClass::reduction) break;
      if (op.when != step.when || op.skew != step.skew || !covered(step, touched(ops, i))) break;
      step.ops.push_back(&op);
      const bool contracted = table_.contract_multiply_add && i + 1 < ops.size() && contracts(op, ops[i + 1], step);
      add_vector_cost(step, op, contracted, path);
      step.writes.insert(step.writes.end(), op.out.begin(), op.out.end());
    }
    finish_chain(step);
    steps.push_back(std::move(step));
    return i - 1;
  }

  // Tiles that an op needs at hand. Predicates of pairs live no longer than the select that reads them, as there are only a few predicate
  // registers: what makes them needs that select's scores as well.
  [[nodiscard]] std::vector<TileId> touched(const std::vector<Op>& ops, std::size_t i) const {
    std::vector<TileId> tiles = ops[i].in;
    tiles.insert(tiles.end(), ops[i].out.begin(), ops[i].out.end());
    const auto pairs = [&](TileId t) { return tile(t).dtype == ir::DType::pred && tile(t).rows != ir::kUnit && tile(t).cols != ir::kUnit; };
    if (std::none_of(ops[i].out.begin(), ops[i].out.end(), pairs)) return tiles;
    const auto select =
        std::find_if(ops.begin() + static_cast<std::ptrdiff_t>(i), ops.end(), [](const Op& op) { return op.kind == OpKind::select; });
    if (select != ops.end()) tiles.insert(tiles.end(), select->in.begin(), select->in.end());
    return tiles;
  }

  [[nodiscard]] bool covered(const Step& step, const std::vector<TileId>& tiles) const {
    return std::all_of(tiles.begin(), tiles.end(), [&](TileId t) {
      return async_tiles_.count(t) == 0 || std::find(step.waits.begin(), step.waits.end(), t) != step.waits.end();
    });
  }

  // multiply into X followed by an add or subtract that reads X: one FFMA.
  [[nodiscard]] static bool contracts(const Op& multiply, const Op& next, const Step& step) {
    if (multiply.kind != OpKind::binary || multiply.fn != ir::Fn::multiply || multiply.precise) return false;
    if (next.kind != OpKind::binary || (next.fn != ir::Fn::add && next.fn != ir::Fn::subtract)) return false;
    if (next.when != step.when || next.skew != step.skew) return false;
    return std::find(next.in.begin(), next.in.end(), multiply.out[0]) != next.in.end();
  }

  // Part of the elements that an execution handles, on average.
  [[nodiscard]] static double share_of(const Op& op) { return op.share / op.parts; }

  void add_vector_cost(Step& step, const Op& op, bool contracted, IntegerPath& path) const {
    if (op.immediate) return;
    const ElementwiseRule* rule = elementwise_rule(table_, program_, op);
    if (rule == nullptr) throw SimError("isa " + table_.name + " has no instruction for " + rule_name(op));
    const bool reduces = op.kind == OpKind::reduce_row || op.kind == OpKind::reduce_col;
    const TileId shape = reduces ? op.in[0] : op.out[0];
    if (op.fn == ir::Fn::exp2 && op.polynomial > 0) {
      add_polynomial(step, op.polynomial * share_of(op) * lanes(shape));
      add_instructions(step, *rule, (1 - op.polynomial) * share_of(op) * lanes(shape));
    } else if (!contracted) {
      const double before = step.latency_cycles;
      if (divides_by_variable(op) && path.inverted.insert(op.in[1]).second) {
        const auto reciprocal = table_.elementwise.find("reciprocal_of_variable");
        if (reciprocal != table_.elementwise.end()) add_instructions(step, reciprocal->second, share_of(op) * lanes(op.in[1]));
      }
      add_instructions(step, *rule, share_of(op) * lanes(shape));
      if (is_integer(op)) step.latency_cycles = before + path.grown_by(op, step.latency_cycles - before);
    }
    if (op.fn == ir::Fn::exp2) step.exp_count += share_of(op) * elements(shape);
    if (op.kind == OpKind::look_up) return add_look_up(step, op);
    if (reduces) {  // exchanges between the lanes that share a row
      const double exchanged = share_of(op) * lanes(op.out[0]) * layout_.shuffle_steps;
      add_instructions(step, *rule, exchanged);
      step.warp_instructions += exchanged / chip_.sm.lanes_per_warp;
      step.smem_bytes += exchanged * 4;
      step.latency_cycles += layout_.shuffle_steps * chip_.latency.shuffle_cycles;
    }
    for (const auto* tiles : {&op.in, &op.out}) {
      for (TileId t : *tiles) {
        if (tile(t).space == Space::smem) step.smem_bytes += share_of(op) * bytes(t);
        if (tiles == &op.in && exchanged_tiles_.count(t) != 0) step.latency_cycles += chip_.latency.smem_cycles;
        if (tile(t).space != Space::tmem) continue;
        step.tmem_bytes += share_of(op) * bytes(t);
        step.latency_cycles += op.share * chip_.latency.tmem_cycles * (tiles == &op.in ? op.tmem_rounds : 1);
      }
    }
  }

  // A lane reads one element of the row from SMEM; lanes that want the same one, or neighbours, do not conflict.
  void add_look_up(Step& step, const Op& op) const {
    const double reads = share_of(op) * lanes(op.out[0]);
    step.warp_instructions += reads / chip_.sm.lanes_per_warp;
    step.smem_bytes += reads * ir::bits_of(tile(op.in[0]).dtype) / 8;
    step.latency_cycles += chip_.latency.smem_cycles;
  }

  void add_polynomial(Step& step, double exps) const {
    if (table_.exp2_polynomial.empty()) throw SimError("isa " + table_.name + " has no polynomial for exp2");
    Step part;
    for (const ElementwiseRule& rule : table_.exp2_polynomial) add_instructions(part, rule, exps);
    step.polynomial_exps += exps;
    step.polynomial_fp32_ops += part.fp32_ops;
    step.polynomial_alu_ops += part.alu_ops;
    step.fp32_ops += part.fp32_ops;
    step.alu_ops += part.alu_ops;
    step.warp_instructions += part.warp_instructions;
  }

  void add_instructions(Step& step, const ElementwiseRule& rule, double lane_elements) const {
    for (const ElementwiseRule& part : rule.then) add_instructions(step, part, lane_elements);
    const double instructions = lane_elements / rule.elements * rule.instructions;
    const double ops = instructions * rule.width;
    switch (rule.pipe) {
      case VectorPipe::none: return;
      case VectorPipe::fp32:
        step.fp32_ops += ops;
        step.latency_cycles += rule.depth * chip_.latency.fp32_cycles;
        break;
      case VectorPipe::alu:
        step.alu_ops += ops;
        step.latency_cycles += rule.depth * chip_.latency.alu_cycles;
        break;
      case VectorPipe::sfu:
        step.sfu_ops += ops;
        step.latency_cycles += rule.depth * chip_.latency.sfu_cycles;
        break;
    }
    step.warp_instructions += instructions / chip_.sm.lanes_per_warp;
  }

  void finish_chain(Step& step) const {
    const double fp32 = step.fp32_ops / chip_.sm.fp32_lanes;
    const double alu = step.alu_ops / chip_.sm.alu_lanes;
    const double sfu = step.sfu_ops / chip_.sm.sfu_lanes;
    const double issue = step.warp_instructions / chip_.sm.issue_per_clk;
    step.demand[static_cast<std::size_t>(Pipe::fp32)] = fp32;
    step.demand[static_cast<std::size_t>(Pipe::alu)] = alu;
    step.demand[static_cast<std::size_t>(Pipe::sfu)] = sfu;
    step.demand[static_cast<std::size_t>(Pipe::issue)] = issue;
    step.demand[static_cast<std::size_t>(Pipe::smem)] = step.smem_bytes / chip_.sm.smem_bytes_per_clk;
    if (step.tmem_bytes > 0 && chip_.sm.tmem_bytes_per_clk > 0) {
      step.demand[static_cast<std::size_t>(Pipe::tmem)] = step.tmem_bytes / chip_.sm.tmem_bytes_per_clk;
    }
    const double longest = std::max({fp32, alu, sfu});
    if (interleaved_) {
      step.occupancy_cycles = sfu;
      step.latency_cycles += std::max(issue, longest) - sfu;
    } else {
      step.occupancy_cycles = std::max(issue, longest + chip_.vector.chain_serialization * (fp32 + alu + sfu - longest));
    }
    step.groups = std::max(1, static_cast<int>(std::lround(step.occupancy_cycles / chip_.vector.turn_cycles)));
  }

  const ir::Program& program_;
  const Chip& chip_;
  const IsaTable& table_;
  std::set<TileId> exchanged_tiles_;  // of the agent at hand
  std::set<TileId> async_tiles_;      // register tiles that some asynchronous matrix op reads or writes
  int warps_ = 4;
  bool interleaved_ = false;  // Agent::interleaved
  LaneLayout layout_;         // of the agent at hand
};

}  // namespace

std::string_view name_of(Pipe p) {
  constexpr std::array<std::string_view, kPipeCount> kNames{"tensor", "fp32", "alu", "sfu", "issue", "smem", "tmem"};
  return kNames.at(static_cast<std::size_t>(p));
}

SelectedKernel select_instructions(const ir::Kernel& kernel, const Chip& chip) {
  Selector selector(kernel, chip);
  SelectedKernel out;
  out.kernel = &kernel;
  for (const ir::Agent& agent : kernel.program.agents) out.agents.push_back(selector.select(agent));
  return out;
}

std::vector<SelectedKernel> select_instructions(const ir::Pipeline& pipeline, const Chip& chip) {
  std::vector<SelectedKernel> out;
  out.reserve(pipeline.nodes().size());
  for (const ir::Node& node : pipeline.nodes()) {
    const auto* kernel = std::get_if<ir::Kernel>(&node.work);
    out.push_back(kernel != nullptr ? select_instructions(*kernel, chip) : SelectedKernel{});
  }
  return out;
}

}  // namespace attnsim
