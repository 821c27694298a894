// SPDX-License-Identifier: Apache-2.0
// What one loop trip and one item cost an SM, apart from the memory system, and how far loads run ahead of their use. From a few
// plays of one SM: the slope over trips with instant memory, and with two response times so long that nothing hides them.
//   time of a trip whose loads answer after r:  max(compute, (compute - early + exposure * r) / ahead)
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "sim/engine/item_copies.h"
#include "sim/engine/machine.h"

namespace attnsim {

struct TripCost {
  double alone_ticks = 0;   // duration with the SM to itself
  double shared_ticks = 0;  // duration when every slot is taken
  // With `busy` CTAs of at most `slots` at work.
  [[nodiscard]] double among(int busy, int slots) const {
    if (slots <= 1 || busy <= 1) return alone_ticks;
    return alone_ticks + (shared_ticks - alone_ticks) * (busy - 1) / (slots - 1);
  }
};

class TripModel {
 public:
  // The arguments must outlive the model.
  TripModel(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole);
  ~TripModel();

  // What the item takes beside its trips, loads that hit included; below 0 where its trips overlap those of others better.
  [[nodiscard]] const TripCost& item(const ir::Item& item);

  TripCost full;
  TripCost partial;                          // a trip with mask ops
  TripCost peer;                             // a trip of a loop over peers
  double start_ticks = 0;                    // from the launch to the first item's first trip, beyond `item`
  double response_ticks = 0;                 // of a load that hits and meets nobody
  int ahead = 1;                             // trips whose loads are under way at once
  double early_ticks = 0;                    // a slot is free for the next load this long before its trip ends
  double exposure = 1;                       // serial responses per `ahead` trips
  double spread = 0;                         // relative half-range over start offsets
  std::vector<double> wait_cycles_per_tick;  // by Wait, of a CTA alone whose loads hit

 private:
  class Bench;
  struct Shape {
    std::int64_t full = 0;
    std::int64_t partial = 0;
    std::int64_t peers = 0;
    bool flag = false;
    std::int64_t rows = 0;     // valid rows
    std::int64_t missing = 0;  // columns of the last tile that are not there
    auto operator<=>(const Shape&) const = default;
  };
  TripCost steady(const Shape& shape, int ctas);

  // End of an isolated item of the shape whose prologue takes `prologue`, each trip's loads through a port that `ctas` share.
  double chain(const ir::Item& item, const Shape& shape, double prologue, double TripCost::*kind, int ctas);

  std::unique_ptr<Bench> bench_;
  KernelPlan plan_;
  ItemCopies copies_;
  double port_ = 0;
  bool persistent_ = false;
  int slots_ = 1;
  int offsets_ = 1;
  bool runs_ = false;
  bool peers_ = false;
  std::int64_t run_loops_ = 1;     // sections that walk over the same trips
  std::int64_t rows_ = 0;          // most of an item
  std::int64_t tile_columns_ = 1;  // of a loop tile
  TripCost full_hit_;              // trips whose loads hit and meet nobody
  TripCost partial_hit_;
  TripCost peer_hit_;
  std::map<Shape, TripCost> items_;
};

}  // namespace attnsim
