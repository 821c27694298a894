// SPDX-License-Identifier: Apache-2.0
#include "sim/value/scoreboard.h"

namespace attnsim::value {

Instance Scoreboard::remove(std::size_t index) {
  const Instance done = pending_.at(index);
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index));
  return done;
}

bool Scoreboard::same_storage(ir::TileId a, const Instance& at_a, ir::TileId b, const Instance& at_b) const {
  if (program_->storage_of(a) != program_->storage_of(b)) return false;
  if (program_->shown_by(a) != program_->shown_by(b)) return true;  // aliases of different shape may overlap anywhere
  const int stages = program_->tiles[static_cast<std::size_t>(a)].stages;
  return at_a.slot % stages == at_b.slot % stages;
}

bool Scoreboard::blocks(const Instance& next) const {
  const bool signal = next.op->kind == ir::OpKind::signal;
  const auto guarded = [&](ir::TileId id) { return signal || program_->tiles[static_cast<std::size_t>(id)].space == ir::Space::registers; };
  for (const Instance& p : pending_) {
    const auto meets = [&](ir::TileId id, const std::vector<ir::TileId>& others) {
      for (const ir::TileId other : others) {
        if (same_storage(id, next, other, p)) return true;
      }
      return false;
    };
    for (const ir::TileId id : next.op->in) {
      if (guarded(id) && (meets(id, p.op->out) || (signal && meets(id, p.op->in)))) return true;
    }
    for (const ir::TileId id : next.op->out) {
      if (guarded(id) && (meets(id, p.op->out) || meets(id, p.op->in))) return true;
    }
  }
  return false;
}

bool Scoreboard::may_complete(std::size_t index) const {
  const auto ordered = [](const Instance& i) { return i.op->kind == ir::OpKind::mma && i.op->mma == ir::MmaKind::tcgen05; };
  if (!ordered(pending_.at(index))) return true;
  for (std::size_t i = 0; i < index; ++i) {
    if (ordered(pending_[i])) return false;
  }
  return true;
}

}  // namespace attnsim::value
