// SPDX-License-Identifier: Apache-2.0
// What the items of a kernel load and store, step by step: a step is one trip of a loop. The first step takes the copies of the
// sections before it; those after the last loop are the item's stores.
#pragma once

#include <vector>

#include "sim/engine/kernel_plan.h"
#include "sim/engine/l2_cache.h"

namespace attnsim {

struct ItemCopy {
  double bytes = 0;
  double miss = 0;
  double written_back = 0;
  bool store = false;
  bool in_loop = false;
};
using Moved = std::vector<ItemCopy>;

enum class TripKind { none, full, partial, peer };

class ItemCopies {
 public:
  // The arguments must outlive it. Without a cache every load misses.
  ItemCopies(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const KernelPlan& plan, L2Cache* cache);

  [[nodiscard]] std::int64_t steps(const ir::RowTile& tile) const;  // at least 1
  [[nodiscard]] TripKind kind(const ir::RowTile& tile, std::int64_t step) const;
  // Copies in program order; `moved` is emptied first.
  void move(const ir::Item& item, std::int64_t step, Moved& moved);
  void store(const ir::Item& item, Moved& moved);
  // Bytes of the item's last stores; `copies` of them.
  [[nodiscard]] double stored_bytes(const ir::Item& item, int& copies) const;

 private:
  struct SectionCopies {
    bool loop = false;
    bool peers = false;
    bool last = false;  // after every loop
    std::vector<const PlannedStep*> steps;
  };
  struct Place {
    std::size_t section = 0;
    std::int64_t trip = 0;
    bool found = false;
  };
  [[nodiscard]] Place place(const ir::RowTile& tile, std::int64_t step) const;
  void section(std::size_t s, const ir::Item& item, std::int64_t trip, Moved& moved);
  void copy(const PlannedStep& step, const ir::Item& item, const VisitedTile& visited, Moved& moved);
  [[nodiscard]] double bytes_of(const PlannedStep& step, const TileAddress& address) const;

  const ir::Program& program_;
  const std::vector<ir::Tensor>& tensors_;
  const KernelPlan& plan_;
  L2Cache* cache_;
  std::vector<SectionCopies> sections_;
};

}  // namespace attnsim
