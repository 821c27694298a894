// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "sim/ir/op_text.h"
#include "sim/ir/pipeline.h"

namespace attnsim::ir {

namespace {

std::string axis_name(const Program& p, AxisId axis) {
  return axis == kUnit ? "1" : p.axes[static_cast<std::size_t>(axis)].name;
}
const std::string& tile_name(const Program& p, TileId id) {
  return p.tiles[static_cast<std::size_t>(id)].name;
}
const std::string& token_name(const Program& p, TokenId id) {
  return p.tokens[static_cast<std::size_t>(id)].name;
}

std::string number(double v) {
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  return fmt::format("{:.6g}", v);
}

std::string operands(const Program& p, const Op& op) {
  std::string text;
  for (const TileId id : op.in) text += (text.empty() ? "" : ", ") + tile_name(p, id);
  if (op.scalar) text += (text.empty() ? "" : ", ") + number(*op.scalar);
  return text;
}

std::string results(const Program& p, const Op& op) {
  std::string text;
  for (const TileId id : op.out) text += (text.empty() ? "" : ", ") + tile_name(p, id);
  return text;
}

std::string place(const Access& a, const std::vector<Tensor>& tensors) {
  std::string slab;
  if (a.slab_multiplier != 0) {
    slab = "slab";
    if (a.slab_period != 0) slab += fmt::format("%{}", a.slab_period);
    if (a.slab_divisor != 1) slab += fmt::format("/{}", a.slab_divisor);
    if (a.slab_multiplier != 1) slab += fmt::format("*{}", a.slab_multiplier);
  }
  if (a.add_split) slab += slab.empty() ? "split" : "+split";
  if (a.add_trip) slab += slab.empty() ? "trip" : "+trip";
  if (slab.empty()) slab = "0";
  std::string row = a.row_from == RowFrom::item ? "item" : a.row_from == RowFrom::trip ? "trip" : "0";
  if (a.row_offset != 0) row += fmt::format("+{}", a.row_offset);
  if (a.order != kNone) row = fmt::format("at place {} of order{}", row, a.order);
  if (a.row_group > 1) row += fmt::format(" over {} slabs", a.row_group);
  if (a.column_begin != 0) row += fmt::format(", column {}", a.column_begin);
  const auto id = static_cast<std::size_t>(a.tensor);
  return fmt::format("{}[{}, row {}]", id < tensors.size() ? tensors[id].name : fmt::format("#{}", a.tensor), slab, row);
}

std::string linear_form(const Relation& r) {
  std::string text;
  const auto term = [&text](std::int64_t coefficient, const std::string& what) {
    if (coefficient == 0) return;
    if (text.empty()) {
      text = coefficient < 0 ? "-" : "";
    } else {
      text += coefficient < 0 ? " - " : " + ";
    }
    const std::int64_t size = coefficient < 0 ? -coefficient : coefficient;
    text += what.empty() ? fmt::format("{}", size) : size == 1 ? what : fmt::format("{} {}", size, what);
  };
  term(r.row_coefficient, r.row_group == 1 ? "row" : fmt::format("row/{}", r.row_group));
  term(r.col_coefficient, "col");
  term(r.extent_coefficient, "extent");
  term(r.shift_coefficient, "shift");
  if (r.parameter != kNone) term(1, fmt::format("parameter{}", r.parameter));
  term(r.offset, "");
  return text.empty() ? "0" : text;
}

std::string action(const Program& p, const Op& op, const std::vector<Tensor>& tensors) {
  switch (op.kind) {
    case OpKind::load:
    case OpKind::gather:
      return fmt::format("{} = {} {} {}{}", results(p, op), info(op.kind).name, name_of(op.copy), place(op.access, tensors),
                         op.pair ? ", half per CTA of a pair" : "");
    case OpKind::atomic:
      return fmt::format("{} {} {} {} to {}", info(op.kind).name, name_of(op.fn), name_of(op.copy), operands(p, op),
                         place(op.access, tensors));
    case OpKind::store:
    case OpKind::scatter:
      return fmt::format("{} {} {} to {}", info(op.kind).name, name_of(op.copy), operands(p, op), place(op.access, tensors));
    case OpKind::mma: {
      const auto side = [&](std::size_t i, bool transposed) { return tile_name(p, op.in.at(i)) + (transposed ? "^T" : ""); };
      return fmt::format("{} {} mma {} {} {}", results(p, op), op.accumulate ? "+=" : "=", name_of(op.mma), side(0, op.a_transposed),
                         side(1, op.b_transposed)) +
             (op.pair ? " in pairs of CTAs" : "") + (op.warp_columns > 1 ? fmt::format(" with {} columns of warps", op.warp_columns) : "");
    }
    case OpKind::unary:
    case OpKind::binary: return fmt::format("{} = {}({})", results(p, op), name_of(op.fn), operands(p, op));
    case OpKind::reduce_row:
    case OpKind::reduce_col: return fmt::format("{} = {} {}({})", results(p, op), info(op.kind).name, name_of(op.fn), operands(p, op));
    case OpKind::compare: return fmt::format("{} = compare({} >= 0)", results(p, op), linear_form(op.relation));
    case OpKind::iota: return fmt::format("{} = iota({})", results(p, op), linear_form(op.relation));
    case OpKind::signal: return fmt::format("signal {}", token_name(p, op.token)) + (op.in.empty() ? "" : " after " + operands(p, op));
    case OpKind::await: return fmt::format("await {}", token_name(p, op.token)) + (op.distance ? fmt::format(" - {}", op.distance) : "");
    default: return fmt::format("{} = {}({})", results(p, op), info(op.kind).name, operands(p, op));
  }
}

std::string trips_of(const TripRun& r) {
  std::string text = r.count == 1 ? fmt::format("{}", r.first) : fmt::format("{}..{}", r.first, r.first + (r.count - 1) * r.step);
  if (r.count > 1 && r.step != 1 && r.step != -1) text += fmt::format(" by {}", r.step);
  return text + (r.partial ? " partial" : "");
}

std::string items_text(const Kernel& kernel) {
  std::string text;
  for (const ItemFamily& f : kernel.families) {
    text += fmt::format("  items slabs {}..{}, columns {}\n", f.slab_begin, f.slab_begin + f.slab_count - 1, f.loop_extent);
    if (f.shift != 0) text.insert(text.size() - 1, fmt::format(", shift {}", f.shift));
    if (!f.parameters.empty()) text.insert(text.size() - 1, fmt::format(", parameters {}", fmt::join(f.parameters, " ")));
    for (const RowTile& t : f.tiles) {
      text += fmt::format("    rows {}..{}", t.row_begin, t.row_begin + t.rows - 1);
      if (t.split != 0) text += fmt::format(" split {}", t.split);
      if (t.peers != 0) text += fmt::format(" peers {}", t.peers);
      if (t.flag) text += " flag";
      text += ": trips";
      for (std::size_t r = 0; r < t.runs.size(); ++r) text += (r ? ", " : " ") + trips_of(t.runs[r]);
      text += t.runs.empty() ? " none\n" : "\n";
    }
  }
  return text;
}

std::string grid_text(const Grid& g) {
  constexpr std::array<std::string_view, 4> kPolicy{"one_item_per_cta", "persistent_static", "persistent_dynamic", "lists"};
  std::string text = fmt::format("  grid {}", kPolicy.at(static_cast<std::size_t>(g.policy)));
  text += g.tile_order == TileOrder::descending ? ", tiles descending" : "";
  text += g.fastest == Fastest::slabs ? ", slabs fastest" : "";
  if (g.section_slabs > 0) text += fmt::format(" in sections of {}", g.section_slabs);
  if (g.interleave > 1) text += fmt::format(", slabs interleaved by {}", g.interleave);
  if (g.cluster > 1) text += fmt::format(", clusters of {}", g.cluster);
  if (g.cluster_tiles > 1) text += fmt::format(", {} tiles together", g.cluster_tiles);
  if (g.programmatic_launch) text += ", programmatic launch";
  text += "\n";
  for (std::size_t c = 0; c < g.lists.size(); ++c) {
    text += fmt::format("    cta {}: items", c);
    for (const std::int64_t item : g.lists[c]) text += fmt::format(" {}", item);
    text += "\n";
  }
  return text;
}

std::string reads_text(const Kernel& kernel) {
  std::string text;
  if (kernel.random_trips) text += "  items visit loop tiles at random\n";
  if (kernel.scatter.piece_bytes > 0)
    text += fmt::format("  reads pieces of {:.0f} bytes all over {:.0f} bytes\n", kernel.scatter.piece_bytes, kernel.scatter.spread_bytes);
  if (kernel.scattered_writes) text += "  stores pieces all over a cache\n";
  if (kernel.request_bytes > 0) text += fmt::format("  copies ask for {} bytes of a row at a time\n", kernel.request_bytes);
  return text;
}

std::string tile_text(const Program& p, const Tile& t) {
  constexpr std::array<std::string_view, 3> kSpace{"smem", "registers", "tmem"};
  std::string space(kSpace.at(static_cast<std::size_t>(t.space)));
  if (t.agent != kNone && t.space == Space::registers) space += " of " + p.agents.at(static_cast<std::size_t>(t.agent)).name;
  std::string text =
      fmt::format("  tile {}: [{} x {}] {} in {}", t.name, axis_name(p, t.rows), axis_name(p, t.cols), name_of(t.dtype), space);
  if (t.stages > 1) text += fmt::format(", {} stages", t.stages);
  if (t.borrowed_slots > 0) text += fmt::format(", {} of them borrowed", t.borrowed_slots);
  if (t.slice_cols > 0) text += fmt::format(", {} columns at a time", t.slice_cols);
  if (t.alias_of != kNone) text += ", in the storage of " + tile_name(p, t.alias_of);
  if (t.view_of != kNone) text += fmt::format(", view of {} from column {}", tile_name(p, t.view_of), t.view_column);
  if (t.shared_by > 1) text += fmt::format(", held by {} CTAs", t.shared_by);
  return text + "\n";
}

std::string axis_text(const Axis& a) {
  switch (a.kind) {
    case AxisKind::fixed:
      return fmt::format("  axis {}: {}{}\n", a.name, a.padded, a.valid == a.padded ? "" : fmt::format(", {} valid", a.valid));
    case AxisKind::item_rows:
      return fmt::format("  axis {}: {} rows of the item{}\n", a.name, a.padded, a.row_offset ? fmt::format(" from {}", a.row_offset) : "");
    case AxisKind::trip_cols: return fmt::format("  axis {}: {} columns of the trip\n", a.name, a.padded);
  }
  return {};
}

}  // namespace

std::string op_text(const Program& program, const Op& op, const std::vector<Tensor>& tensors) {
  std::string text = action(program, op, tensors);
  if (!op.completes.empty()) {
    text += " ->";
    for (const TokenId id : op.completes) text += " " + token_name(program, id);
  }
  if (op.when == When::last_arriver) {
    text += " if last_arriver of " + token_name(program, op.token);
  } else if (op.when != When::always) {
    text += fmt::format(" if {}", name_of(op.when));
  }
  if (op.parts > 1) text += fmt::format(", part {} of {}", op.part + 1, op.parts);
  if (op.tmem_rounds != 1) text += fmt::format(", {:g} reads of tensor memory in turn", op.tmem_rounds);
  if (op.share != 1) text += fmt::format(", acts in {:g} of all", op.share);
  if (op.by_steps) text += ", by steps";
  if (op.whole_tile) text += ", whole tile";
  if (op.until_seen) text += ", until all see it";
  if (op.immediate) text += ", known to the compiler";
  if (op.precise) text += ", precise";
  if (op.polynomial > 0) text += fmt::format(", {:g} as polynomial", op.polynomial);
  return text;
}

std::string to_text(const Program& p, const std::vector<Tensor>& tensors) {
  std::string text;
  for (const Axis& a : p.axes) text += axis_text(a);
  for (const Tile& t : p.tiles) text += tile_text(p, t);
  for (const Token& t : p.tokens) {
    text += fmt::format("  token {}: {}", t.name, name_of(t.scope));
    if (t.arrivals != 1) text += fmt::format(", {} arrivals", t.arrivals);
    if (t.initial_count != 0) text += fmt::format(", starts at {}", t.initial_count);
    text += "\n";
  }
  for (std::size_t i = 0; i < p.orders.size(); ++i) {
    const RowOrder& o = p.orders[i];
    if (o.is_list()) {
      text += fmt::format("  order{}: list of {} places, of {} rows\n", i, o.places(), o.rows());
      continue;
    }
    text += fmt::format("  order{}: rows of {} in tiles of {}, dilation {}", i, fmt::join(o.length(), "x"), fmt::join(o.tile(), "x"),
                        fmt::join(o.dilation(), "x"));
    if (o.has_groups()) {
      std::vector<std::size_t> groups;
      std::vector<std::int64_t> tiles;
      for (const RowOrder::TileGroups& axis : o.groups()) {
        groups.push_back(axis.begins.front().size());
        tiles.push_back(axis.tiles);
      }
      text += fmt::format(", in {} groups of {} that begin anywhere", fmt::join(groups, "x"), fmt::join(tiles, "x"));
    }
    text += "\n";
  }
  for (const Agent& a : p.agents) {
    text += fmt::format("  agent {}: {} warp{}, {} registers{}\n", a.name, a.warps, a.warps == 1 ? "" : "s", a.registers_per_thread,
                        a.interleaved ? ", interleaved" : "");
    for (std::size_t s = 0; s < a.sections.size(); ++s) {
      if (a.sections[s].empty()) continue;
      const Section& section = p.sections.at(s);
      const std::string_view kind = section.kind == SectionKind::once   ? "once"
                                    : section.trips == TripSource::runs ? "loop over trips"
                                                                        : "loop over peers";
      text += fmt::format("    {} ({})\n", section.name, kind);
      for (const Op& op : a.sections[s]) {
        const std::string trip = section.kind == SectionKind::once ? "" : op.skew ? fmt::format("t-{} ", op.skew) : "t   ";
        text += fmt::format("      {}{:<10} {}\n", trip, op.role, op_text(p, op, tensors));
      }
    }
  }
  return text;
}

std::string to_text(const Pipeline& pipeline) {
  std::string text = fmt::format("pipeline {}\n", pipeline.name());
  constexpr std::array<std::string_view, 3> kRole{"input", "output", "intermediate"};
  for (const Tensor& t : pipeline.tensors()) {
    text += fmt::format("tensor {}: {} slabs [{} x {}] {} {}", t.name, t.slabs, t.rows, t.cols, name_of(t.dtype),
                        kRole.at(static_cast<std::size_t>(t.role)));
    if (t.same_memory != kNone)
      text += fmt::format(", the memory of {}", pipeline.tensors().at(static_cast<std::size_t>(t.same_memory)).name);
    if (t.column_parts > 1) text += fmt::format(", {} column parts", t.column_parts);
    text += "\n";
  }
  for (const Node& node : pipeline.nodes()) {
    const std::string stream = node.stream ? fmt::format(" on stream {}", node.stream) : "";
    if (const auto* kernel = std::get_if<Kernel>(&node.work)) {
      text += fmt::format("kernel {}{}\n", kernel->name, stream) + items_text(*kernel) + grid_text(kernel->grid) + reads_text(*kernel) +
              to_text(kernel->program, pipeline.tensors());
    } else if (const auto* transfer = std::get_if<Transfer>(&node.work)) {
      text += fmt::format("transfer {}{}: {} bytes over {} ranks\n", transfer->name, stream, transfer->bytes.count(), transfer->ranks);
    } else {
      text += fmt::format("host gap {}{}: {:.0f} ns\n", node.name(), stream, std::get<HostGap>(node.work).time.count());
    }
  }
  return text;
}

}  // namespace attnsim::ir
