// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/item_copies.h"

#include <algorithm>

namespace attnsim {

namespace {

bool acts(const PlannedStep& step, const ir::RowTile& tile, std::int64_t trip, std::int64_t trips, bool partial) {
  switch (step.when) {
    case ir::When::always: return true;
    case ir::When::first_trip: return trip == 0;
    case ir::When::not_first_trip: return trip > 0;
    case ir::When::last_trip: return trip == trips - 1;
    case ir::When::partial_trip: return partial;
    case ir::When::full_trip: return !partial;
    case ir::When::item_flag: return tile.flag;
    case ir::When::not_item_flag: return !tile.flag;
    case ir::When::last_arriver: return tile.split == tile.peers - 1;  // pieces of a group end about in order
  }
  return false;
}

}  // namespace

ItemCopies::ItemCopies(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const KernelPlan& plan, L2Cache* cache)
    : program_(selected.kernel->program), tensors_(tensors), plan_(plan), cache_(cache) {
  bool runs = false;
  for (std::size_t s = 0; s < plan.is_loop.size(); ++s) runs = runs || (plan.is_loop[s] != 0 && plan.is_peers[s] == 0);
  std::size_t loops = 0;
  for (std::size_t s = 0; s < plan.is_loop.size(); ++s) {
    SectionCopies out;
    // A loop over peers behind the main loop belongs to the item's end.
    out.loop = plan.is_loop[s] != 0 && !(runs && plan.is_peers[s] != 0);
    out.peers = plan.is_peers[s] != 0;
    for (const PlannedAgent& agent : plan.agents) {
      for (const PlannedStep& step : agent.sections[s]) {
        if (step.kind == StepKind::load || step.kind == StepKind::store) out.steps.push_back(&step);
      }
    }
    sections_.push_back(std::move(out));
    if (sections_.back().loop) loops = s + 1;
  }
  for (std::size_t s = loops; loops > 0 && s < sections_.size(); ++s) sections_[s].last = true;
}

std::int64_t ItemCopies::steps(const ir::RowTile& tile) const {
  std::int64_t sum = 0;
  for (std::size_t s = 0; s < sections_.size(); ++s) {
    if (sections_[s].loop) sum += plan_.trips(s, tile);
  }
  return std::max<std::int64_t>(1, sum);
}

ItemCopies::Place ItemCopies::place(const ir::RowTile& tile, std::int64_t step) const {
  for (std::size_t s = 0; s < sections_.size(); ++s) {
    if (!sections_[s].loop) continue;
    const std::int64_t trips = plan_.trips(s, tile);
    if (step < trips) return {s, step, true};
    step -= trips;
  }
  return {};
}

TripKind ItemCopies::kind(const ir::RowTile& tile, std::int64_t step) const {
  const Place at = place(tile, step);
  if (!at.found) return TripKind::none;
  if (sections_[at.section].peers) return TripKind::peer;
  return visited_tile(tile, false, at.trip).partial ? TripKind::partial : TripKind::full;
}

void ItemCopies::move(const ir::Item& item, std::int64_t step, Moved& moved) {
  moved.clear();
  const Place at = place(*item.tile, step);
  if (step == 0) {
    for (std::size_t s = 0; s < (at.found ? at.section : sections_.size()); ++s) {
      if (!sections_[s].loop && !sections_[s].last) section(s, item, 0, moved);
    }
  }
  if (at.found) section(at.section, item, at.trip, moved);
}

void ItemCopies::store(const ir::Item& item, Moved& moved) {
  moved.clear();
  for (std::size_t s = 0; s < sections_.size(); ++s) {
    if (!sections_[s].last) continue;
    for (std::int64_t trip = 0; trip < plan_.trips(s, *item.tile); ++trip) section(s, item, trip, moved);
  }
}

double ItemCopies::stored_bytes(const ir::Item& item, int& copies) const {
  double bytes = 0;
  for (const SectionCopies& s : sections_) {
    if (!s.last || s.peers) continue;
    for (const PlannedStep* step : s.steps) {
      bytes += bytes_of(*step, address_of(step->op->access, step->rows_axis, program_, item, {}));
      ++copies;
    }
  }
  return bytes;
}

void ItemCopies::section(std::size_t s, const ir::Item& item, std::int64_t trip, Moved& moved) {
  const SectionCopies& copies = sections_[s];
  const VisitedTile visited = copies.loop || copies.peers ? visited_tile(*item.tile, copies.peers, trip) : VisitedTile{};
  const std::int64_t trips = plan_.trips(s, *item.tile);
  for (const PlannedStep* step : copies.steps) {
    if (!acts(*step, *item.tile, trip, trips, visited.partial)) continue;
    const std::size_t before = moved.size();
    copy(*step, item, visited, moved);
    if (moved.size() > before) moved.back().in_loop = copies.loop;
  }
}

double ItemCopies::bytes_of(const PlannedStep& step, const TileAddress& address) const {
  const ir::Tensor& tensor = tensors_[static_cast<std::size_t>(step.op->access.tensor)];
  return static_cast<double>(address.rows * tensor.cols * ir::bits_of(tensor.dtype) / 8);
}

void ItemCopies::copy(const PlannedStep& step, const ir::Item& item, const VisitedTile& visited, Moved& moved) {
  const TileAddress address = address_of(step.op->access, step.rows_axis, program_, item, visited);
  const double bytes = bytes_of(step, address);
  if (bytes <= 0) return;
  ItemCopy out;
  out.bytes = bytes;
  out.store = step.kind == StepKind::store;
  if (cache_ == nullptr) {
    out.miss = out.store ? 0 : bytes;
  } else {
    const bool atomic = step.op->kind == ir::OpKind::atomic;
    L2Outcome outcome = cache_->access(step.op->access.tensor, address.slab, address.row, address.rows, out.store && !atomic);
    if (!out.store || atomic) out.miss = static_cast<double>(outcome.miss_bytes);
    if (atomic) {
      outcome.written_back_bytes +=
          cache_->access(step.op->access.tensor, address.slab, address.row, address.rows, true).written_back_bytes;
    }
    out.written_back = static_cast<double>(outcome.written_back_bytes);
  }
  if (step.op->kind == ir::OpKind::atomic) out.bytes += bytes;  // L2 reads and writes: as long as moving the bytes twice
  moved.push_back(out);
}

}  // namespace attnsim
