// SPDX-License-Identifier: Apache-2.0
// What one item of a kernel costs an SM, by class: items whose trips, peers and flag agree cost the same. One SM plays a few
// equal items, and a loop longer than a few dozen trips goes on at the slope between two lengths.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <vector>

#include "sim/engine/machine.h"

namespace attnsim {

struct ItemClass {
  std::int64_t full = 0;     // loop trips without mask
  std::int64_t partial = 0;  // loop trips with mask
  std::int64_t peers = 0;
  bool flag = false;
  bool partial_first = true;
  auto operator<=>(const ItemClass&) const = default;
};
[[nodiscard]] ItemClass class_of(const ir::RowTile& tile);

struct ItemCost {
  double shared_ticks = 0;                       // SM time per item when every slot is taken
  double alone_ticks = 0;                        // duration of an item that has the SM to itself
  double start_ticks = 0;                        // before the first item's steady part
  std::array<double, kWaitCount> wait_cycles{};  // per item
};

// Costs of one kernel's classes. The arguments of the constructor must outlive it.
class ClassCosts {
 public:
  ClassCosts(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole,
             double hit_fraction);

  // The reference stays valid.
  const ItemCost& cost(const ItemClass& c);

  // Largest relative half-range over start offsets among the classes played so far.
  [[nodiscard]] double spread() const { return spread_; }

 private:
  ItemCost exact(const ItemClass& c);
  MachineResult play_items(const ItemClass& c, std::int64_t items, int ctas_per_sm);
  ItemCost play_class(const ItemClass& c);
  ItemCost play_offset(const ItemClass& c);

  const SelectedKernel& selected_;
  const std::vector<ir::Tensor>& tensors_;
  const Chip& chip_;
  MachineConfig slice_;
  ir::Kernel kernel_;
  std::map<ItemClass, ItemCost> costs_;
  std::map<ItemClass, ItemCost> exact_;
  double spread_ = 0;
};

}  // namespace attnsim
