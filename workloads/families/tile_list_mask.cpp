// SPDX-License-Identifier: Apache-2.0
// Mask code as ops of a kernel.
#include <algorithm>
#include <limits>

#include "workloads/families/tile_list_fused.h"

namespace attnsim {

namespace {

// Results that nothing but a select reads lie in one tile.
bool only_kept(const MaskCode& code, std::size_t n) {
  const int id = static_cast<int>(n);
  const MaskInstruction& i = code.instructions[n];
  if (!i.predicate || !i.by_row || !i.by_column) return false;
  if (std::find(code.keeps.begin(), code.keeps.end(), id) == code.keeps.end()) return false;
  return std::none_of(code.instructions.begin(), code.instructions.end(),
                      [&](const MaskInstruction& reader) { return std::find(reader.in.begin(), reader.in.end(), id) != reader.in.end(); });
}

bool is_query_load(const MaskInstruction& i) {
  return i.kind == ir::OpKind::load && i.by_row && !i.by_column;
}

ir::Op op_of(const MaskInstruction& i, const TileListPlan& plan, const TileListTensors& tensors, const std::vector<ir::TileId>& tiles,
             ir::TileId out, int row_offset) {
  ir::Op op;
  op.kind = i.kind;
  op.fn = i.fn;
  op.out = {out};
  for (const int in : i.in) op.in.push_back(tiles[static_cast<std::size_t>(in)]);
  op.scalar = i.scalar;
  op.relation = i.relation;
  // What depends on the item alone, as coordinates of its rows, is worked out ahead of the loop.
  op.immediate = i.immediate || (i.by_item && !i.by_trip && !i.by_column);
  op.share = i.share;
  if (i.kind != ir::OpKind::load) return op;
  const int kv_tiles = static_cast<int>(plan.loop_tiles);
  if (i.by_row) {
    op.access = rows_access(tensors.pairs.at(static_cast<std::size_t>(i.table)), row_offset);
    op.access.slab_multiplier = kv_tiles;
  } else {
    op.access.tensor = tensors.key_values.at(static_cast<std::size_t>(i.table));
    op.access.slab_divisor = plan.slabs_per_entry;
    op.access.slab_multiplier = plan.ragged ? kv_tiles : 0;
  }
  op.access.add_trip = true;
  return op;
}

}  // namespace

std::vector<ir::TileId> code_tiles(ProgramBuilder& b, const MaskCode& code, ir::AxisId rows, ir::AxisId kv, int agent,
                                   const std::string& name, const std::string& suffix) {
  std::vector<ir::TileId> tiles;
  ir::TileId keep = ir::kNone;
  const auto any = [&](bool MaskInstruction::*what) {
    return std::any_of(code.instructions.begin(), code.instructions.end(), [what](const MaskInstruction& i) { return i.*what; });
  };
  const ir::AxisId trip = any(&MaskInstruction::by_trip) ? b.trip_columns("trip" + suffix, 1) : ir::kUnit;
  const ir::AxisId item = any(&MaskInstruction::by_item) ? b.first_row("item" + suffix, rows) : ir::kUnit;
  const ir::AxisId place = any(&MaskInstruction::immediate) ? b.fixed("column" + suffix, b.padded(kv), b.padded(kv)) : ir::kUnit;
  for (std::size_t n = 0; n < code.instructions.size(); ++n) {
    const MaskInstruction& i = code.instructions[n];
    if (only_kept(code, n)) {
      if (keep == ir::kNone) keep = b.registers("keep" + suffix, rows, kv, ir::DType::pred, agent);
      tiles.push_back(keep);
      continue;
    }
    tiles.push_back(b.registers(name + std::to_string(n) + suffix,
                                i.by_row    ? rows
                                : i.by_item ? item
                                            : ir::kUnit,
                                i.by_column   ? kv
                                : i.immediate ? place
                                : i.by_trip   ? trip
                                              : ir::kUnit,
                                i.predicate ? ir::DType::pred : ir::DType::i32, agent));
  }
  return tiles;
}

ops::Ops code_ops(const TileListPlan& plan, const TileListTensors& tensors, const MaskCode& code, const std::vector<ir::TileId>& tiles,
                  int row_offset) {
  ops::Ops list;
  for (std::size_t n = 0; n < code.instructions.size(); ++n) {
    const MaskInstruction& i = code.instructions[n];
    if (!is_query_load(i)) list.push_back(op_of(i, plan, tensors, tiles, tiles[n], row_offset));
  }
  return list;
}

std::vector<ir::TileId> mask_tiles(ProgramBuilder& b, const TileListPlan& plan, ir::AxisId rows, ir::AxisId kv, int agent,
                                   const std::string& suffix) {
  return code_tiles(b, plan.code, rows, kv, agent, "test", suffix);
}

ops::Ops mask_start(const TileListPlan& plan, const TileListTensors& tensors, const std::vector<ir::TileId>& tiles, int row_offset) {
  ops::Ops list;
  for (std::size_t n = 0; n < plan.code.instructions.size(); ++n) {
    const MaskInstruction& i = plan.code.instructions[n];
    if (!is_query_load(i)) continue;
    ir::Access from = rows_access(tensors.query_values.at(static_cast<std::size_t>(i.table)), row_offset);
    from.slab_divisor = plan.slabs_per_entry;
    from.slab_multiplier = plan.ragged ? 1 : 0;
    list.push_back(ops::load(tiles[n], from, ir::CopyKind::plain));
  }
  return ops::with_role(list, "load_test");
}

ops::Ops mask_ops(const TileListPlan& plan, const TileListTensors& tensors, const std::vector<ir::TileId>& tiles, ir::TileId s,
                  int row_offset) {
  ops::Ops list;
  const auto& code = plan.code;
  for (std::size_t n = 0; n < code.instructions.size(); ++n) {
    const MaskInstruction& i = code.instructions[n];
    if (!is_query_load(i)) list.push_back(ops::when(plan.mask_when, op_of(i, plan, tensors, tiles, tiles[n], row_offset)));
    if (std::find(code.keeps.begin(), code.keeps.end(), static_cast<int>(n)) == code.keeps.end()) continue;
    list.push_back(ops::when(plan.mask_when, ops::select(s, tiles[n], -std::numeric_limits<double>::infinity(), s)));
  }
  return list;
}

}  // namespace attnsim
