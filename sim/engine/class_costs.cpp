// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/class_costs.h"

#include <algorithm>
#include <array>
#include <limits>

namespace attnsim {

namespace {

// Items per CTA slot: the first warms the SM up, then two are measured. With several slots a last one keeps the SM full until
// the measured ones are through.
constexpr std::int64_t kWarming = 1;
constexpr std::int64_t kMeasured = 2;
// Loops of these lengths are played; what lies between is interpolated, what lies beyond goes on at the slope.
constexpr std::array<std::int64_t, 4> kPlayedTrips{0, 1, 3, 8};
// Lengths between which the slope is taken.
constexpr std::int64_t kSlopeFrom = 8;
constexpr std::int64_t kSlopeTo = 24;
// All classes are played when their loops have no more trips than this, together and not counting what is played anyway.
constexpr std::int64_t kExactTrips = 24;
// From as many CTA slots on, the CTAs of one SM mix by themselves and one start offset stands for all.
constexpr int kManySlots = 2;

ItemCost operator+(const ItemCost& a, const ItemCost& b) {
  ItemCost out{a.shared_ticks + b.shared_ticks, a.alone_ticks + b.alone_ticks, a.start_ticks + b.start_ticks, {}};
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = a.wait_cycles[i] + b.wait_cycles[i];
  return out;
}

ItemCost operator*(const ItemCost& a, double x) {
  ItemCost out{a.shared_ticks * x, a.alone_ticks * x, a.start_ticks * x, {}};
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = a.wait_cycles[i] * x;
  return out;
}

ir::RowTile representative(const ItemClass& c, std::int64_t rows) {
  ir::RowTile tile;
  tile.rows = rows;
  tile.peers = static_cast<int>(c.peers);
  tile.flag = c.flag;
  const ir::TripRun partial{c.full, c.partial, 1, true};
  const ir::TripRun full{0, c.full, 1, false};
  if (c.partial_first && c.partial > 0) tile.runs.push_back(partial);
  if (c.full > 0) tile.runs.push_back(full);
  if (!c.partial_first && c.partial > 0) tile.runs.push_back(partial);
  return tile;
}

}  // namespace

ItemClass class_of(const ir::RowTile& tile) {
  const std::int64_t partial = tile.partial_trips();
  return {tile.trips() - partial, partial, tile.peers, tile.flag, tile.runs.empty() || tile.runs.front().partial};
}

namespace {

constexpr std::array kAxes{&ItemClass::full, &ItemClass::partial, &ItemClass::peers};

// Where an axis knows only a few short lengths they are played as they are.
constexpr std::size_t kFewLengths = 2;

std::vector<std::int64_t> played_lengths(const ir::Kernel& kernel, std::int64_t ItemClass::*axis) {
  const auto length_of = [axis](const ir::RowTile& tile) -> std::int64_t {
    if (axis == &ItemClass::peers) return tile.peers;
    const std::int64_t partial = tile.partial_trips();
    return axis == &ItemClass::partial ? partial : tile.trips() - partial;
  };
  std::int64_t before = -1;  // of the tile before, which the next is mostly like
  std::vector<std::int64_t> lengths;
  const std::vector<std::int64_t> usual(kPlayedTrips.begin(), kPlayedTrips.end());
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) {
      const std::int64_t length = length_of(tile);
      if (length == before) continue;
      before = length;
      if (std::find(lengths.begin(), lengths.end(), length) != lengths.end()) continue;
      lengths.push_back(length);
      if (lengths.size() > kFewLengths || length > kPlayedTrips.back()) return usual;
    }
  }
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

// Part of the full trips, up to which items of fewer than kSlopeFrom of them need no plays of their own.
constexpr double kNoWeight = 0.01;

bool short_loops_are_few(const ir::Kernel& kernel) {
  double few = 0;
  double all = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) {
      const std::int64_t trips = tile.trips() - tile.partial_trips();
      const auto full = static_cast<double>(trips) * static_cast<double>(family.slab_count);
      all += full;
      if (trips < kSlopeFrom) few += full + static_cast<double>(family.slab_count);
    }
  }
  return few <= kNoWeight * all;
}

std::int64_t most_rows(const ir::Kernel& kernel) {
  std::int64_t rows = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) rows = std::max(rows, tile.rows);
  }
  return rows;
}

// Columns of a loop tile; 0 where tensors are walked in tiles of several widths.
std::int64_t loop_tile_columns(const ir::Program& program) {
  std::int64_t columns = 0;
  for (const ir::Axis& axis : program.axes) {
    if (axis.kind != ir::AxisKind::trip_cols) continue;
    if (columns != 0 && columns != axis.padded) return 0;
    columns = axis.padded;
  }
  return columns;
}

// Valid columns of the loop's last tile where all items visit it and it has the same everywhere; else a whole one's.
std::int64_t last_tile_columns(const ir::Kernel& kernel, std::int64_t columns) {
  std::int64_t last = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    const std::int64_t cut = family.loop_extent % columns;
    if (cut == 0 || (last != 0 && last != cut)) return columns;
    last = cut;
    const auto visits = [&](const ir::TripRun& run) {
      const std::int64_t end = run.first + (run.count - 1) * run.step;
      return run.count > 0 && std::max(run.first, end) == family.loop_extent / columns;
    };
    for (const ir::RowTile& tile : family.tiles) {
      if (std::none_of(tile.runs.begin(), tile.runs.end(), visits)) return columns;
    }
  }
  return last;
}

bool few_short_classes(const ir::Kernel& kernel) {
  std::vector<ItemClass> classes;
  std::int64_t trips = 0;
  for (const ir::ItemFamily& family : kernel.families) {
    for (const ir::RowTile& tile : family.tiles) {
      const ItemClass c = class_of(tile);
      if (std::find(classes.begin(), classes.end(), c) != classes.end()) continue;
      classes.push_back(c);
      trips += c.full + c.partial + c.peers;
      if (trips > kExactTrips) return false;
    }
  }
  return true;
}

}  // namespace

ClassCosts::ClassCosts(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole,
                       const Residency& residency)
    : tensors_(tensors), selected_(without_flags(selected)), slice_(whole) {
  const ir::Kernel& kernel = *selected.kernel;
  exact_ = few_short_classes(kernel);
  lengths_[0].assign(kPlayedTrips.begin(), kPlayedTrips.end());
  for (std::size_t i = 1; i < kAxes.size(); ++i) lengths_[i] = played_lengths(kernel, kAxes[i]);
  few_short_ = short_loops_are_few(kernel);
  item_rows_ = most_rows(kernel);
  tile_columns_ = std::max<std::int64_t>(1, loop_tile_columns(kernel.program));
  last_columns_ = last_tile_columns(kernel, tile_columns_);
  kernel_.name = kernel.name;
  kernel_.program = kernel.program;
  kernel_.grid.policy = kernel.grid.policy == ir::GridPolicy::lists ? ir::GridPolicy::persistent_dynamic : kernel.grid.policy;
  kernel_.grid.cluster = kernel.grid.cluster;  // which fetches shared tiles in parts
  selected_.kernel = &kernel_;
  slice_.sms = 1;
  slice_.cache = nullptr;
  slice_.listener = nullptr;
  slice_.count_work = false;
  slice_.hit_fraction = residency.hit_fraction;
  slice_.tensor_hits = residency.tensor_hits.empty() ? nullptr : &residency.tensor_hits;
  // An SM's transfers run at its port's rate: SMs take turns at L2 and HBM, whose totals bound the whole kernel instead. A
  // fixed share per SM would waste what an SM leaves unused while it computes.
  plan_ = plan_kernel(selected_, chip, slice_);
}

ClassCosts::Row& ClassCosts::row_of(const ItemClass& c) {
  const auto is_of = [&c](const Row& row) {
    const ItemClass& key = row.key;
    return key.partial == c.partial && key.peers == c.peers && key.flag == c.flag && key.partial_first == c.partial_first;
  };
  if (last_row_ != nullptr && is_of(*last_row_)) return *last_row_;
  const auto found = std::find_if(rows_.begin(), rows_.end(), is_of);
  last_row_ = found != rows_.end() ? &*found : &rows_.emplace_back(Row{c, {}, nullptr});
  return *last_row_;
}

const ItemCost& ClassCosts::cost(const ItemClass& c) {
  Row& row = row_of(c);
  const auto full = static_cast<std::size_t>(c.full);
  if (full < row.by_full.size() && row.by_full[full] != nullptr) return *row.by_full[full];
  const ItemCost& made = costs_.emplace_back(exact_ ? played(c) : estimate(c));
  if (full >= row.by_full.size()) row.by_full.resize(std::max(full + 1, 2 * row.by_full.size()), nullptr);
  row.by_full[full] = &made;
  return made;
}

ItemCost ClassCosts::prolonged(const ItemClass& c, const ItemClass& from, std::int64_t ItemClass::*axis, const ItemCost& per_trip) {
  const ItemCost& settled = cost(from);
  ItemCost out = settled + per_trip * static_cast<double>(c.*axis - from.*axis);
  out.start_ticks = settled.start_ticks;
  out.shared_ticks = std::max(1.0, out.shared_ticks);  // below the loop's settled length the line may leave what is possible
  out.alone_ticks = std::max(1.0, out.alone_ticks);
  for (double& cycles : out.wait_cycles) cycles = std::max(0.0, cycles);
  return out;
}

// The first axis whose length is not among the played ones is interpolated or prolonged, the others after it.
ItemCost ClassCosts::estimate(const ItemClass& c) {
  // Items without a full trip are played all the same: the first of a grid says how a kernel starts.
  if (few_short_ && c.full > 0 ? c.full != kPlayedTrips.back() : c.full > kPlayedTrips.back()) {
    ItemClass from = c;
    from.full = kPlayedTrips.back();
    Row& row = row_of(c);  // stays where it is
    if (row.slope == nullptr) row.slope = &slope(from, &ItemClass::full);
    return prolonged(c, from, &ItemClass::full, *row.slope);
  }
  for (std::size_t i = 0; i < kAxes.size(); ++i) {
    const auto axis = kAxes[i];
    const std::int64_t trips = c.*axis;
    const auto upper = std::lower_bound(lengths_[i].begin(), lengths_[i].end(), trips);
    if (upper == lengths_[i].begin() || (upper != lengths_[i].end() && *upper == trips)) continue;
    ItemClass from = c;
    if (upper == lengths_[i].end()) {
      from.*axis = kPlayedTrips.back();
      return prolonged(c, from, axis, slope(from, axis));
    }
    ItemClass to = c;
    from.*axis = *(upper - 1);
    to.*axis = *upper;
    const double share = static_cast<double>(trips - from.*axis) / static_cast<double>(to.*axis - from.*axis);
    return cost(from) * (1 - share) + cost(to) * share;
  }
  return played(c);
}

int ClassCosts::offsets() const {
  const bool shares = kernel_.program.agents.size() > 1 || slice_.ctas_per_sm > 1;
  return shares && slice_.ctas_per_sm < kManySlots ? kStartOffsets / 2 : 1;
}

// The mean over start offsets where agents or CTAs share the SM.
const ItemCost& ClassCosts::played(const ItemClass& c) {
  const auto found = played_.find(c);
  if (found != played_.end()) return found->second;
  ItemCost mean;
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  std::optional<double> alone_ticks;
  for (slice_.start_offset = 0; slice_.start_offset < kStartOffsets; slice_.start_offset += kStartOffsets / offsets()) {
    const ItemCost cost = play_offset(c, alone_ticks);
    low = std::min(low, cost.shared_ticks);
    high = std::max(high, cost.shared_ticks);
    mean = mean + cost * (1.0 / offsets());
  }
  spread_ = std::max(spread_, (high - low) / (high + low));
  return played_.emplace(c, mean).first->second;
}

ItemCost ClassCosts::play_offset(const ItemClass& c, std::optional<double>& alone_ticks) {
  const int slots = slice_.ctas_per_sm;
  const std::int64_t items = (kWarming + kMeasured + (slots > 1 ? 1 : 0)) * slots;
  const MachineResult result = play_items(c, items, slots);
  const Checkpoint& from = checkpoints_[static_cast<std::size_t>(kWarming * slots - 1)];
  const Checkpoint& to = checkpoints_[static_cast<std::size_t>((kWarming + kMeasured) * slots - 1)];
  const auto measured = static_cast<double>(kMeasured * slots);
  ItemCost out;
  out.shared_ticks = std::max(1.0, static_cast<double>(to.ticks - from.ticks) / measured);
  out.start_ticks = std::max(0.0, static_cast<double>(result.ticks) - out.shared_ticks * static_cast<double>(items));
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_cycles[i] = (to.wait_cycles[i] - from.wait_cycles[i]) / measured;
  out.alone_ticks = out.shared_ticks;
  if (slots > 1) {
    out.alone_ticks = alone(alone_ticks, [&] {
      (void)play_items(c, kWarming + kMeasured, 1);
      return static_cast<double>(checkpoints_[kWarming + kMeasured - 1].ticks - checkpoints_[kWarming - 1].ticks) / kMeasured;
    });
  }
  return out;
}

// Per trip of one axis, in a loop that has settled. The class gives peers and flag; other trips count as none.
const ItemCost& ClassCosts::slope(const ItemClass& c, std::int64_t ItemClass::*axis) {
  ItemClass key = c;
  for (const auto other : kAxes) {
    if (other != &ItemClass::peers || axis == &ItemClass::peers) key.*other = 0;
  }
  key.*axis = -1;
  const auto found = slopes_.find(key);
  if (found != slopes_.end()) return found->second;
  ItemClass from = key;
  ItemClass to = key;
  from.*axis = kSlopeFrom;
  to.*axis = kSlopeTo;
  const int slots = slice_.ctas_per_sm;
  const double per_trip = 1.0 / static_cast<double>(kSlopeTo - kSlopeFrom) / offsets();
  ItemCost sum;
  std::optional<double> alone_ticks;
  for (slice_.start_offset = 0; slice_.start_offset < kStartOffsets; slice_.start_offset += kStartOffsets / offsets()) {
    const MachineResult shorter = play_items(from, slots, slots);
    const MachineResult longer = play_items(to, slots, slots);
    ItemCost cost;
    cost.shared_ticks = static_cast<double>(longer.ticks - shorter.ticks) / slots;
    for (std::size_t i = 0; i < kWaitCount; ++i) cost.wait_cycles[i] = (longer.wait_cycles[i] - shorter.wait_cycles[i]) / slots;
    cost.alone_ticks = slots > 1 ? alone(alone_ticks, [&] { return single_ticks(to, 1) - single_ticks(from, 1); }) : cost.shared_ticks;
    sum = sum + cost * per_trip;
  }
  return slopes_.emplace(key, sum).first->second;
}

double ClassCosts::single_ticks(const ItemClass& c, int ctas_per_sm) {
  return static_cast<double>(play_items(c, ctas_per_sm, ctas_per_sm).ticks);
}

MachineResult ClassCosts::play_items(const ItemClass& c, std::int64_t items, int ctas_per_sm) {
  ir::ItemFamily family;
  family.slab_count = items;
  family.loop_extent = (std::max<std::int64_t>(1, c.full + c.partial) - 1) * tile_columns_ + last_columns_;
  if (last_columns_ == tile_columns_) family.loop_extent = INT64_MAX / 1024;
  family.tiles = {representative(c, item_rows_)};
  kernel_.families.clear();
  kernel_.families.push_back(std::move(family));
  checkpoints_.clear();
  MachineConfig config = slice_;
  config.checkpoints = &checkpoints_;
  config.ctas_per_sm = ctas_per_sm;
  return play(selected_, plan_, tensors_, config);
}

}  // namespace attnsim
