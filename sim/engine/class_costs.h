// SPDX-License-Identifier: Apache-2.0
// What one item of a kernel costs an SM, by class: items whose trips, peers and flag agree cost the same.
//
//   cost(full) = cost at a few short loops, linear between them, and beyond the longest of them + slope * more trips
//   cost       1 warming and 2 measured items per CTA slot, one after the other, mean over start offsets
//   slope      two single long items per slot: the same beginning and end, so that only trips of a settled loop differ
//
// A loop over masked trips or over peers goes on in the same way. A kernel of few short classes is played class by class.
// Items have the rows of the kernel's largest (one query in decode), and a cut last tile of the loop where every item has one.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "sim/engine/kernel_plan.h"
#include "sim/engine/machine.h"
#include "sim/engine/residency.h"

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
             const Residency& residency);

  // The reference stays valid.
  const ItemCost& cost(const ItemClass& c);

  // Largest relative half-range over start offsets among the classes played so far.
  [[nodiscard]] double spread() const { return spread_; }

 private:
  // Classes that differ in full trips alone.
  struct Row {
    ItemClass key;  // whatever its full trips
    std::vector<const ItemCost*> by_full;
    const ItemCost* slope = nullptr;  // per full trip
  };
  Row& row_of(const ItemClass& c);
  const ItemCost& played(const ItemClass& c);
  const ItemCost& slope(const ItemClass& c, std::int64_t ItemClass::*axis);
  ItemCost estimate(const ItemClass& c);
  // On from a class whose loop has settled.
  ItemCost prolonged(const ItemClass& c, const ItemClass& from, std::int64_t ItemClass::*axis, const ItemCost& per_trip);
  ItemCost play_offset(const ItemClass& c, std::optional<double>& alone_ticks);
  MachineResult play_items(const ItemClass& c, std::int64_t items, int ctas_per_sm);
  // `ticks` of items that have the SM to themselves: with a single agent the start offset is none of their business.
  template <class Ticks>
  double alone(std::optional<double>& known, Ticks ticks) {
    if (!known || kernel_.program.agents.size() > 1) known = ticks();
    return *known;
  }
  double single_ticks(const ItemClass& c, int ctas_per_sm);
  [[nodiscard]] int offsets() const;

  const std::vector<ir::Tensor>& tensors_;
  ir::Kernel kernel_;  // same program, other items
  SelectedKernel selected_;
  std::int64_t item_rows_ = 1;
  std::int64_t tile_columns_ = 1;  // of the loop's tiles
  std::int64_t last_columns_ = 0;  // of the last one, where every item has the same
  MachineConfig slice_;
  KernelPlan plan_;
  std::vector<Checkpoint> checkpoints_;
  bool exact_ = false;                                // so few short classes that each is played
  std::array<std::vector<std::int64_t>, 3> lengths_;  // that are played, of full, partial and peer trips
  bool few_short_ = false;                            // items of short loops are of no weight
  std::deque<Row> rows_;
  Row* last_row_ = nullptr;
  std::deque<ItemCost> costs_;
  std::map<ItemClass, ItemCost> played_;
  std::map<ItemClass, ItemCost> slopes_;
  double spread_ = 0;
};

}  // namespace attnsim
