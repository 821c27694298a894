// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/footprint.h"

#include <algorithm>
#include <cstdint>

namespace attnsim {

namespace {

// First and last KV tile that the items of a family visit; none: last < 0.
struct Visited {
  std::int64_t first = INT64_MAX;
  std::int64_t last = -1;
};

std::vector<Visited> visited_by(const ir::Kernel& kernel) {
  std::vector<Visited> by_family;
  for (const ir::ItemFamily& family : kernel.families) {
    Visited& visited = by_family.emplace_back();
    for (const ir::RowTile& tile : family.tiles) {
      for (const ir::TripRun& run : tile.runs) {
        if (run.count == 0) continue;
        const std::int64_t last = run.first + (run.count - 1) * run.step;
        visited.first = std::min({visited.first, run.first, last});
        visited.last = std::max({visited.last, run.first, last});
      }
    }
  }
  return by_family;
}

// Rows of all slabs that one op of a kernel visits; negative: not by trips.
double visited_rows(const ir::Kernel& kernel, const ir::Op& op, const std::vector<Visited>& by_family) {
  if (op.access.row_from != ir::RowFrom::trip || op.access.add_trip) return -1;
  // Groups of tiles that begin anywhere: the first item's begins at the first row, the last one's ends at the last.
  if (op.access.order != ir::kNone && kernel.program.orders[static_cast<std::size_t>(op.access.order)].has_groups()) return -1;
  const ir::TileId id = op.kind == ir::OpKind::store ? op.in.front() : op.out.front();
  const std::int64_t padded = kernel.program.padded(kernel.program.tiles[static_cast<std::size_t>(id)].rows);
  double rows = 0;
  for (std::size_t f = 0; f < kernel.families.size(); ++f) {
    const ir::ItemFamily& family = kernel.families[f];
    const auto [low, high] = by_family[f];
    if (high < 0) continue;
    const auto slabs = static_cast<double>(family.slab_count);
    const double own = op.access.slab_period > 0 ? std::min<double>(slabs, static_cast<double>(op.access.slab_period)) : slabs;
    rows += static_cast<double>(std::min((high - low + 1) * padded, family.loop_extent)) *
            std::max(1.0, own / static_cast<double>(op.access.slab_divisor));
  }
  return rows;
}

}  // namespace

double touched_bytes(std::span<const ir::Kernel* const> kernels, const std::vector<ir::Tensor>& tensors) {
  constexpr double kAll = -1;
  std::vector<double> rows(tensors.size(), 0);
  for (const ir::Kernel* kernel : kernels) {
    const std::vector<Visited> by_family = visited_by(*kernel);
    for (const ir::Agent& agent : kernel->program.agents) {
      for (const auto& section : agent.sections) {
        for (const ir::Op& op : section) {
          const bool load = op.kind == ir::OpKind::load;
          if (!load && op.kind != ir::OpKind::store && op.kind != ir::OpKind::gather && op.kind != ir::OpKind::atomic) continue;
          if (op.access.tensor < 0) continue;
          double& sum = rows[static_cast<std::size_t>(op.access.tensor)];
          const double visited = load ? visited_rows(*kernel, op, by_family) : kAll;
          sum = sum < 0 || visited < 0 ? kAll : sum + visited;
        }
      }
    }
  }
  for (const ir::Tensor& tensor : tensors)
    if (tensor.same_memory != ir::kNone) rows[static_cast<std::size_t>(tensor.same_memory)] = kAll;
  double bytes = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (tensors[t].same_memory != ir::kNone) continue;
    const auto all = static_cast<double>(tensors[t].bytes().count());
    const double row = static_cast<double>(tensors[t].cols) * ir::bits_of(tensors[t].dtype) / 8;
    bytes += rows[t] > 0 ? std::min(all, rows[t] * row) : all;
  }
  return bytes;
}

}  // namespace attnsim
