// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/residency.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "sim/engine/footprint.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/panel_residency.h"

namespace attnsim {

namespace {

// Trips of a loop, summed over items, by what conditions ask for.
struct TripSums {
  std::int64_t all = 0;
  std::int64_t first = 0;  // items with at least one
  std::int64_t partial = 0;
};

// Row tiles of a family that differ in their loops alone.
struct AlikeTiles {
  std::int64_t valid_rows = 0;
  bool flag = false;
  std::int64_t items = 0;
  TripSums runs;
  TripSums peers;
  std::int64_t arrivals = 0;  // of a row tile's last item: one each, and with its peers
  std::int64_t arrivals_peers = 0;
  std::vector<std::int64_t> ragged;  // by axis of the program: runs that touch the loop tile that is not full
};

std::vector<AlikeTiles> alike_tiles(const ir::ItemFamily& family, const ir::Program& program) {
  struct Ragged {
    std::size_t axis = 0;
    std::int64_t tile = 0;
  };
  std::vector<Ragged> ragged;  // loop tile of each axis that is not full
  for (std::size_t a = 0; a < program.axes.size(); ++a) {
    const ir::Axis& axis = program.axes[a];
    if (axis.kind == ir::AxisKind::trip_cols) ragged.push_back({a, family.loop_extent / axis.padded});
  }
  std::vector<AlikeTiles> groups;
  std::size_t at = 0;
  for (const ir::RowTile& tile : family.tiles) {
    const auto is_of = [&](const AlikeTiles& g) { return g.valid_rows == tile.rows && g.flag == tile.flag; };
    if (at >= groups.size() || !is_of(groups[at])) {
      at = static_cast<std::size_t>(std::find_if(groups.begin(), groups.end(), is_of) - groups.begin());
      if (at == groups.size()) groups.push_back({tile.rows, tile.flag, 0, {}, {}, 0, 0, std::vector<std::int64_t>(program.axes.size(), 0)});
    }
    AlikeTiles& group = groups[at];
    ++group.items;
    std::int64_t trips = 0;
    for (const ir::TripRun& run : tile.runs) {
      trips += run.count;
      group.runs.partial += run.partial ? run.count : 0;
      const std::int64_t end = run.first + (run.count - 1) * run.step;
      for (const auto& [axis, last] : ragged) group.ragged[axis] += run.count > 0 && (run.first == last || end == last) ? 1 : 0;
    }
    group.runs.all += trips;
    group.runs.first += trips > 0 ? 1 : 0;
    group.peers.all += tile.peers;
    group.peers.first += tile.peers > 0 ? 1 : 0;
    group.arrivals += tile.split == 0 ? 1 : 0;
    group.arrivals_peers += tile.split == 0 ? tile.peers : 0;
  }
  return groups;
}

// How often a step of a section acts in a slab's items of the group.
std::int64_t executions(const PlannedStep& step, const AlikeTiles& group, const KernelPlan& plan, std::size_t section) {
  TripSums trips{group.items, group.items, 0};
  if (plan.is_loop[section] != 0) trips = plan.is_peers[section] != 0 ? group.peers : group.runs;
  switch (step.when) {
    case ir::When::always: return trips.all;
    case ir::When::first_trip:
    case ir::When::last_trip: return trips.first;
    case ir::When::not_first_trip: return trips.all - trips.first;
    case ir::When::partial_trip: return trips.partial;
    case ir::When::full_trip: return trips.all - trips.partial;
    case ir::When::item_flag: return group.flag ? trips.all : 0;
    case ir::When::not_item_flag: return group.flag ? 0 : trips.all;
    case ir::When::last_arriver:
      return plan.is_loop[section] == 0 ? group.arrivals : plan.is_peers[section] != 0 ? group.arrivals_peers : 0;
  }
  return 0;
}

// Valid rows that `times` copies of the group move.
std::int64_t copied_rows(const PlannedStep& step, const ir::Program& program, const ir::ItemFamily& family, const AlikeTiles& group,
                         std::int64_t times) {
  if (step.rows_axis == ir::kUnit) return times;
  const auto a = static_cast<std::size_t>(step.rows_axis);
  const ir::Axis& axis = program.axes[a];
  if (axis.kind == ir::AxisKind::fixed) return times * axis.valid;
  if (axis.kind == ir::AxisKind::item_rows) return times * std::clamp<std::int64_t>(group.valid_rows - axis.row_offset, 0, axis.padded);
  return times * axis.padded - group.ragged[a] * (axis.padded - family.loop_extent % axis.padded);
}

// How often an op acts in an item; conditions of single trips count as all.
std::int64_t times_in(const ir::RowTile& tile, const ir::Section& section, const ir::Op& op) {
  if ((op.when == ir::When::item_flag && !tile.flag) || (op.when == ir::When::not_item_flag && tile.flag)) return 0;
  if (section.kind != ir::SectionKind::loop || op.when == ir::When::first_trip || op.when == ir::When::last_trip) return 1;
  return section.trips == ir::TripSource::peers ? tile.peers : tile.trips();
}

// What a family's items visit in their loops, in loop tiles.
struct Visits {
  std::int64_t low = INT64_MAX;
  std::int64_t high = -1;
  std::int64_t trips = 0;                // of all items
  std::int64_t longest = 0;              // of an item
  std::int64_t first_start = INT64_MAX;  // at which items start
  std::int64_t last_start = 0;
  int splits = 1;
};

// `place`: of a loop tile. Where a run's tiles lie between those at its ends, so do an item's between its first and last run.
template <class Place>
Visits visits_by(const ir::ItemFamily& family, bool in_order, Place place) {
  Visits out;
  for (const ir::RowTile& tile : family.tiles) {
    out.splits = std::max(out.splits, tile.split + 1);
    std::int64_t trips = 0;
    for (const ir::TripRun& run : tile.runs) {
      if (run.count == 0) continue;
      trips += run.count;
      if (in_order && &run != &tile.runs.front() && &run != &tile.runs.back()) continue;
      const std::int64_t first = place(run.first);
      const std::int64_t last = place(run.first + (run.count - 1) * run.step);
      out.low = std::min({out.low, first, last});
      out.high = std::max({out.high, first, last});
    }
    out.trips += trips;
    out.longest = std::max(out.longest, trips);
    if (tile.runs.empty()) continue;
    const std::int64_t start = place(tile.runs.front().first);
    out.first_start = std::min(out.first_start, start);
    out.last_start = std::max(out.last_start, start);
  }
  return out;
}

Visits visits_of(const ir::ItemFamily& family) {
  return visits_by(family, false, [](std::int64_t tile) { return tile; });
}

// Tiles of groups that begin anywhere count as the whole tiles in which they begin.
Visits visits_of_groups(const ir::ItemFamily& family, const ir::RowOrder& order, std::int64_t padded) {
  return visits_by(family, true, [&](std::int64_t tile) { return order.whole_tile(tile * padded) / padded; });
}

// Slabs among the items in flight.
double slabs_in_flight(const ir::Grid& grid, const ir::ItemFamily& family, double in_flight) {
  double visited = in_flight / static_cast<double>(family.tiles.size());
  if (grid.fastest == ir::Fastest::slabs)
    visited = grid.section_slabs > 0 ? std::min(in_flight, static_cast<double>(grid.section_slabs)) : in_flight;
  return std::clamp(visited, 1.0, static_cast<double>(family.slab_count));
}

// Groups of slabs with rows of their own (K and V of one head and batch) among the items in flight.
double groups_in_flight(const ir::Kernel& kernel, const ir::ItemFamily& family, std::int64_t divisor, double in_flight) {
  const ir::Grid& grid = kernel.grid;
  if (grid.policy == ir::GridPolicy::lists) {  // CTAs stand all over the grid
    double all = 0;
    for (const ir::ItemFamily& f : kernel.families) all += static_cast<double>(f.slab_count);
    return std::clamp(all / static_cast<double>(divisor), 1.0, in_flight);
  }
  const double visited = slabs_in_flight(grid, family, in_flight);
  const bool takes_turns = grid.interleave > 1 && family.slab_count / grid.interleave >= divisor;
  const double ways = takes_turns ? std::min(visited, static_cast<double>(grid.interleave)) : 1;
  return ways * std::max(1.0, visited / ways / static_cast<double>(divisor));
}

// A tensor's rows that the items of a family walk in their loops.
struct Walked {
  double bytes = 0;  // all loads
  double once = 0;   // of distinct rows
  double held = 0;   // of all streams that advance together, by the walks in flight
  double walks = 1;  // over the whole loop, each by the items of one row tile, in a row or side by side
  double in_flight = 1;
  double shared_by = 1;  // items in flight in one group
  double apart = 0;      // part of the walk by which these are apart
  bool atomic = false;
  std::size_t tensor = 0;
  std::size_t family = 0;
  const ir::Op* op = nullptr;
  double in_step = 1;       // items side by side that walk the same loop tiles: those of a row tile's heads
  std::int64_t group = -1;  // whose rows the family walks, where it walks one group's only
};

// From HBM, where items visit rows at random: L2 holds as much of all that are walked as it has room for.
double fetched_at_random(const Walked& w, const std::vector<Walked>& walked, double l2) {
  double all = 0;
  for (const Walked& other : walked) all += other.once;
  const double missing = std::max(0.0, 1 - l2 / std::max(1.0, all));
  return std::min(w.bytes, std::max(w.once, w.bytes / w.in_step * missing));
}

// Columns of the rows of a trip that other loads of the agent have brought into L2 (V, where it is a part of K).
class Brought {
 public:
  // Whether the access finds all of its columns there; they are from now on.
  bool covers(const ir::Access& access, const ir::Tensor& tensor, double row_bytes) {
    const int begin = access.column_begin;
    const int end = begin + static_cast<int>(row_bytes * 8 / ir::bits_of(tensor.dtype));
    std::vector<bool>& columns = columns_[access.tensor];
    if (columns.empty()) columns.resize(static_cast<std::size_t>(tensor.cols));
    bool all = true;
    for (int c = begin; c < end; ++c) {
      all = all && columns[static_cast<std::size_t>(c)];
      columns[static_cast<std::size_t>(c)] = true;
    }
    return all;
  }

 private:
  std::map<ir::TensorId, std::vector<bool>> columns_;
};

}  // namespace

MachineResult count_work(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const MachineConfig& config,
                         const Chip& chip) {
  const KernelPlan plan = plan_kernel(selected, chip, config);
  const ir::Program& program = selected.kernel->program;
  MachineResult out;
  for (const ir::ItemFamily& family : selected.kernel->families) {
    const auto slabs = static_cast<double>(family.slab_count);
    out.items += family.item_count();
    for (const AlikeTiles& group : alike_tiles(family, program)) {
      for (const PlannedAgent& agent : plan.agents) {
        for (std::size_t s = 0; s < agent.sections.size(); ++s) {
          for (const PlannedStep& step : agent.sections[s]) {
            if (step.is_mask && !config.mask_cost) continue;
            const std::int64_t times = executions(step, group, plan, s);
            if (times == 0) continue;
            const double n = static_cast<double>(times) * slabs;
            double useful = 0;
            if (step.kind == StepKind::mma)
              useful =
                  n * static_cast<double>(valid_rows(step, program, group.valid_rows)) / static_cast<double>(padded_rows(step, program));
            add_work(out, *step.step, n, useful);
            if (step.kind != StepKind::load && step.kind != StepKind::store) continue;
            const ir::Tensor& tensor = tensors[static_cast<std::size_t>(step.op->access.tensor)];
            const std::int64_t rows = step.op->whole_tile ? times * step.padded_rows : copied_rows(step, program, family, group, times);
            const double bytes =
                static_cast<double>(rows) * static_cast<double>(row_bytes(program, step.copied, tensor)) * slabs / step.sharers;
            out.l2_bytes += bytes;
            if (step.kind == StepKind::load) out.loaded_bytes += bytes;
            if (step.atomic) out.l2_read_to_add_bytes += bytes;
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
                             const Conditions& conditions, const MachineConfig& config, double loaded_bytes) {
  const double l2 = static_cast<double>(chip.l2_effective().count());
  double stored = 0;
  std::vector<double> loaded_of(tensors.size(), 0);  // by tensor
  std::vector<double> fetched_of(tensors.size(), 0);
  std::vector<Walked> walked;
  const std::array<const ir::Kernel*, 1> only{&kernel};
  const double footprint = touched_bytes(only, tensors);
  const auto in_flight = static_cast<double>(config.sms) * config.ctas_per_sm;
  const bool panels = walks_panels(kernel) && !kernel.random_trips;
  if (panels) {
    const PanelTraffic traffic = panel_traffic(kernel, tensors, static_cast<std::int64_t>(config.sms) * config.ctas_per_sm, l2);
    stored = traffic.stored;
    loaded_of = traffic.loaded;
    fetched_of = traffic.fetched;
  }
  std::vector<double> results(kernel.families.size(), 0);  // what each family stores
  std::vector<Visits> visits;                              // by family
  if (!panels) std::transform(kernel.families.begin(), kernel.families.end(), std::back_inserter(visits), visits_of);
  for (const ir::Agent& agent : kernel.program.agents) {
    if (panels) break;
    for (std::size_t s = 0; s < agent.sections.size(); ++s) {
      Brought brought;
      for (const ir::Op& op : agent.sections[s]) {
        const bool atomic = op.kind == ir::OpKind::atomic;
        if (op.kind != ir::OpKind::load && op.kind != ir::OpKind::store && !atomic) continue;
        const ir::Tensor& tensor = tensors[static_cast<std::size_t>(op.access.tensor)];
        const auto row =
            static_cast<double>(row_bytes(kernel.program, op.kind == ir::OpKind::load ? op.out.front() : op.in.front(), tensor));
        const bool again = op.kind == ir::OpKind::load && op.access.row_from == ir::RowFrom::trip && brought.covers(op.access, tensor, row);
        for (std::size_t f = 0; f < kernel.families.size(); ++f) {
          const ir::ItemFamily& family = kernel.families[f];
          const ir::TileId id = op.kind == ir::OpKind::load ? op.out.front() : op.in.front();
          const std::int64_t padded = kernel.program.padded(kernel.program.tiles[static_cast<std::size_t>(id)].rows);
          const ir::RowOrder* order =
              op.access.order == ir::kNone ? nullptr : &kernel.program.orders[static_cast<std::size_t>(op.access.order)];
          const bool grouped = order != nullptr && order->has_groups() && op.access.row_from == ir::RowFrom::trip;
          const auto [low, high, trips, longest, first_start, last_start, splits] =
              grouped ? visits_of_groups(family, *order, padded) : visits[f];
          const auto slabs = static_cast<double>(family.slab_count);
          double rows = 0;
          double rows_once = 0;
          if (op.access.row_from == ir::RowFrom::trip) {
            rows = static_cast<double>(trips * padded);
          } else {
            for (const ir::RowTile& tile : family.tiles) {
              const auto valid = static_cast<double>(std::min<std::int64_t>(padded, std::max<std::int64_t>(tile.rows, 1)));
              const std::int64_t times = times_in(tile, kernel.program.sections[s], op);
              rows += valid * static_cast<double>(times);
              rows_once += times > 0 ? valid : 0;
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
            results[f] += moved;
            continue;
          }
          const auto t = static_cast<std::size_t>(op.access.tensor);
          if (!atomic) loaded_of[t] += bytes;
          if (again) continue;
          if (op.access.row_from != ir::RowFrom::trip || high < 0) {
            const double from_hbm = stays ? std::min(moved, static_cast<double>(tensor.bytes().count())) : moved;
            fetched_of[t] += from_hbm;
            if (atomic) {
              stored += from_hbm;
              results[f] += from_hbm;
            }
            continue;
          }
          auto touched = static_cast<double>(std::min(std::min(high - low + 1, trips) * padded, family.loop_extent));
          if (order != nullptr && order->is_list()) touched = std::min(touched, static_cast<double>(tensor.rows));
          const double slab_bytes = touched * row;
          const double own = op.access.slab_period > 0 ? std::min<double>(slabs, op.access.slab_period) : slabs;
          const double distinct_slabs = std::max(1.0, own / op.access.slab_divisor);
          const auto tiles = static_cast<double>(family.tiles.size());
          const std::int64_t first_group = family.slab_begin / op.access.slab_divisor;
          const std::int64_t last_group = (family.slab_begin + family.slab_count - 1) / op.access.slab_divisor;
          const std::int64_t group = op.access.slab_period == 0 && first_group == last_group ? first_group : -1;
          const auto heads = std::min(slabs, static_cast<double>(op.access.slab_divisor));
          const bool side_by_side = kernel.grid.fastest == ir::Fastest::slabs || tiles * heads <= in_flight;
          const double in_step = side_by_side ? heads : 1;
          const double groups = groups_in_flight(kernel, family, op.access.slab_divisor, in_flight);
          const double shared_by =
              std::clamp(in_flight / groups / splits, 1.0, tiles / splits * static_cast<double>(op.access.slab_divisor));
          // Items of one length that start at the same row walk in step. Where lengths differ (from none to the longest, as causal ones
          // do: 1) or starts do (as those of a window), items in flight are apart by how much theirs do.
          const double longest_rows = static_cast<double>(longest * padded);
          const double varies = std::clamp(2 * (1 - rows / tiles / longest_rows), 0.0, 1.0);
          double tiles_in_flight = std::min(tiles / splits, shared_by);
          if (kernel.grid.fastest == ir::Fastest::slabs)  // the slabs of one row tile follow one another
            tiles_in_flight = std::clamp(in_flight / splits / slabs_in_flight(kernel.grid, family, in_flight), 1.0, tiles_in_flight);
          const bool in_order = kernel.grid.policy != ir::GridPolicy::lists;
          const double span = std::min(touched, longest_rows * splits + (tiles_in_flight - 1) * touched * splits / tiles);
          const double starts = std::min(1.0, static_cast<double>((last_start - first_start) * padded) / span);
          const double apart = !in_order ? 1 : splits > 1 ? 0 : std::max(varies, starts) * tiles_in_flight / tiles;
          constexpr double kStreams = 2;  // K and V advance together
          walked.push_back({bytes, distinct_slabs * slab_bytes, kStreams * groups * span * row, tiles / splits * slabs,
                            std::max(1.0, in_flight / splits), shared_by, apart, atomic, t, f, &op, in_step, group});
        }
      }
    }
  }
  // Heads of a group with masks of their own are families that follow one another: the first of them fetches.
  std::map<std::pair<const ir::Op*, std::int64_t>, double> most_of;
  for (const Walked& w : walked) {
    // What is stored between two walks over the same rows passes through L2.
    const double passing = w.held + results[w.family] / w.walks * std::min(w.in_flight, w.walks);
    const bool fits = passing <= l2;
    // Items that are less apart than L2 holds find what the first of them fetched; others find the part that L2 holds of all.
    const double fetches = w.apart * passing <= l2 ? w.bytes / w.shared_by : w.bytes * (1 - l2 / passing);
    const double in_order = fits ? std::min(w.bytes, w.once) : std::max(w.once, fetches);
    const double from_hbm = kernel.random_trips ? fetched_at_random(w, walked, l2) : in_order;
    double& most = most_of[{w.op, w.group}];
    const double beyond = w.group >= 0 && fits ? std::max(0.0, from_hbm - most) : from_hbm;
    most = std::max(most, from_hbm);
    fetched_of[w.tensor] += beyond;
    if (w.atomic) stored += beyond;
  }
  Residency out;
  const bool resident = conditions.l2_start(footprint, l2) == L2Start::warm && footprint <= l2;
  const bool no_hits = conditions.without.count("l2_hits") != 0;
  if (footprint <= l2) {  // what earlier kernels wrote is still there
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      // Heads with masks of their own are families of their own, which share rows.
      const double once = static_cast<double>(tensors[t].bytes().count());
      fetched_of[t] = tensors[t].role == ir::TensorRole::intermediate ? 0 : std::min(fetched_of[t], once);
    }
  }
  if (no_hits) fetched_of = loaded_of;
  if (resident) std::fill(fetched_of.begin(), fetched_of.end(), 0.0);
  for (std::size_t t = 0; t < tensors.size(); ++t)
    out.tensor_hits.push_back(loaded_of[t] > 0 ? std::clamp(1 - fetched_of[t] / loaded_of[t], 0.0, 1.0) : 1);
  double loaded = std::accumulate(loaded_of.begin(), loaded_of.end(), 0.0);
  double fetched = std::accumulate(fetched_of.begin(), fetched_of.end(), 0.0);
  if (loaded_bytes > 0) {  // padding rows are not loaded
    loaded = loaded_bytes;
    fetched = std::min(fetched, loaded);
  }
  out.hit_fraction = loaded > 0 ? std::clamp(1 - fetched / loaded, 0.0, 1.0) : 0;
  if (!no_hits) stored += config.dirty_share * std::min(l2, fetched + stored);
  out.hbm_written_bytes = resident ? 0 : stored;
  out.hbm_bytes = fetched + out.hbm_written_bytes;
  out.hbm_read_equivalent_bytes = fetched + (resident ? 0 : stored * config.hbm_write_cost);
  return out;
}

}  // namespace attnsim
