// SPDX-License-Identifier: Apache-2.0
#include "workloads/families/stream_k.h"

#include <algorithm>

namespace attnsim {

namespace {

// Trips [begin, end) of the runs, in visit order.
ir::TripRuns piece_of(const ir::TripRuns& runs, std::int64_t begin, std::int64_t end) {
  ir::TripRuns piece;
  std::int64_t at = 0;
  for (const ir::TripRun& run : runs) {
    const std::int64_t from = std::max(begin, at);
    const std::int64_t to = std::min(end, at + run.count);
    if (from < to) piece.push_back({run.first + (from - at) * run.step, to - from, run.step, run.partial});
    at += run.count;
  }
  return piece;
}

std::int64_t pairs_of_full_trips(const ir::TripRuns& runs, std::int64_t rows, int tile_kv) {
  std::int64_t trips = 0;
  for (const ir::TripRun& run : runs) trips += run.partial ? 0 : run.count;
  return trips * rows * tile_kv;
}

std::int64_t partial_trips(const ir::TripRuns& runs) {
  std::int64_t trips = 0;
  for (const ir::TripRun& run : runs) trips += run.partial ? run.count : 0;
  return trips;
}

// The shares along the line: the first `larger` have one tile more.
class Shares {
 public:
  Shares(std::int64_t tiles, std::int64_t ctas) : smaller_(tiles / ctas), larger_(tiles % ctas) {}
  [[nodiscard]] std::int64_t cta_of(std::int64_t tile) const {
    const std::int64_t head = larger_ * (smaller_ + 1);
    return tile < head || smaller_ == 0 ? tile / (smaller_ + 1) : larger_ + (tile - head) / smaller_;
  }
  [[nodiscard]] std::int64_t end_of(std::int64_t cta) const { return (cta + 1) * smaller_ + std::min(cta + 1, larger_); }

 private:
  std::int64_t smaller_;
  std::int64_t larger_;
};

}  // namespace

std::int64_t total_trips(const std::vector<ir::ItemFamily>& whole) {
  std::int64_t total = 0;
  for (const ir::ItemFamily& family : whole) {
    for (const ir::RowTile& tile : family.tiles) total += family.slab_count * tile.trips();
  }
  return total;
}

StreamK cut_into_shares(const std::vector<ir::ItemFamily>& whole, int tile_kv, std::int64_t ctas) {
  StreamK result;
  const std::int64_t total = total_trips(whole);
  const Shares shares(total, ctas);
  result.lists.resize(static_cast<std::size_t>(ctas));
  std::int64_t at = 0;  // on the line
  std::int64_t position = 0;
  for (const ir::ItemFamily& family : whole) {
    for (std::int64_t slab = family.slab_begin; slab < family.slab_begin + family.slab_count; ++slab) {
      ir::ItemFamily cut = family;
      cut.slab_begin = slab;
      cut.slab_count = 1;
      cut.tiles.clear();
      for (const ir::RowTile& tile : family.tiles) {
        const std::int64_t trips = tile.trips();
        const std::size_t owner = cut.tiles.size();
        std::int64_t kept_left = tile.kept - pairs_of_full_trips(tile.runs, tile.rows, tile_kv);
        std::int64_t partial_left = partial_trips(tile.runs);
        for (std::int64_t done = 0; done < trips || cut.tiles.size() == owner;) {
          const std::int64_t cta = shares.cta_of(std::clamp<std::int64_t>(at + done, 0, std::max<std::int64_t>(0, total - 1)));
          const std::int64_t end = std::min(trips, shares.end_of(cta) - at);
          ir::RowTile piece = tile;
          piece.runs = piece_of(tile.runs, done, end);
          const std::int64_t partial = partial_trips(piece.runs);
          const std::int64_t kept = partial_left == 0 ? 0 : kept_left * partial / partial_left;
          piece.kept = pairs_of_full_trips(piece.runs, tile.rows, tile_kv) + kept;
          kept_left -= kept;
          partial_left -= partial;
          piece.flag = cut.tiles.size() > owner;
          piece.split = piece.flag ? static_cast<int>(cut.tiles.size() - owner) - 1 : 0;
          piece.peers = 0;
          cut.tiles.push_back(std::move(piece));
          result.lists[static_cast<std::size_t>(cta)].push_back(position++);
          done = std::max(done, end);
        }
        cut.tiles[owner].peers = static_cast<int>(cut.tiles.size() - owner) - 1;
        result.most_peers = std::max(result.most_peers, cut.tiles[owner].peers);
        at += trips;
      }
      result.families.push_back(std::move(cut));
    }
  }
  std::erase_if(result.lists, [](const auto& list) { return list.empty(); });
  return result;
}

std::int64_t stream_k_ctas(const StreamKInput& in) {
  constexpr std::int64_t kTilesPerCta = 2;
  std::int64_t ctas = 0;
  if (in.total_tiles <= kTilesPerCta * in.per_sm * in.sms) {
    ctas = std::min((in.total_tiles + 1) / 2, (in.most_splits * in.total_tiles + in.blocks - 1) / in.blocks);
  } else {
    ctas = std::min(in.per_sm * in.sms, in.most_splits * in.row_tiles);
  }
  return std::max<std::int64_t>(1, std::min(ctas, in.total_tiles));
}

}  // namespace attnsim
