// SPDX-License-Identifier: Apache-2.0
#include "sim/ir/program.h"

#include <algorithm>
#include <array>

#include "sim/core/error.h"

namespace attnsim::ir {

std::int64_t Program::padded_elements(TileId tile) const {
  const Tile& t = tiles.at(static_cast<std::size_t>(tile));
  return static_cast<std::int64_t>(padded(t.rows)) * padded(t.cols);
}

std::int64_t Program::stored_elements(TileId tile) const {
  const Tile& t = tiles.at(static_cast<std::size_t>(tile));
  const int cols = padded(t.cols);
  return static_cast<std::int64_t>(padded(t.rows)) * (t.slice_cols > 0 ? std::min(cols, t.slice_cols) : cols);
}

namespace {

// Bytes of the tiles of one space. From the last tile to the first, so that a tile knows what its aliases take, side by side,
// before its own alias does.
template <class Size>
std::int64_t space_bytes(const std::vector<Tile>& tiles, Space space, Size size_of) {
  std::vector<std::int64_t> bytes(tiles.size(), 0);
  std::vector<std::int64_t> aliases(tiles.size(), 0);
  for (std::size_t i = tiles.size(); i-- > 0;) {
    if (tiles[i].space != space || tiles[i].view_of != kNone) continue;
    const std::int64_t size = std::max(size_of(static_cast<TileId>(i)) * (tiles[i].stages - tiles[i].borrowed_slots), aliases[i]);
    if (tiles[i].alias_of == kNone) {
      bytes[i] = size;
    } else {
      aliases.at(static_cast<std::size_t>(tiles[i].alias_of)) += size;
    }
  }
  std::int64_t sum = 0;
  for (const std::int64_t b : bytes) sum += b;
  return sum;
}

}  // namespace

std::int64_t Program::smem_bytes() const {
  return space_bytes(tiles, Space::smem, [&](TileId id) {
    const Tile& tile = tiles[static_cast<std::size_t>(id)];
    return (stored_elements(id) / tile.shared_by * bits_of(tile.dtype) + 7) / 8;
  });
}

std::int64_t Program::tmem_bytes() const {
  constexpr int kLanes = 128;
  return space_bytes(tiles, Space::tmem, [&](TileId id) {
    const Tile& tile = tiles[static_cast<std::size_t>(id)];
    const int lanes = kLanes / tile.shared_by;
    const int rows = (padded(tile.rows) + lanes - 1) / lanes * lanes;
    return static_cast<std::int64_t>(rows) * padded(tile.cols) * bits_of(tile.dtype) / 8;
  });
}

TileId Program::storage_of(TileId tile) const {
  for (std::size_t hops = 0; hops <= tiles.size(); ++hops) {
    tile = shown_by(tile);
    const TileId next = tiles.at(static_cast<std::size_t>(tile)).alias_of;
    if (next == kNone) return tile;
    tile = next;
  }
  throw Invariant("tiles alias each other in a circle");
}

TileId Program::shown_by(TileId tile) const {
  const TileId shown = tiles.at(static_cast<std::size_t>(tile)).view_of;
  return shown == kNone ? tile : shown;
}

int Program::threads() const {
  int warps = 0;
  for (const Agent& agent : agents) warps += agent.warps;
  return warps * 32;
}

int Program::signallers(TokenId token) const {
  const auto gives = [token](const Op& op) {
    return (op.kind == OpKind::signal && op.token == token) ||
           std::find(op.completes.begin(), op.completes.end(), token) != op.completes.end();
  };
  int count = 0;
  for (const Agent& agent : agents) {
    count += std::any_of(agent.sections.begin(), agent.sections.end(),
                         [&](const auto& section) { return std::any_of(section.begin(), section.end(), gives); });
  }
  return count;
}

bool has_loop(const Program& program) {
  return std::any_of(program.sections.begin(), program.sections.end(), [](const Section& s) { return s.kind == SectionKind::loop; });
}

bool completes_later(const Op& op) {
  if (op.kind == OpKind::load || op.kind == OpKind::gather) return op.copy != CopyKind::plain;
  if (op.kind == OpKind::store || op.kind == OpKind::scatter || op.kind == OpKind::atomic) return true;
  return op.kind == OpKind::mma && is_async(op.mma);
}

std::string_view name_of(CopyKind k) {
  constexpr std::array<std::string_view, 4> kNames{"plain", "cp_async", "tma", "tma_multicast"};
  return kNames.at(static_cast<std::size_t>(k));
}

std::string_view name_of(MmaKind k) {
  constexpr std::array<std::string_view, 6> kNames{"mma_sync", "wgmma_ss", "wgmma_rs", "tcgen05", "systolic", "lanes"};
  return kNames.at(static_cast<std::size_t>(k));
}

std::string_view name_of(TokenScope s) {
  constexpr std::array<std::string_view, 3> kNames{"cta", "kernel", "turn"};
  return kNames.at(static_cast<std::size_t>(s));
}

std::string_view name_of(When w) {
  constexpr std::array<std::string_view, 9> kNames{"always",    "first_trip", "not_first_trip", "last_trip",   "partial_trip",
                                                   "full_trip", "item_flag",  "not_item_flag",  "last_arriver"};
  return kNames.at(static_cast<std::size_t>(w));
}

}  // namespace attnsim::ir
