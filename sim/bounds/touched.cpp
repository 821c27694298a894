// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/touched.h"

#include <algorithm>
#include <map>
#include <set>

#include "sim/bounds/extents.h"
#include "sim/bounds/group_rows.h"

namespace attnsim::bounds {

namespace {

// Intervals in the order in which they come; one that meets the last grows it (row tiles come in order, so most do).
class Gathered {
 public:
  void add(Interval next) {
    if (any_ && next.begin <= last_.end && last_.begin <= next.end) {
      last_ = {std::min(last_.begin, next.begin), std::max(last_.end, next.end)};
      return;
    }
    if (any_) before_.push_back(last_);
    last_ = next;
    any_ = true;
  }
  // Sorted and disjoint; nothing is left here.
  [[nodiscard]] std::vector<Interval> take() {
    if (any_) before_.push_back(last_);
    any_ = false;
    return merged(std::move(before_));
  }

 private:
  std::vector<Interval> before_;
  Interval last_;
  bool any_ = false;
};

// Visited tile indices of many row tiles as a set of intervals; dilated runs (|step| > 1) are expanded once per distinct run.
class VisitedTiles {
 public:
  void add(const ir::TripRun& run) {
    if (run.count <= 0) return;
    const std::int64_t last = run.first + (run.count - 1) * run.step;
    const std::int64_t low = std::min(run.first, last);
    const std::int64_t high = std::max(run.first, last);
    const std::int64_t stride = run.step < 0 ? -run.step : run.step;
    if (stride <= 1 || run.count == 1) {
      spans_.add({low, high + 1});
    } else if (seen_.insert({low, run.count, stride}).second) {
      for (std::int64_t v = low; v <= high; v += stride) spans_.add({v, v + 1});
    }
  }
  [[nodiscard]] std::vector<Interval> take() { return spans_.take(); }

 private:
  struct Run {
    std::int64_t low, count, stride;
    auto operator<=>(const Run&) const = default;
  };
  Gathered spans_;
  std::set<Run> seen_;
};

bool acts(const ir::RowTile& tile, const ir::Section& section, ir::When when) {
  const bool in_any = when == ir::When::always || when == ir::When::first_trip || when == ir::When::last_trip;
  if (!in_any || section.kind != ir::SectionKind::loop || section.trips != ir::TripSource::runs)
    return acting_trips(tile, section, when) > 0;
  return std::any_of(tile.runs.begin(), tile.runs.end(), [](const ir::TripRun& run) { return run.count > 0; });
}

class Collector {
 public:
  Collector(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors)
      : kernel_(kernel), tensors_(tensors), touch_(tensors.size()) {}

  std::vector<TensorTouch> run() {
    const ir::Program& program = kernel_.program;
    for (const ir::Agent& agent : program.agents) {
      for (std::size_t s = 0; s < agent.sections.size(); ++s) {
        for (const ir::Op& op : agent.sections[s]) {
          if (ir::info(op.kind).op_class != ir::OpClass::copy) continue;
          for (const ir::ItemFamily& family : kernel_.families) collect(op, program.sections[s], family);
        }
      }
    }
    return std::move(touch_);
  }

 private:
  void collect(const ir::Op& op, const ir::Section& section, const ir::ItemFamily& family) {
    const Groups groups = op.access.add_split ? by_split(family) : Groups{};
    for (const auto& [split, tiles] : op.access.add_split ? groups : all_of(family)) {
      if (op.access.add_trip) {
        by_trip(op, section, family, split, tiles);
      } else {
        by_rows(op, section, family, split, tiles);
      }
    }
  }

  using Groups = std::map<int, std::vector<const ir::RowTile*>>;
  static Groups by_split(const ir::ItemFamily& family) {
    Groups groups;
    for (const ir::RowTile& tile : family.tiles) groups[tile.split].push_back(&tile);
    return groups;
  }
  const Groups& all_of(const ir::ItemFamily& family) {
    if (last_ != &family) {
      all_.clear();
      if (!family.tiles.empty()) {
        std::vector<const ir::RowTile*>& tiles = all_[0];
        tiles.reserve(family.tiles.size());
        for (const ir::RowTile& tile : family.tiles) tiles.push_back(&tile);
      }
      last_ = &family;
    }
    return all_;
  }

  [[nodiscard]] const ir::Axis* axis(ir::AxisId id) const {
    return id == ir::kUnit ? nullptr : &kernel_.program.axes[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] const ir::Tile& tile_of(const ir::Op& op) const { return kernel_.program.tiles[static_cast<std::size_t>(copied_tile(op))]; }

  [[nodiscard]] std::int64_t valid(const ir::Axis* a, const ir::ItemFamily& family, const ir::RowTile& tile, std::int64_t visited) const {
    if (a == nullptr) return 1;
    switch (a->kind) {
      case ir::AxisKind::fixed: return a->valid;
      case ir::AxisKind::item_rows: return valid_rows(*a, tile);
      case ir::AxisKind::trip_cols: return std::clamp<std::int64_t>(family.loop_extent - visited * a->padded, 0, a->padded);
    }
    return 0;
  }

  // Rows of a tile that are not those of a trip.
  [[nodiscard]] Interval rows_at(const ir::Op& op, const ir::Axis* rows, const ir::ItemFamily& family, const ir::RowTile& tile,
                                 std::int64_t visited = 0) const {
    const std::int64_t begin = op.access.row_offset + (op.access.row_from == ir::RowFrom::item ? tile.row_begin : 0);
    return {begin, begin + valid(rows, family, tile, visited)};
  }

  // The slab does not depend on the trip: rows of all tiles of the family form one union.
  void by_rows(const ir::Op& op, const ir::Section& section, const ir::ItemFamily& family, int split,
               const std::vector<const ir::RowTile*>& tiles) {
    const ir::Tile& shape = tile_of(op);
    const ir::Axis* rows = axis(shape.rows);
    const ir::Axis* cols = axis(shape.cols);
    const bool trip_rows = op.access.row_from == ir::RowFrom::trip;
    Gathered gathered;
    VisitedTiles visited;
    std::int64_t width = 0;
    ir::TripRuns selected;
    const Walk walk{&family, &section, split, op.when};
    const bool even = cols == nullptr || cols->kind == ir::AxisKind::fixed;  // one width in all trips
    const bool known = trip_rows && even && walk == last_walk_;              // V is walked as K is
    const bool unconditional = op.when != ir::When::item_flag && op.when != ir::When::not_item_flag;
    const bool once = section.kind == ir::SectionKind::once;
    if (once && unconditional && !trip_rows && (cols == nullptr || cols->kind != ir::AxisKind::item_rows)) {
      width = tiles.empty() ? 0 : valid(cols, family, *tiles.front(), 0);
      return emit(op, family, split, 0, 1, width, in_tensor(op.access, once_rows(op, shape.rows, family, split, tiles)));
    }
    if (once) selected = {ir::TripRun{0, 1, 1, false}};
    if (known) width = last_visited_.empty() ? 0 : valid(cols, family, *tiles.front(), 0);
    // Where the op acts at all, it acts in all trips of a tile; or it touches the same in any of them.
    const bool as_it_is =
        section.kind == ir::SectionKind::loop && section.trips == ir::TripSource::runs && (op.when == ir::When::always || !unconditional);
    const bool any_trip = !trip_rows && even && (rows == nullptr || rows->kind != ir::AxisKind::trip_cols);
    for (const ir::RowTile* tile : tiles) {
      if (known) break;
      if (any_trip) {
        if (!acts(*tile, section, op.when)) continue;
        if (width == 0) width = valid(cols, family, *tile, 0);
        gathered.add(rows_at(op, rows, family, *tile));
        continue;
      }
      if (!unconditional && tile->flag != (op.when == ir::When::item_flag)) continue;
      if (!as_it_is && !once) selected = acting_runs(*tile, section, op.when);
      const ir::TripRuns& acting = as_it_is ? tile->runs : selected;
      if (std::none_of(acting.begin(), acting.end(), [](const ir::TripRun& run) { return run.count > 0; })) continue;
      for (const ir::TripRun& run : acting) {
        if (run.count <= 0) continue;
        if (!even || width == 0) {
          const std::int64_t lowest = run.step < 0 ? run.first + (run.count - 1) * run.step : run.first;
          width = std::max(width, valid(cols, family, *tile, lowest));
        }
        if (trip_rows) visited.add(run);
      }
      if (!trip_rows) gathered.add(rows_at(op, rows, family, *tile, acting.front().first));
    }
    if (trip_rows && !tiles.empty()) {
      const std::int64_t padded = rows == nullptr ? 1 : rows->padded;
      if (!known) last_visited_ = visited.take();
      last_walk_ = walk;
      const Placed placed{padded, op.access.row_offset, op.access.row_group, op.access.order};
      if (known && placed == last_placed_) return emit(op, family, split, 0, 1, width, last_rows_);
      last_placed_ = placed;
      for (const Interval& span : last_visited_) {
        const std::int64_t last = span.end - 1;
        gathered.add(
            {op.access.row_offset + span.begin * padded, op.access.row_offset + last * padded + valid(rows, family, *tiles.front(), last)});
      }
    }
    std::vector<Interval> touched = in_tensor(op.access, gathered.take());
    if (trip_rows) last_rows_ = touched;
    emit(op, family, split, 0, 1, width, touched);
  }

  // Rows of all tiles of the family, once per item.
  const std::vector<Interval>& once_rows(const ir::Op& op, ir::AxisId rows, const ir::ItemFamily& family, int split,
                                         const std::vector<const ir::RowTile*>& tiles) {
    const OnceRows wanted{&family, split, rows, op.access.row_from, op.access.row_offset};
    if (wanted == last_once_) return once_rows_;
    last_once_ = wanted;
    Gathered gathered;
    for (const ir::RowTile* tile : tiles) gathered.add(rows_at(op, axis(rows), family, *tile));
    once_rows_ = gathered.take();
    return once_rows_;
  }

  // Places of an order as rows of the tensor.
  [[nodiscard]] std::vector<Interval> in_tensor(const ir::Access& access, std::vector<Interval> places) const {
    if (access.row_group > 1) {
      for (Interval& rows : places) rows = {rows.begin / access.row_group, (rows.end - 1) / access.row_group + 1};
      places = merged(std::move(places));
    }
    if (access.order == ir::kNone) return places;
    const ir::RowOrder& order = kernel_.program.orders[static_cast<std::size_t>(access.order)];
    if (order.has_groups()) return merged(group_rows(order, places));
    if (places.size() == 1 && places.front().begin == 0 && places.front().end >= order.places())
      return {{0, order.row(places.front().end)}};
    Gathered rows;
    for (const Interval& interval : places) {
      for (std::int64_t place = interval.begin; place < interval.end; ++place) {
        const std::int64_t row = order.row(place);
        if (row != ir::RowOrder::kPadding) rows.add({row, row + 1});
      }
    }
    return rows.take();
  }

  // One slab per visited tile: consecutive ones that are touched alike form a progression.
  void by_trip(const ir::Op& op, const ir::Section& section, const ir::ItemFamily& family, int split,
               const std::vector<const ir::RowTile*>& tiles) {
    const ir::Tile& shape = tile_of(op);
    for (const ir::RowTile* tile : tiles) {
      VisitedTiles visited;
      for (const ir::TripRun& run : acting_runs(*tile, section, op.when)) visited.add(run);
      for (const Interval& span : visited.take()) {
        const auto emit_span = [&](std::int64_t begin, std::int64_t end) {
          const std::int64_t count = valid(axis(shape.rows), family, *tile, begin);
          const std::int64_t row = op.access.row_offset + (op.access.row_from == ir::RowFrom::item ? tile->row_begin : 0);
          emit(op, family, split, begin, end - begin, valid(axis(shape.cols), family, *tile, begin), merged({{row, row + count}}));
        };
        // The last visited tile may be ragged.
        const std::int64_t last = span.end - 1;
        const bool alike = valid(axis(shape.rows), family, *tile, last) == valid(axis(shape.rows), family, *tile, span.begin) &&
                           valid(axis(shape.cols), family, *tile, last) == valid(axis(shape.cols), family, *tile, span.begin);
        emit_span(span.begin, alike ? span.end : last);
        if (!alike) emit_span(last, span.end);
      }
    }
  }

  void emit(const ir::Op& op, const ir::ItemFamily& family, int split, std::int64_t first_trip, std::int64_t trips, std::int64_t width,
            const std::vector<Interval>& rows) {
    const ir::Access& access = op.access;
    const ir::Tensor& tensor = tensors_[static_cast<std::size_t>(access.tensor)];
    if (width > 0) width += access.column_begin;
    width = std::min(width, tensor.cols);
    if (rows.empty() || width <= 0 || family.slab_count <= 0) return;
    const std::int64_t period = access.slab_period;
    std::int64_t from = period > 0 ? family.slab_begin % period : family.slab_begin;
    std::int64_t to = from + family.slab_count - 1;
    if (period > 0 && to >= period) {
      from = 0;
      to = period - 1;
    }
    const std::int64_t first = from / access.slab_divisor;
    const std::int64_t last = to / access.slab_divisor;
    const std::int64_t slabs = access.slab_multiplier == 0 ? 1 : (last - first + 1) * access.row_group;
    const std::int64_t base = first * access.slab_multiplier * access.row_group + split + first_trip;
    TensorTouch& touch = touch_[static_cast<std::size_t>(access.tensor)];
    const bool reads = op.kind == ir::OpKind::load || op.kind == ir::OpKind::gather;
    std::vector<TouchedBlock>& out = reads ? touch.read : touch.written;
    if (trips == access.slab_multiplier || slabs == 1) {
      out.push_back({base, slabs == 1 ? trips : slabs * trips, 1, width, rows});
    } else if (slabs <= trips) {
      for (std::int64_t i = 0; i < slabs; ++i) out.push_back({base + i * access.slab_multiplier, trips, 1, width, rows});
    } else {
      for (std::int64_t t = 0; t < trips; ++t) out.push_back({base + t, slabs, access.slab_multiplier, width, rows});
    }
  }

  const ir::Kernel& kernel_;
  const std::vector<ir::Tensor>& tensors_;
  std::vector<TensorTouch> touch_;
  struct Walk {
    const ir::ItemFamily* family = nullptr;
    const ir::Section* section = nullptr;
    int split = 0;
    ir::When when = ir::When::always;
    bool operator==(const Walk&) const = default;
  };
  Walk last_walk_;  // of a loop's rows, and what it visits
  std::vector<Interval> last_visited_;
  struct Placed {
    std::int64_t padded = 0;
    int row_offset = 0;
    int row_group = 1;
    int order = ir::kNone;
    bool operator==(const Placed&) const = default;
  };
  Placed last_placed_;  // and which rows of the tensor those are
  std::vector<Interval> last_rows_;
  struct OnceRows {
    const ir::ItemFamily* family = nullptr;
    int split = 0;
    ir::AxisId rows = ir::kUnit;
    ir::RowFrom from = {};
    std::int64_t offset = 0;
    bool operator==(const OnceRows&) const = default;
  };
  OnceRows last_once_;  // and the rows that such an op touches
  std::vector<Interval> once_rows_;
  const ir::ItemFamily* last_ = nullptr;
  Groups all_;  // of the last family
};

double length(const std::vector<Interval>& intervals) {
  std::int64_t sum = 0;
  for (const Interval& i : intervals) sum += i.end - i.begin;
  return static_cast<double>(sum);
}

// Elements of one slab touched by any of the blocks; they all start at column 0, so a row counts with its widest block.
double slab_elements(std::vector<const TouchedBlock*> blocks) {
  if (blocks.size() == 1) return length(blocks[0]->rows) * static_cast<double>(blocks[0]->width);
  std::stable_sort(blocks.begin(), blocks.end(), [](const TouchedBlock* a, const TouchedBlock* b) { return a->width > b->width; });
  std::vector<Interval> rows;
  double elements = 0;
  double covered = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    rows.insert(rows.end(), blocks[i]->rows.begin(), blocks[i]->rows.end());
    if (i + 1 < blocks.size() && blocks[i + 1]->width == blocks[i]->width) continue;
    rows = merged(std::move(rows));
    elements += (length(rows) - covered) * static_cast<double>(blocks[i]->width);
    covered = length(rows);
  }
  return elements;
}

// Blocks of one progression of slabs, sorted into stretches on which the same blocks are active.
double progression_elements(std::vector<const TouchedBlock*> blocks, std::int64_t step) {
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const TouchedBlock* a, const TouchedBlock* b) { return a->first_slab < b->first_slab; });
  const auto begin_of = [&](const TouchedBlock* b) { return b->first_slab / step; };
  std::vector<const TouchedBlock*> active;
  std::size_t next = 0;
  std::int64_t at = 0;
  double elements = 0;
  while (next < blocks.size() || !active.empty()) {
    if (active.empty()) at = begin_of(blocks[next]);
    while (next < blocks.size() && begin_of(blocks[next]) == at) active.push_back(blocks[next++]);
    std::int64_t until = next < blocks.size() ? begin_of(blocks[next]) : INT64_MAX;
    for (const TouchedBlock* b : active) until = std::min(until, begin_of(b) + b->slab_count);
    elements += slab_elements(active) * static_cast<double>(until - at);
    at = until;
    std::erase_if(active, [&](const TouchedBlock* b) { return begin_of(b) + b->slab_count <= at; });
  }
  return elements;
}

// Strided blocks next to blocks of another stride become single slabs, unless there are too many.
std::vector<TouchedBlock> of_one_stride(std::vector<TouchedBlock> blocks) {
  constexpr std::int64_t kMostSlabs = 1 << 16;
  std::set<std::int64_t> strides;
  std::int64_t strided_slabs = 0;
  for (TouchedBlock& block : blocks) {
    if (block.slab_count == 1) block.slab_step = 1;
    strides.insert(block.slab_step);
    if (block.slab_step != 1) strided_slabs += block.slab_count;
  }
  if (strides.size() <= 1 || strided_slabs > kMostSlabs) return blocks;
  std::vector<TouchedBlock> out;
  for (const TouchedBlock& block : blocks) {
    if (block.slab_step == 1) {
      out.push_back(block);
      continue;
    }
    for (std::int64_t i = 0; i < block.slab_count; ++i)
      out.push_back({block.first_slab + i * block.slab_step, 1, 1, block.width, block.rows});
  }
  return out;
}

// Lists that are put behind one another are mostly few and in order.
void sort_by_begin(std::vector<Interval>& intervals) {
  constexpr int kFewLists = 4;
  const auto earlier = [](const Interval& a, const Interval& b) { return a.begin < b.begin; };
  auto sorted = std::is_sorted_until(intervals.begin(), intervals.end(), earlier);
  for (int lists = 1; sorted != intervals.end(); ++lists) {
    if (lists == kFewLists) return std::sort(intervals.begin(), intervals.end(), earlier);
    const auto next = std::is_sorted_until(sorted, intervals.end(), earlier);
    std::inplace_merge(intervals.begin(), sorted, next, earlier);
    sorted = next;
  }
}

}  // namespace

std::vector<Interval> merged(std::vector<Interval> intervals) {
  std::erase_if(intervals, [](const Interval& i) { return i.end <= i.begin; });
  sort_by_begin(intervals);
  std::vector<Interval> out;
  for (const Interval& i : intervals) {
    if (!out.empty() && i.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, i.end);
    } else {
      out.push_back(i);
    }
  }
  return out;
}

std::vector<TensorTouch> touched_by(const ir::Kernel& kernel, const std::vector<ir::Tensor>& tensors) {
  return Collector(kernel, tensors).run();
}

double union_bytes(const std::vector<TouchedBlock>& blocks, const ir::Tensor& tensor) {
  if (blocks.empty()) return 0;
  const double bytes = ir::bits_of(tensor.dtype) / 8.0;
  const TouchedBlock& one = blocks.front();
  const auto beside = [&one](const TouchedBlock& b) {
    return b.first_slab == one.first_slab && b.slab_count == one.slab_count && b.slab_step == one.slab_step;
  };
  if (std::all_of(blocks.begin(), blocks.end(), beside)) {
    std::vector<const TouchedBlock*> all;
    for (const TouchedBlock& block : blocks) all.push_back(&block);
    return slab_elements(std::move(all)) * static_cast<double>(one.slab_count) * bytes;
  }
  const std::vector<TouchedBlock> alike = of_one_stride(blocks);
  std::map<std::int64_t, std::map<std::int64_t, std::vector<const TouchedBlock*>>> progressions;  // step, residue
  for (const TouchedBlock& block : alike) progressions[block.slab_step][block.first_slab % block.slab_step].push_back(&block);
  double elements = 0;
  for (const auto& [step, residues] : progressions) {
    double sum = 0;
    for (const auto& [residue, group] : residues) sum += progression_elements(group, step);
    elements = std::max(elements, sum);
  }
  return elements * bytes;
}

}  // namespace attnsim::bounds
