// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/panel_residency.h"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <utility>
#include <vector>

namespace attnsim {

namespace {

// What an item touches of one tensor through one op: a panel's rows, or all trips of its rows.
struct Key {
  std::int64_t tensor = ir::kNone;
  std::int64_t slab = 0;
  std::int64_t row = 0;
  std::int64_t trip = 0;
  auto operator<=>(const Key&) const = default;
};

// Numbers keys in order of appearance: open addressing, never iterated.
class Numbers {
 public:
  // `fresh`: the key was not there before.
  std::int32_t of(const Key& key, bool& fresh) {
    if (2 * (keys_.size() + 1) > places_.size()) grow();
    const std::uint32_t tag = hash(key);
    std::size_t at = tag & (places_.size() - 1);
    for (; places_[at].number >= 0; at = (at + 1) & (places_.size() - 1)) {
      if (places_[at].tag == tag && keys_[static_cast<std::size_t>(places_[at].number)] == key) {
        fresh = false;
        return places_[at].number;
      }
    }
    fresh = true;
    const auto number = static_cast<std::int32_t>(keys_.size());
    places_[at] = {tag, number};
    keys_.push_back(key);
    return number;
  }

 private:
  struct Place {
    std::uint32_t tag = 0;  // its key's hash
    std::int32_t number = -1;
  };
  static std::uint32_t hash(const Key& key) {
    std::uint64_t h = 0;
    for (const std::int64_t part : {key.tensor, key.slab, key.row, key.trip}) {
      h = (h ^ static_cast<std::uint64_t>(part)) * 0x9e3779b97f4a7c15ULL;
      h ^= h >> 29;
    }
    return static_cast<std::uint32_t>(h);
  }
  void grow() {
    std::vector<Place> old(std::max<std::size_t>(4096, 4 * places_.size()));
    old.swap(places_);
    for (const Place& place : old) {
      if (place.number < 0) continue;
      std::size_t at = place.tag & (places_.size() - 1);
      while (places_[at].number >= 0) at = (at + 1) & (places_.size() - 1);
      places_[at] = place;
    }
  }
  std::vector<Key> keys_;
  std::vector<Place> places_;
};

// Least recently used pieces leave when new ones need their place.
class Pieces {
 public:
  explicit Pieces(double capacity) : capacity_(capacity) {}

  // Number of the piece, and whether the current wave has touched it before.
  std::int32_t find(const Key& key, std::int64_t wave, bool& again) {
    bool fresh = false;
    const std::int32_t id = numbers_.of(key, fresh);
    if (fresh) pieces_.emplace_back();
    Piece& piece = pieces_[static_cast<std::size_t>(id)];
    again = piece.wave == wave;
    piece.wave = wave;
    return id;
  }
  // True when the piece was there.
  bool touch(std::int32_t id, double bytes) {
    Piece& piece = at(id);
    const bool there = piece.there;
    if (there) {
      unlink(id);
    } else {
      piece.bytes = bytes;
      piece.there = true;
      used_ += bytes;
    }
    link(id);
    while (used_ > capacity_ && last_ >= 0) {
      const std::int32_t oldest = last_;
      used_ -= at(oldest).bytes;
      at(oldest).there = false;
      unlink(oldest);
    }
    return there;
  }

 private:
  struct Piece {
    double bytes = 0;
    std::int64_t wave = -1;
    std::int32_t newer = -1;
    std::int32_t older = -1;
    bool there = false;
  };
  Piece& at(std::int32_t id) { return pieces_[static_cast<std::size_t>(id)]; }
  void link(std::int32_t id) {
    at(id).newer = -1;
    at(id).older = first_;
    (first_ >= 0 ? at(first_).newer : last_) = id;
    first_ = id;
  }
  void unlink(std::int32_t id) {
    const Piece& piece = at(id);
    (piece.newer >= 0 ? at(piece.newer).older : first_) = piece.older;
    (piece.older >= 0 ? at(piece.older).newer : last_) = piece.newer;
  }

  double capacity_;
  double used_ = 0;
  Numbers numbers_;
  std::vector<Piece> pieces_;
  std::int32_t first_ = -1;  // used last
  std::int32_t last_ = -1;
};

struct Access {
  const ir::Op* op = nullptr;
  const ir::Section* section = nullptr;
  const ir::Tile* tile = nullptr;
};

std::vector<Access> copies(const ir::Program& program) {
  std::vector<Access> list;
  for (const ir::Agent& agent : program.agents) {
    for (std::size_t s = 0; s < agent.sections.size(); ++s) {
      for (const ir::Op& op : agent.sections[s]) {
        if (op.kind != ir::OpKind::load && op.kind != ir::OpKind::store) continue;
        const ir::TileId id = op.kind == ir::OpKind::load ? op.out.front() : op.in.front();
        list.push_back({&op, &program.sections[s], &program.tiles[static_cast<std::size_t>(id)]});
      }
    }
  }
  return list;
}

struct WaveItem {
  ir::Item item;
  std::int64_t trips = 0;
};

double trips_of(const Access& access, const WaveItem& i) {
  if (access.section->kind == ir::SectionKind::once) return 1;
  return static_cast<double>(access.section->trips == ir::TripSource::peers ? i.item.tile->peers : i.trips);
}

// That an item moves in so many trips.
double rows_of(const Access& access, const ir::Program& program, const ir::Item& item, double trips) {
  double rows = 1;
  if (access.tile->rows != ir::kUnit) {
    const ir::Axis& axis = program.axes[static_cast<std::size_t>(access.tile->rows)];
    if (axis.kind == ir::AxisKind::fixed) rows = axis.valid;
    if (axis.kind == ir::AxisKind::item_rows)
      rows = static_cast<double>(std::clamp<std::int64_t>(item.tile->rows - axis.row_offset, 0, axis.padded));
    if (axis.kind == ir::AxisKind::trip_cols) rows = std::min<double>(axis.padded, static_cast<double>(item.family->loop_extent) / trips);
  }
  return rows * trips;
}

Key key_of(const Access& access, const ir::Item& item) {
  const ir::Access& a = access.op->access;
  const std::int64_t first = access.section->kind == ir::SectionKind::loop && !item.tile->runs.empty() ? item.tile->runs.front().first : 0;
  const std::int64_t row = a.row_offset + (a.row_from == ir::RowFrom::item ? item.tile->row_begin : 0);
  return {a.tensor, a.slab_of(item.slab) + (a.add_split ? item.tile->split : 0), row,
          a.add_trip || a.row_from == ir::RowFrom::trip ? static_cast<int>(first) : 0};
}

}  // namespace

bool walks_panels(const ir::Kernel& kernel) {
  constexpr double kCounts = 1.0 / 16;  // of what the loop reads: less is read beside K and V (documents of keys)
  double panels = 0;
  double all = 0;
  for (const Access& a : copies(kernel.program)) {
    if (a.section->kind != ir::SectionKind::loop || a.section->trips != ir::TripSource::runs) continue;
    const ir::TileId tile = a.op->kind == ir::OpKind::load ? a.op->out.front() : a.op->in.front();
    const auto elements = static_cast<double>(kernel.program.padded_elements(tile));
    all += elements;
    panels += a.op->access.add_trip ? elements : 0;
  }
  return panels > kCounts * all;
}

// Items that are walked one by one. Of a longer grid the waves behind them count like the second half of these.
constexpr std::int64_t kWalkedItems = 2048;

PanelTraffic panel_traffic(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, std::int64_t in_flight, double l2_bytes) {
  const std::vector<Access> accesses = copies(kernel.program);
  const ir::ItemSequence items(kernel);
  Pieces cache(l2_bytes);
  PanelTraffic out;
  out.loaded.resize(tensors.size());
  out.fetched.resize(tensors.size());
  PanelTraffic half = out;
  std::vector<double> repeated_of(tensors.size());  // of items that come back to their own rows
  std::int64_t half_at = 0;
  std::vector<WaveItem> wave_items;
  std::vector<std::pair<Key, double>> distinct;
  std::int64_t begin = 0;
  for (std::int64_t wave = 0; begin < items.size(); ++wave) {
    if (begin >= kWalkedItems && items.size() > 2 * begin) break;
    if (2 * begin < kWalkedItems) {
      half = out;
      half_at = begin;
    }
    const std::int64_t end = std::min(items.size(), begin + in_flight);
    wave_items.clear();
    for (std::int64_t i = begin; i < end; ++i) {
      const ir::Item item = items.at(i);
      wave_items.push_back({item, item.tile->trips()});
    }
    double in_flight_bytes = 0;  // loaded between an item's first pass over its rows and the next, by all items together
    std::fill(repeated_of.begin(), repeated_of.end(), 0.0);
    for (const Access& access : accesses) {
      const auto t = static_cast<std::size_t>(access.op->access.tensor);
      const ir::Tensor& tensor = tensors[t];
      const bool load = access.op->kind == ir::OpKind::load;
      const bool moves_on = access.op->access.add_trip || access.op->access.row_from == ir::RowFrom::trip;  // else the same rows every trip
      const bool shared = access.op->copy == ir::CopyKind::tma_multicast || access.op->pair;
      const double sharers = shared ? std::max(1, kernel.grid.cluster) : 1;
      const double columns = static_cast<double>(tensor.cols) * ir::bits_of(tensor.dtype);
      distinct.clear();
      for (const WaveItem& i : wave_items) {
        const double trips = trips_of(access, i);
        const double bytes = rows_of(access, kernel.program, i.item, trips) * columns / 8;
        if (load) out.loaded[t] += bytes / sharers;
        const Key key = key_of(access, i.item);
        if (distinct.empty() || distinct.back().first != key) distinct.emplace_back(key, moves_on ? bytes : bytes / std::max(1.0, trips));
      }
      // In the order of their places in memory.
      const auto earlier = [](const auto& a, const auto& b) { return a.first < b.first; };
      if (!std::is_sorted(distinct.begin(), distinct.end(), earlier)) std::stable_sort(distinct.begin(), distinct.end(), earlier);
      distinct.erase(std::unique(distinct.begin(), distinct.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
                     distinct.end());
      for (const auto& [key, bytes] : distinct) {
        if (!load) out.stored += bytes;
        bool again = false;
        const std::int32_t piece = cache.find(key, wave, again);
        if (again) {
          if (load) repeated_of[t] += bytes;
          continue;
        }
        if (load) in_flight_bytes += bytes;
        if (!cache.touch(piece, bytes) && load) out.fetched[t] += bytes;
      }
    }
    if (in_flight_bytes > l2_bytes) {
      for (std::size_t t = 0; t < tensors.size(); ++t) out.fetched[t] += repeated_of[t];
    }
    begin = end;
  }
  if (begin < items.size()) {
    const double more = static_cast<double>(items.size() - begin) / static_cast<double>(begin - half_at);
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      out.loaded[t] += (out.loaded[t] - half.loaded[t]) * more;
      out.fetched[t] += (out.fetched[t] - half.fetched[t]) * more;
    }
    out.stored += (out.stored - half.stored) * more;
  }
  return out;
}

}  // namespace attnsim
