// SPDX-License-Identifier: Apache-2.0
#include "sim/value/instance.h"

#include <algorithm>

#include "sim/core/error.h"

namespace attnsim::value {

std::int64_t Instance::first_row(const ir::Program& program, ir::AxisId axis) const {
  if (axis == ir::kUnit) return 0;
  const ir::Axis& a = program.axes[static_cast<std::size_t>(axis)];
  switch (a.kind) {
    case ir::AxisKind::fixed: return 0;
    case ir::AxisKind::item_rows: return item.tile->row_begin + a.row_offset;
    case ir::AxisKind::trip_cols: return in_runs ? visited * a.padded : 0;
  }
  return 0;
}

std::int64_t Instance::valid(const ir::Program& program, ir::AxisId axis) const {
  if (axis == ir::kUnit) return 1;
  const ir::Axis& a = program.axes[static_cast<std::size_t>(axis)];
  const auto clamp = [&a](std::int64_t n) { return std::clamp<std::int64_t>(n, 0, a.padded); };
  switch (a.kind) {
    case ir::AxisKind::fixed: return a.valid;
    case ir::AxisKind::item_rows: return clamp(item.tile->rows - a.row_offset);
    case ir::AxisKind::trip_cols: return in_runs ? clamp(item.family->loop_extent - visited * a.padded) : a.padded;
  }
  return 0;
}

Visit visit(const ir::RowTile& tile, std::int64_t trip) {
  for (const ir::TripRun& run : tile.runs) {
    if (trip < run.count) return {run.first + trip * run.step, run.partial};
    trip -= run.count;
  }
  throw Invariant("trip beyond the runs of its row tile");
}

std::int64_t trips_of(const ir::Section& section, const ir::RowTile& tile) {
  if (section.kind == ir::SectionKind::once) return 1;
  return section.trips == ir::TripSource::runs ? tile.trips() : tile.peers;
}

Instance make_instance(const ir::Kernel& kernel, int agent, int section, int position, std::int64_t item_position, const ir::Item& item,
                       std::int64_t trip) {
  const auto a = static_cast<std::size_t>(agent);
  const auto s = static_cast<std::size_t>(section);
  const ir::Section& where = kernel.program.sections.at(s);
  Instance i;
  i.op = &kernel.program.agents.at(a).sections.at(s).at(static_cast<std::size_t>(position));
  i.agent = agent;
  i.section = section;
  i.position = position;
  i.item_position = item_position;
  i.item = item;
  i.in_loop = where.kind == ir::SectionKind::loop;
  i.in_runs = i.in_loop && where.trips == ir::TripSource::runs;
  i.trip = trip;
  i.visited = i.in_runs ? visit(*item.tile, trip).tile : trip;
  return i;
}

bool acts(const Instance& i, std::int64_t trips) {
  switch (i.op->when) {
    case ir::When::always:
    case ir::When::last_arriver: return true;
    case ir::When::first_trip: return i.trip == 0;
    case ir::When::not_first_trip: return i.trip != 0;
    case ir::When::last_trip: return i.trip == trips - 1;
    case ir::When::partial_trip: return i.in_runs && visit(*i.item.tile, i.trip).partial;
    case ir::When::full_trip: return !i.in_runs || !visit(*i.item.tile, i.trip).partial;
    case ir::When::item_flag: return i.item.tile->flag;
    case ir::When::not_item_flag: return !i.item.tile->flag;
  }
  return true;
}

}  // namespace attnsim::value
