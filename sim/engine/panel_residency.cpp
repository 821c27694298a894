// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/panel_residency.h"

#include <algorithm>
#include <list>
#include <map>
#include <tuple>

namespace attnsim {

namespace {

// What an item touches of one tensor through one op: a panel's rows, or all trips of its rows.
using Key = std::tuple<ir::TensorId, std::int64_t, std::int64_t, int>;  // tensor, slab, first row, split

// Least recently used pieces leave when new ones need their place.
class Pieces {
 public:
  explicit Pieces(double capacity) : capacity_(capacity) {}

  // True when the piece was there.
  bool touch(const Key& key, double bytes) {
    const auto found = index_.find(key);
    if (found != index_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return true;
    }
    order_.push_front({key, bytes});
    index_.emplace(key, order_.begin());
    used_ += bytes;
    while (used_ > capacity_ && !order_.empty()) {
      used_ -= order_.back().second;
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    return false;
  }

 private:
  double capacity_;
  double used_ = 0;
  std::list<std::pair<Key, double>> order_;
  std::map<Key, std::list<std::pair<Key, double>>::iterator> index_;
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

double trips_of(const Access& access, const ir::RowTile& tile) {
  if (access.section->kind == ir::SectionKind::once) return 1;
  return static_cast<double>(access.section->trips == ir::TripSource::peers ? tile.peers : tile.trips());
}

double bytes_of(const Access& access, const ir::Program& program, const ir::Tensor& tensor, const ir::Item& item) {
  double rows = 1;
  const double trips = trips_of(access, *item.tile);
  if (access.tile->rows != ir::kUnit) {
    const ir::Axis& axis = program.axes[static_cast<std::size_t>(access.tile->rows)];
    if (axis.kind == ir::AxisKind::fixed) rows = axis.valid;
    if (axis.kind == ir::AxisKind::item_rows)
      rows = static_cast<double>(std::clamp<std::int64_t>(item.tile->rows - axis.row_offset, 0, axis.padded));
    if (axis.kind == ir::AxisKind::trip_cols) rows = std::min<double>(axis.padded, static_cast<double>(item.family->loop_extent) / trips);
  }
  return rows * trips * static_cast<double>(tensor.cols) * ir::bits_of(tensor.dtype) / 8;
}

Key key_of(const Access& access, const ir::Item& item) {
  const ir::Access& a = access.op->access;
  const std::int64_t first = access.section->kind == ir::SectionKind::loop && !item.tile->runs.empty() ? item.tile->runs.front().first : 0;
  const std::int64_t row = a.row_offset + (a.row_from == ir::RowFrom::item ? item.tile->row_begin : 0);
  return {a.tensor, item.slab / a.slab_divisor * a.slab_multiplier + (a.add_split ? item.tile->split : 0), row,
          a.add_trip || a.row_from == ir::RowFrom::trip ? static_cast<int>(first) : 0};
}

}  // namespace

bool walks_panels(const ir::Kernel& kernel) {
  const std::vector<Access> list = copies(kernel.program);
  return std::any_of(list.begin(), list.end(), [](const Access& a) {
    return a.op->access.add_trip && a.section->kind == ir::SectionKind::loop && a.section->trips == ir::TripSource::runs;
  });
}

PanelTraffic panel_traffic(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors, std::int64_t in_flight, double l2_bytes) {
  const std::vector<Access> accesses = copies(kernel.program);
  const ir::ItemSequence items(kernel);
  Pieces cache(l2_bytes);
  PanelTraffic out;
  for (std::int64_t begin = 0; begin < items.size(); begin += in_flight) {
    const std::int64_t end = std::min(items.size(), begin + in_flight);
    double in_flight_bytes = 0;  // loaded between an item's first pass over its rows and the next, by all items together
    std::map<Key, double> seen;
    double repeated = 0;  // of items that come back to their own rows
    for (const Access& access : accesses) {
      const ir::Tensor& tensor = tensors[static_cast<std::size_t>(access.op->access.tensor)];
      std::map<Key, double> distinct;
      for (std::int64_t i = begin; i < end; ++i) {
        const ir::Item item = items.at(i);
        const double bytes = bytes_of(access, kernel.program, tensor, item);
        const bool shared = access.op->copy == ir::CopyKind::tma_multicast || access.op->pair;
        if (access.op->kind == ir::OpKind::load) out.loaded += bytes / (shared ? std::max(1, kernel.grid.cluster) : 1);
        distinct.emplace(key_of(access, item), bytes);
      }
      for (const auto& [key, bytes] : distinct) {
        const bool load = access.op->kind == ir::OpKind::load;
        if (!load) out.stored += bytes;
        const bool again = !seen.emplace(key, bytes).second;
        if (again) {
          if (load) repeated += bytes;
          continue;
        }
        if (load) in_flight_bytes += bytes;
        if (!cache.touch(key, bytes) && load) out.fetched += bytes;
      }
    }
    if (in_flight_bytes > l2_bytes) out.fetched += repeated;
  }
  return out;
}

}  // namespace attnsim
