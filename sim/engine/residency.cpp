// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/residency.h"

#include <algorithm>
#include <cmath>

#include "sim/engine/kernel_plan.h"
#include "sim/engine/l2_cache.h"
#include "sim/engine/panel_residency.h"

namespace attnsim {

namespace {

// How often a step acts in one item.
std::int64_t executions(const PlannedStep& step, const ir::RowTile& tile, std::int64_t trips, bool runs) {
  const std::int64_t partial = runs ? tile.partial_trips() : 0;
  switch (step.when) {
    case ir::When::always: return trips;
    case ir::When::first_trip:
    case ir::When::last_trip: return std::min<std::int64_t>(trips, 1);
    case ir::When::not_first_trip: return std::max<std::int64_t>(trips - 1, 0);
    case ir::When::partial_trip: return partial;
    case ir::When::full_trip: return trips - partial;
    case ir::When::item_flag: return tile.flag ? trips : 0;
    case ir::When::not_item_flag: return tile.flag ? 0 : trips;
    case ir::When::last_arriver: return 0;  // one item of each group; its share is small
  }
  return 0;
}

// Valid rows that a copy moves over one item.
std::int64_t copied_rows(const PlannedStep& step, const ir::Program& program, const ir::ItemFamily& family, const ir::RowTile& tile,
                         std::int64_t times) {
  if (step.rows_axis == ir::kUnit) return times;
  const ir::Axis& axis = program.axes[static_cast<std::size_t>(step.rows_axis)];
  if (axis.kind == ir::AxisKind::fixed) return times * axis.valid;
  if (axis.kind == ir::AxisKind::item_rows) return times * std::clamp<std::int64_t>(tile.rows - axis.row_offset, 0, axis.padded);
  const std::int64_t ragged = family.loop_extent / axis.padded;  // the tile that is not full
  std::int64_t rows = times * axis.padded;
  for (const ir::TripRun& run : tile.runs) {
    for (const std::int64_t edge : {run.first, run.first + (run.count - 1) * run.step}) {
      if (run.count > 0 && edge == ragged) {
        rows -= axis.padded - family.loop_extent % axis.padded;
        break;
      }
    }
  }
  return rows;
}

// An op of the main loop that acts in every trip, or in all but one.
bool every_trip(const ir::Section& section, const ir::Op& op) {
  return section.kind == ir::SectionKind::loop && section.trips == ir::TripSource::runs && op.when != ir::When::first_trip &&
         op.when != ir::When::last_trip;
}

std::int64_t trips_of(const ir::RowTile& tile) {
  std::int64_t trips = 0;
  for (const ir::TripRun& run : tile.runs) trips += run.count;
  return trips;
}

double row_bytes(const ir::Tensor& tensor) {
  return static_cast<double>(tensor.cols) * ir::bits_of(tensor.dtype) / 8;
}

}  // namespace

MachineResult count_work(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const MachineConfig& config,
                         const Chip& chip) {
  const KernelPlan plan = plan_kernel(selected, chip, config);
  const ir::Program& program = selected.kernel->program;
  MachineResult out;
  for (const ir::ItemFamily& family : selected.kernel->families) {
    for (const ir::RowTile& tile : family.tiles) {
      const auto slabs = static_cast<double>(family.slab_count);
      out.items += family.slab_count;
      for (const PlannedAgent& agent : plan.agents) {
        for (std::size_t s = 0; s < agent.sections.size(); ++s) {
          const std::int64_t trips = plan.trips(s, tile);
          const bool runs = plan.is_loop[s] != 0 && plan.is_peers[s] == 0;
          for (const PlannedStep& step : agent.sections[s]) {
            if (step.is_mask && !config.mask_cost) continue;
            const std::int64_t times = executions(step, tile, trips, runs);
            if (times == 0) continue;
            const double n = static_cast<double>(times) * slabs;
            for (std::size_t p = 0; p < kPipeCount; ++p) out.busy_cycles[p] += step.step->demand[p] * n;
            out.counts.tensor_flops += step.step->tensor_flops * n;
            if (step.kind == StepKind::mma) {
              const double useful = step.step->tensor_flops * n * valid_row_fraction(step, program, tile);
              out.counts.useful_tensor_flops += useful;
              out.counts.narrow_tensor_flops += useful * (1 - step.step->operand_bits / 16.0);
            }
            out.counts.exp_count += step.step->exp_count * n;
            out.counts.fp32_ops += step.step->fp32_ops * n;
            out.counts.alu_ops += step.step->alu_ops * n;
            out.counts.sfu_ops += step.step->sfu_ops * n;
            out.counts.warp_instructions += step.step->warp_instructions * n;
            out.counts.smem_bytes += step.step->smem_bytes * n;
            if (step.kind != StepKind::load && step.kind != StepKind::store) continue;
            const ir::Tensor& tensor = tensors[static_cast<std::size_t>(step.op->access.tensor)];
            const std::int64_t rows = step.op->whole_tile ? times * step.padded_rows : copied_rows(step, program, family, tile, times);
            const double bytes = static_cast<double>(rows) * row_bytes(tensor) * slabs / step.sharers;
            out.l2_bytes += bytes;
            if (step.kind == StepKind::load) out.loaded_bytes += bytes;
          }
        }
      }
    }
  }
  out.ctas = selected.kernel->grid.policy == ir::GridPolicy::one_item_per_cta
                 ? out.items
                 : std::min<std::int64_t>(out.items, static_cast<std::int64_t>(config.sms) * config.ctas_per_sm);
  return out;
}

Residency estimate_residency(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, const Chip& chip,
                             const Conditions& conditions, const MachineConfig& config) {
  const double l2 = static_cast<double>(chip.l2_effective().count());
  double loaded = 0;
  double fetched = 0;
  double stored = 0;
  const double footprint = L2Cache::footprint_bytes(tensors);
  const auto in_flight = static_cast<double>(config.sms) * config.ctas_per_sm;
  const bool panels = walks_panels(kernel);
  if (panels) {
    const PanelTraffic traffic = panel_traffic(kernel, tensors, static_cast<std::int64_t>(config.sms) * config.ctas_per_sm, l2);
    loaded = traffic.loaded;
    fetched = traffic.fetched;
    stored = traffic.stored;
  }
  for (const ir::Agent& agent : kernel.program.agents) {
    if (panels) break;
    for (std::size_t s = 0; s < agent.sections.size(); ++s) {
      for (const ir::Op& op : agent.sections[s]) {
        const bool atomic = op.kind == ir::OpKind::atomic;
        if (op.kind != ir::OpKind::load && op.kind != ir::OpKind::store && !atomic) continue;
        const ir::Tensor& tensor = tensors[static_cast<std::size_t>(op.access.tensor)];
        const double row = row_bytes(tensor);
        for (const ir::ItemFamily& family : kernel.families) {
          const auto slabs = static_cast<double>(family.slab_count);
          double rows = 0;
          double rows_once = 0;
          const bool repeats = every_trip(kernel.program.sections[s], op);
          std::int64_t low = INT64_MAX;
          std::int64_t high = -1;
          const ir::TileId id = op.kind == ir::OpKind::load ? op.out.front() : op.in.front();
          const std::int64_t padded = kernel.program.padded(kernel.program.tiles[static_cast<std::size_t>(id)].rows);
          for (const ir::RowTile& tile : family.tiles) {
            if (op.access.row_from == ir::RowFrom::trip) {
              for (const ir::TripRun& run : tile.runs) {
                if (run.count == 0) continue;
                const std::int64_t last = run.first + (run.count - 1) * run.step;
                low = std::min({low, run.first, last});
                high = std::max({high, run.first, last});
                rows += static_cast<double>(run.count * padded);
              }
            } else {
              const auto valid = static_cast<double>(std::min<std::int64_t>(padded, std::max<std::int64_t>(tile.rows, 1)));
              rows += valid * (repeats ? static_cast<double>(trips_of(tile)) : 1);
              rows_once += valid;
            }
          }
          const double bytes = rows * row * slabs;
          // What an item uses again stays in L2 while all items in flight fit; blocks of its trips are used once.
          const double bytes_once = rows_once * row * slabs;
          const bool stays = in_flight * bytes_once <= l2 * static_cast<double>(family.tiles.size()) * slabs;
          const bool distinct = op.access.row_from == ir::RowFrom::trip || op.access.add_trip;
          const double moved = distinct || !stays ? bytes : bytes_once;
          if (op.kind == ir::OpKind::store) {
            stored += moved;
            continue;
          }
          if (!atomic) loaded += bytes;
          if (op.access.row_from != ir::RowFrom::trip || high < 0) {
            const double from_hbm = stays ? std::min(moved, static_cast<double>(tensor.bytes().count())) : moved;
            fetched += from_hbm;
            if (atomic) stored += from_hbm;
            continue;
          }
          const auto touched = static_cast<double>(std::min((high - low + 1) * padded, family.loop_extent));
          const double slab_bytes = touched * row;
          const double own = op.access.slab_period > 0 ? std::min<double>(slabs, op.access.slab_period) : slabs;
          const double distinct_slabs = std::max(1.0, own / op.access.slab_divisor);
          const auto tiles = static_cast<double>(family.tiles.size());
          const double slabs_in_flight = std::clamp(in_flight / tiles, 1.0, slabs) / op.access.slab_divisor;
          constexpr double kStreams = 2;  // K and V advance together
          const bool fits = kStreams * std::max(1.0, slabs_in_flight) * slab_bytes <= l2;
          const double once = distinct_slabs * slab_bytes;
          const double shared_by = std::max(1.0, std::min(in_flight, tiles));
          const double from_hbm = fits ? std::min(bytes, once) : std::max(once, bytes / shared_by);
          fetched += from_hbm;
          if (atomic) stored += from_hbm;
        }
      }
    }
  }
  Residency out;
  const bool resident = conditions.l2 == L2Start::warm && footprint <= l2;
  if (conditions.without.count("l2_hits") != 0) fetched = loaded;
  if (resident) fetched = 0;
  out.hit_fraction = loaded > 0 ? std::clamp(1 - fetched / loaded, 0.0, 1.0) : 0;
  out.hbm_written_bytes = resident ? 0 : stored;
  out.hbm_bytes = fetched + out.hbm_written_bytes;
  out.hbm_read_equivalent_bytes = fetched + (resident ? 0 : stored * config.hbm_write_cost);
  return out;
}

}  // namespace attnsim
