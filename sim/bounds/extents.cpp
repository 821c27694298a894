// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/extents.h"

#include <algorithm>

#include "sim/core/error.h"

namespace attnsim::bounds {

namespace {

using ir::AxisKind;
using ir::When;

const ir::Axis* axis_of(const ir::Program& program, ir::AxisId id) {
  return id == ir::kUnit ? nullptr : &program.axes.at(static_cast<std::size_t>(id));
}

const ir::Tile& tile_of(const ir::Program& program, ir::TileId id) {
  return program.tiles.at(static_cast<std::size_t>(id));
}

ir::TripRuns without_first(ir::TripRuns runs) {
  const auto run = std::find_if(runs.begin(), runs.end(), [](const ir::TripRun& r) { return r.count > 0; });
  if (run != runs.end()) {
    run->first += run->step;
    --run->count;
  }
  return runs;
}

ir::TripRuns only_first(const ir::TripRuns& runs) {
  for (const ir::TripRun& run : runs) {
    if (run.count > 0) return {ir::TripRun{run.first, 1, run.step, run.partial}};
  }
  return {};
}

ir::TripRuns only_last(const ir::TripRuns& runs) {
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    if (run->count > 0) return {ir::TripRun{run->first + (run->count - 1) * run->step, 1, run->step, run->partial}};
  }
  return {};
}

ir::TripRuns only(const ir::TripRuns& runs, bool partial) {
  ir::TripRuns kept;
  std::copy_if(runs.begin(), runs.end(), std::back_inserter(kept), [&](const ir::TripRun& r) { return r.partial == partial; });
  return kept;
}

// Kept pairs of the whole row tile in the trips for which `when` holds.
double kept_pairs(const ItemView& item, const ir::Section& section, When when, const ir::TripRuns& acting, int columns) {
  const auto kept = static_cast<double>(item.tile->kept);
  const auto rows = static_cast<double>(item.tile->rows);
  const auto pairs = [&](const ir::TripRuns& runs) { return rows * sum_of_valid_columns(runs, item.family->loop_extent, {&columns, 1}); };
  if (when == When::full_trip || when == When::partial_trip) {
    const double full = std::min(kept, pairs(acting_runs(*item.tile, section, When::full_trip)));
    return when == When::full_trip ? full : kept - full;
  }
  const double all = pairs(item.tile->runs);
  return all > 0 ? kept * pairs(acting) / all : 0;
}

}  // namespace

ir::TripRuns acting_runs(const ir::RowTile& tile, const ir::Section& section, When when) {
  if (when == When::item_flag && !tile.flag) return {};
  if (when == When::not_item_flag && tile.flag) return {};
  if (section.kind == ir::SectionKind::once) return {ir::TripRun{0, 1, 1, false}};
  const ir::TripRuns runs = section.trips == ir::TripSource::runs ? tile.runs : ir::TripRuns{ir::TripRun{0, tile.peers, 1, false}};
  switch (when) {
    case When::first_trip: return only_first(runs);
    case When::not_first_trip: return without_first(runs);
    case When::last_trip: return only_last(runs);
    case When::partial_trip: return only(runs, true);
    case When::full_trip: return only(runs, false);
    case When::always:
    case When::item_flag:
    case When::not_item_flag:
    case When::last_arriver: return runs;
  }
  throw Invariant("unknown condition");
}

double trip_count(const ir::TripRuns& runs) {
  std::int64_t count = 0;
  for (const ir::TripRun& run : runs) count += run.count;
  return static_cast<double>(count);
}

double acting_trips(const ir::RowTile& tile, const ir::Section& section, When when) {
  if ((when == When::item_flag && !tile.flag) || (when == When::not_item_flag && tile.flag)) return 0;
  if (section.kind == ir::SectionKind::once) return 1;
  const bool over_runs = section.trips == ir::TripSource::runs;
  const std::int64_t all = over_runs ? tile.trips() : tile.peers;
  const std::int64_t partial = over_runs ? tile.partial_trips() : 0;
  switch (when) {
    case When::first_trip:
    case When::last_trip: return all > 0 ? 1 : 0;
    case When::not_first_trip: return static_cast<double>(std::max<std::int64_t>(0, all - 1));
    case When::partial_trip: return static_cast<double>(partial);
    case When::full_trip: return static_cast<double>(all - partial);
    case When::always:
    case When::item_flag:
    case When::not_item_flag:
    case When::last_arriver: return static_cast<double>(all);
  }
  throw Invariant("unknown condition");
}

double sum_of_valid_columns(const ir::TripRuns& runs, std::int64_t loop_extent, std::span<const int> padded) {
  if (padded.empty()) return trip_count(runs);
  const auto product = [&](std::int64_t visited) {
    double value = 1;
    for (const int columns : padded) {
      value *= static_cast<double>(std::clamp<std::int64_t>(loop_extent - visited * columns, 0, columns));
    }
    return value;
  };
  const int widest = *std::max_element(padded.begin(), padded.end());
  const std::int64_t full_below = loop_extent / widest;  // visited tiles below are full on every axis
  double sum = 0;
  for (const ir::TripRun& run : runs) {
    if (run.count <= 0) continue;
    // Turn the run upwards; tiles beyond the full ones are few and taken one by one.
    const std::int64_t stride = run.step < 0 ? -run.step : std::max(run.step, 1);
    const std::int64_t low = run.step < 0 ? run.first + (run.count - 1) * run.step : run.first;
    const std::int64_t full = std::clamp<std::int64_t>((full_below - low + stride - 1) / stride, 0, run.count);
    if (full > 0) sum += static_cast<double>(full) * product(low);
    for (std::int64_t i = full; i < run.count; ++i) {
      const double value = product(low + i * stride);
      if (value == 0) break;
      sum += value;
    }
  }
  return sum;
}

std::int64_t valid_rows(const ir::Axis& axis, const ir::RowTile& tile) {
  return std::clamp<std::int64_t>(tile.rows - axis.row_offset, 0, axis.padded);
}

SmallVector<ir::AxisId, 3> iteration_axes(const ir::Program& program, const ir::Op& op) {
  if (op.kind == ir::OpKind::mma) {
    const ir::Tile& a = tile_of(program, op.in.at(0));
    const ir::Tile& out = tile_of(program, op.out.at(0));
    return {out.rows, out.cols, op.a_transposed ? a.rows : a.cols};
  }
  const bool by_operand = op.kind == ir::OpKind::reduce_row || op.kind == ir::OpKind::reduce_col || op.out.empty();
  if (by_operand && op.in.empty()) return {};
  const ir::Tile& shape = tile_of(program, by_operand ? op.in.at(0) : op.out.at(0));
  return {shape.rows, shape.cols};
}

bool spans_loop(const ir::Program& program, const ir::Op& op) {
  const SmallVector<ir::AxisId, 3> axes = iteration_axes(program, op);
  return std::any_of(axes.begin(), axes.end(), [&](ir::AxisId id) {
    const ir::Axis* axis = axis_of(program, id);
    return axis != nullptr && axis->kind == AxisKind::trip_cols;
  });
}

OpExtent op_extent(const ir::Program& program, const ir::Section& section, const ir::Op& op, const ItemView& item) {
  const ir::TripRuns acting = acting_runs(*item.tile, section, op.when);
  OpExtent extent{trip_count(acting), 1};
  SmallVector<int, 2> columns;
  const ir::Axis* rows = nullptr;
  int row_axes = 0;
  for (const ir::AxisId id : iteration_axes(program, op)) {
    extent.padded *= program.padded(id);
    const ir::Axis* axis = axis_of(program, id);
    if (axis == nullptr) continue;
    if (axis->kind == AxisKind::fixed) extent.useful *= axis->valid;
    if (axis->kind == AxisKind::trip_cols) columns.push_back(axis->padded);
    if (axis->kind == AxisKind::item_rows) {
      rows = axis;
      ++row_axes;
      extent.useful *= static_cast<double>(valid_rows(*axis, *item.tile));
    }
  }
  const bool over_runs = section.kind == ir::SectionKind::loop && section.trips == ir::TripSource::runs;
  if (over_runs && row_axes == 1 && columns.size() == 1) {
    if (item.tile->rows == 0 || valid_rows(*rows, *item.tile) == 0) return {extent.padded / op.parts, 0};
    extent.useful *= kept_pairs(item, section, op.when, acting, columns[0]) / static_cast<double>(item.tile->rows);
  } else {
    extent.useful *= sum_of_valid_columns(acting, item.family->loop_extent, {columns.data(), columns.size()});
  }
  return {extent.padded / op.parts, extent.useful / op.parts};
}

ir::TileId copied_tile(const ir::Op& op) {
  const bool writes_global = op.kind == ir::OpKind::store || op.kind == ir::OpKind::scatter || op.kind == ir::OpKind::atomic;
  return writes_global ? op.in.at(0) : op.out.at(0);
}

double copy_bytes(const ir::Program& program, const ir::Section& section, const ir::Op& op, const std::vector<ir::Tensor>& tensors,
                  const ItemView& item) {
  const ir::Tile& tile = tile_of(program, copied_tile(op));
  const ir::Tensor& tensor = tensors.at(static_cast<std::size_t>(op.access.tensor));
  double rows = 1;
  SmallVector<int, 2> columns;
  if (const ir::Axis* axis = axis_of(program, tile.rows)) {
    if (axis->kind == AxisKind::fixed) rows = axis->valid;
    if (axis->kind == AxisKind::item_rows) rows = static_cast<double>(valid_rows(*axis, *item.tile));
    if (axis->kind == AxisKind::trip_cols) columns.push_back(axis->padded);
  }
  double width = 1;
  if (const ir::Axis* axis = axis_of(program, tile.cols)) {
    if (axis->kind == AxisKind::fixed) width = static_cast<double>(std::min<std::int64_t>(axis->valid, tensor.cols));
    if (axis->kind == AxisKind::item_rows) width = static_cast<double>(valid_rows(*axis, *item.tile));
    if (axis->kind == AxisKind::trip_cols) columns.push_back(axis->padded);
  }
  const ir::TripRuns acting = acting_runs(*item.tile, section, op.when);
  return rows * width * sum_of_valid_columns(acting, item.family->loop_extent, {columns.data(), columns.size()}) *
         ir::bits_of(tensor.dtype) / 8.0;
}

}  // namespace attnsim::bounds
