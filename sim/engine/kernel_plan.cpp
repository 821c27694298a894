// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/kernel_plan.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/core/error.h"
#include "sim/engine/machine.h"

namespace attnsim {

namespace {

std::int64_t ticks(double cycles) {
  return ticks_ceil(cycles).count();
}

double occupancy_cycles(const Step& step, const MachineConfig& config) {
  if (step.kind != StepKind::chain || config.chain_overlap) return step.occupancy_cycles;
  const auto at = [&](Pipe p) { return step.demand[static_cast<std::size_t>(p)]; };
  return std::max({at(Pipe::fp32), at(Pipe::alu), at(Pipe::sfu), at(Pipe::issue)});
}

PlannedStep plan_step(const Step& step, double width, const ir::Program& program, const Chip& chip, const MachineConfig& config,
                      const std::set<ir::TokenId>& copy_tokens, int cluster, double sync_overlap) {
  PlannedStep out;
  const ir::Op& op = *step.ops.front();
  out.kind = step.kind;
  out.when = step.when;
  out.async = step.async;
  out.by_steps = op.by_steps;
  out.interleaved = step.interleaved;
  out.is_mask = step.kind == StepKind::chain && op.role == "mask";
  out.skew = step.skew;
  out.groups = step.groups;
  out.position = step.position;
  out.waits = step.waits;
  out.op = &op;
  out.step = &step;
  if (step.kind == StepKind::signal || step.kind == StepKind::await) {
    const ir::Token& token = program.tokens[static_cast<std::size_t>(op.token)];
    out.token = op.token;
    out.distance = op.distance;
    out.arrivals = token.arrivals;
    out.kernel_scope = token.scope == ir::TokenScope::kernel;
    out.turn = token.scope == ir::TokenScope::turn;
    out.until_seen = op.until_seen;
    out.awaits_copy = copy_tokens.count(op.token) != 0;
    return out;
  }
  out.group_issue_ticks = ticks(step.demand[static_cast<std::size_t>(Pipe::issue)] / step.groups);
  if (step.kind == StepKind::mma) out.rows_axis = program.tiles[static_cast<std::size_t>(op.out.front())].rows;
  // Only accesses that warps issue leave gaps: matrix units and copy engines that fetch for themselves keep SMEM at its peak.
  const bool by_engine =
      step.async && (step.kind == StepKind::mma || op.copy == ir::CopyKind::tma || op.copy == ir::CopyKind::tma_multicast);
  const double smem_efficiency = by_engine ? 1 : chip.sm.smem_efficiency;
  const double smem_cycles = config.smem_bandwidth ? step.demand[static_cast<std::size_t>(Pipe::smem)] / smem_efficiency : 0;
  if (step.kind == StepKind::chain || step.kind == StepKind::mma) {
    const double occupancy = occupancy_cycles(step, config) / step.groups;
    out.group_ticks = ticks(occupancy);
    out.group_own_ticks = ticks(occupancy / width);
    if (sync_overlap < 1 && !step.async) out.group_sync_ticks = ticks(occupancy / (1 + sync_overlap));
    out.group_smem_ticks = ticks(smem_cycles / step.groups);
    out.group_tmem_ticks = ticks(step.demand[static_cast<std::size_t>(Pipe::tmem)] / step.groups);
    out.group_alone_ticks = std::max({out.group_ticks, out.group_own_ticks, out.group_issue_ticks, out.group_sync_ticks,
                                      out.group_smem_ticks, step.kind == StepKind::chain ? out.group_tmem_ticks : 0});
    out.latency = config.dependent_latency ? ticks(step.latency_cycles + step.stall_cycles) : 0;
    if (step.async) {
      out.issue_ticks = ticks(step.demand[static_cast<std::size_t>(Pipe::issue)] / width);
      for (ir::TileId t : op.out) out.busy_tiles.push_back(t);
      for (ir::TileId t : op.in) {
        if (program.tiles[static_cast<std::size_t>(t)].space == ir::Space::registers) out.busy_tiles.push_back(t);
      }
    }
    return out;
  }
  out.access = op.access;
  out.whole_tile = op.whole_tile;
  out.atomic = op.kind == ir::OpKind::atomic;
  out.until_seen = op.until_seen;
  const bool load = step.kind == StepKind::load;
  const ir::TileId tile_id = load ? op.out.front() : op.in.front();
  const ir::Tile& tile = program.tiles[static_cast<std::size_t>(tile_id)];
  out.rows_axis = tile.rows;
  out.padded_rows = program.padded(tile.rows);
  out.copied = tile_id;
  out.from_registers = !load && tile.space == ir::Space::registers;
  out.issue_ticks = ticks(step.demand[static_cast<std::size_t>(Pipe::issue)] / width);
  // Atomics from registers pass the data path that SMEM and the first-level cache share.
  const bool by_lanes = op.kind == ir::OpKind::atomic && op.copy == ir::CopyKind::plain;
  if ((tile.space == ir::Space::smem || by_lanes) && config.smem_bandwidth) {
    out.smem_ticks_per_byte = static_cast<double>(kTicksPerCycle) / (chip.sm.smem_bytes_per_clk * smem_efficiency);
  }
  if (by_lanes) {  // the queue ahead of the load-store unit is short: warps issue atomics as fast as the port to L2 takes them
    const double tile_bytes = static_cast<double>(program.padded_elements(tile_id)) * ir::bits_of(tile.dtype) / 8;
    out.issue_ticks = std::max(out.issue_ticks, static_cast<std::int64_t>(std::ceil(tile_bytes / config.rates.port)));
  }
  const bool engine = op.copy == ir::CopyKind::tma || op.copy == ir::CopyKind::tma_multicast;
  if (config.multicast && (op.copy == ir::CopyKind::tma_multicast || op.pair)) out.sharers = std::max(1, cluster);
  out.arrives = !op.pair;
  if (config.load_latency) out.latency = ticks(chip.latency.read_cycles(engine) + (engine ? chip.latency.copy_engine_cycles : 0));
  return out;
}

// Tiles are pending through asynchronous MMAs alone.
void keep_pending_waits(KernelPlan& plan) {
  std::set<ir::TileId> pending;
  const auto each_step = [&](auto visit) {
    for (PlannedAgent& agent : plan.agents) {
      for (auto& section : agent.sections) std::for_each(section.begin(), section.end(), visit);
    }
  };
  each_step([&](const PlannedStep& step) { pending.insert(step.busy_tiles.begin(), step.busy_tiles.end()); });
  each_step([&](PlannedStep& step) { std::erase_if(step.waits, [&](ir::TileId t) { return pending.count(t) == 0; }); });
}

// `l2_cycles` holds what a kernel's first reads wait for beside L2: instructions that are fetched, parameters. A kernel without loops does
// little else, and all but the first CTA of a slot find that done.
void save_warm_latency(KernelPlan& plan, const Chip& chip) {
  for (PlannedAgent& agent : plan.agents) {
    for (auto& section : agent.sections) {
      for (PlannedStep& step : section) {
        if (step.kind == StepKind::load && step.op->copy == ir::CopyKind::plain)
          step.warm_saving = ticks(chip.latency.l2_cycles - chip.latency.warm_read_cycles());
      }
    }
  }
}

}  // namespace

KernelPlan plan_kernel(const SelectedKernel& selected, const Chip& chip, const MachineConfig& config) {
  const ir::Program& program = selected.kernel->program;
  KernelPlan plan;
  plan.policy = selected.kernel->grid.policy;
  plan.cluster = std::max(1, selected.kernel->grid.cluster);
  for (const ir::Section& section : program.sections) {
    plan.is_loop.push_back(section.kind == ir::SectionKind::loop ? 1 : 0);
    plan.is_peers.push_back(section.trips == ir::TripSource::peers ? 1 : 0);
  }
  for (std::size_t t = 0; t < program.tokens.size(); ++t) {
    const int signallers = std::max(1, program.signallers(static_cast<ir::TokenId>(t)));
    const ir::Token& token = program.tokens[t];
    plan.tokens.push_back({token.arrivals, std::max(1, token.arrivals / signallers), token.scope == ir::TokenScope::kernel});
  }
  std::set<ir::TokenId> copy_tokens;
  for (const ir::Agent& agent : program.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) copy_tokens.insert(op.completes.begin(), op.completes.end());
    }
  }
  const auto is_sync_mma = [](const Step& step) { return step.kind == StepKind::mma && !step.async; };
  double sync_overlap = 1;  // without such an MMA nothing takes turns with chains
  for (const SelectedAgent& agent : selected.agents) {
    for (const auto& section : agent.sections) {
      if (std::any_of(section.begin(), section.end(), is_sync_mma)) sync_overlap = chip.vector.sync_overlap;
    }
  }
  for (std::size_t a = 0; a < selected.agents.size(); ++a) {
    const SelectedAgent& agent = selected.agents[a];
    PlannedAgent& out = plan.agents.emplace_back();
    for (std::size_t s = 0; s < agent.sections.size(); ++s) {
      auto& steps = out.sections.emplace_back();
      int max_skew = 0;
      for (const Step& step : agent.sections[s]) {
        steps.push_back(plan_step(step, agent.width, program, chip, config, copy_tokens, plan.cluster, sync_overlap));
        steps.back().id = plan.step_count++;
        max_skew = std::max(max_skew, step.skew);
      }
      out.max_skew.push_back(max_skew);
    }
  }
  keep_pending_waits(plan);
  if (config.load_latency && !ir::has_loop(program)) save_warm_latency(plan, chip);
  plan.launch_interval = config.cta_start ? ticks(1 / chip.launch.ctas_per_clk) : 0;
  plan.start_latency = config.cta_start ? ticks(chip.launch.cta_start_cycles) : 0;
  plan.barrier_latency = config.dependent_latency ? ticks(chip.latency.barrier_cycles) : 0;
  plan.l2_latency = config.load_latency ? ticks(chip.latency.l2_cycles) : 0;
  plan.least_load_latency = config.load_latency ? ticks(std::min(chip.latency.l2_cycles, chip.latency.read_cycles(true))) : 0;
  plan.hbm_latency = config.load_latency ? ticks(to_cycles(Nanoseconds(chip.latency.hbm_ns), Megahertz(config.clock_mhz)).count()) : 0;
  plan.store_latency = config.load_latency ? ticks(chip.latency.copy_engine_cycles) : 0;
  return plan;
}

std::int64_t row_bytes(const ir::Program& program, ir::TileId tile, const ir::Tensor& tensor) {
  std::int64_t columns = tensor.cols;
  const ir::AxisId axis = program.tiles[static_cast<std::size_t>(tile)].cols;
  if (axis != ir::kUnit && program.axes[static_cast<std::size_t>(axis)].kind == ir::AxisKind::fixed)
    columns = std::min<std::int64_t>(columns, program.axes[static_cast<std::size_t>(axis)].valid);
  return columns * ir::bits_of(tensor.dtype) / 8;
}

std::int64_t padded_rows(const PlannedStep& step, const ir::Program& program) {
  return step.rows_axis == ir::kUnit ? 1 : program.axes[static_cast<std::size_t>(step.rows_axis)].padded;
}

std::int64_t valid_rows(const PlannedStep& step, const ir::Program& program, std::int64_t item_rows) {
  if (step.rows_axis == ir::kUnit) return 1;
  const ir::Axis& axis = program.axes[static_cast<std::size_t>(step.rows_axis)];
  if (axis.kind == ir::AxisKind::fixed) return axis.valid;
  if (axis.kind == ir::AxisKind::trip_cols) return axis.padded;
  return std::clamp<std::int64_t>(item_rows - axis.row_offset, 0, axis.padded);
}

void add_work(MachineResult& sum, const Step& step, double times, double useful_times) {
  for (std::size_t p = 0; p < kPipeCount; ++p) sum.busy_cycles[p] += step.demand[p] * times;
  WorkCounts& c = sum.counts;
  c.tensor_flops += step.tensor_flops * times;
  c.useful_tensor_flops += step.tensor_flops * useful_times;
  c.narrow_tensor_flops += step.tensor_flops * useful_times * (1 - step.operand_bits / 16.0);
  c.exp_count += step.exp_count * times;
  c.fp32_ops += step.fp32_ops * times;
  c.alu_ops += step.alu_ops * times;
  c.sfu_ops += step.sfu_ops * times;
  c.warp_instructions += step.warp_instructions * times;
  c.smem_bytes += step.smem_bytes * times;
}

SelectedKernel without_flags(SelectedKernel selected) {
  const ir::Program& program = selected.kernel->program;
  for (SelectedAgent& agent : selected.agents) {
    for (std::vector<Step>& section : agent.sections) {
      std::erase_if(section, [&](const Step& step) {
        return step.kind == StepKind::await &&
               program.tokens[static_cast<std::size_t>(step.ops.front()->token)].scope == ir::TokenScope::kernel;
      });
    }
  }
  return selected;
}

VisitedTile visited_tile(const ir::RowTile& tile, bool peers, std::int64_t trip) {
  if (peers) return {trip, false};
  for (const ir::TripRun& run : tile.runs) {
    if (trip < run.count) return {run.first + trip * run.step, run.partial};
    trip -= run.count;
  }
  throw Invariant("trip outside the item's runs");
}

TileAddress address_of(const ir::Access& access, ir::AxisId rows_axis, const ir::Program& program, const ir::Item& item,
                       const VisitedTile& visited) {
  TileAddress out;
  out.slab = access.slab_of(item.slab) + (access.add_split ? item.tile->split : 0) + (access.add_trip ? visited.index : 0);
  out.row = access.row_offset;
  const std::int64_t padded = program.padded(rows_axis);
  if (access.row_from == ir::RowFrom::item) out.row += item.tile->row_begin;
  if (access.row_from == ir::RowFrom::trip) out.row += visited.index * padded;
  // Rows that are gathered by a list count as neighbours, and all of the tensor's come by before one comes again.
  // A tile of a group that begins anywhere counts as the whole tile in which it begins.
  if (access.order != ir::kNone) {
    const ir::RowOrder& order = program.orders[static_cast<std::size_t>(access.order)];
    if (order.is_list()) out.row %= order.rows();
    if (order.has_groups()) out.row = order.whole_tile(out.row);
  }
  out.rows = 1;
  if (rows_axis == ir::kUnit) return out;
  const ir::Axis& axis = program.axes[static_cast<std::size_t>(rows_axis)];
  switch (axis.kind) {
    case ir::AxisKind::fixed: out.rows = axis.valid; break;
    case ir::AxisKind::item_rows: out.rows = std::clamp<std::int64_t>(item.tile->rows - axis.row_offset, 0, padded); break;
    case ir::AxisKind::trip_cols: out.rows = std::clamp<std::int64_t>(item.family->loop_extent - visited.index * padded, 0, padded); break;
  }
  return out;
}

}  // namespace attnsim
