// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/trip_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attnsim {

namespace {

// Loop lengths whose difference is the steady trip: beyond the prologue of the deepest pipeline.
constexpr std::int64_t kShortLoop = 8;
constexpr std::int64_t kLongLoop = 16;
constexpr std::int64_t kPartialTrips = 4;
constexpr double kInstantBytesPerTick = 1e6;
constexpr int kMostAhead = 32;

bool has_loop(const ir::Program& program, ir::TripSource source) {
  return std::any_of(program.sections.begin(), program.sections.end(),
                     [&](const ir::Section& s) { return s.kind == ir::SectionKind::loop && s.trips == source; });
}

bool uses_copy_engine(const ir::Program& program) {
  for (const ir::Agent& agent : program.agents) {
    for (const auto& section : agent.sections) {
      for (const ir::Op& op : section) {
        if (op.kind == ir::OpKind::load && (op.copy == ir::CopyKind::tma || op.copy == ir::CopyKind::tma_multicast)) return true;
      }
    }
  }
  return false;
}

}  // namespace

// One SM that plays equal items.
class TripModel::Bench {
 public:
  Bench(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole)
      : selected_(selected), tensors_(tensors), chip_(chip), real_chip_(chip), config_(whole), real_(whole), kernel_(*selected.kernel) {
    kernel_.grid.lists.clear();
    if (kernel_.grid.policy == ir::GridPolicy::lists) kernel_.grid.policy = ir::GridPolicy::persistent_dynamic;
    selected_.kernel = &kernel_;  // same program, other items
    for (const ir::Axis& axis : kernel_.program.axes) {
      if (axis.kind == ir::AxisKind::trip_cols) columns_ = axis.padded;
    }
    real();
  }

  // Loads answer at once, or after `response` cycles, or as the chip says.
  void instant() {
    config_.load_latency = false;
    config_.rates = {kInstantBytesPerTick, kInstantBytesPerTick, kInstantBytesPerTick};
  }
  void respond_after(double cycles) {
    instant();
    config_.load_latency = true;
    chip_.latency.l2_cycles = cycles;
    chip_.latency.copy_engine_cycles = 0;
  }
  void real() {
    const int offset = config_.start_offset;
    config_ = real_;
    config_.sms = 1;
    config_.cache = nullptr;
    config_.listener = nullptr;
    config_.attribute = false;
    config_.count_work = false;
    config_.hit_fraction = 1;
    config_.start_offset = offset;
    chip_ = real_chip_;
  }
  void offset(int start_offset) { config_.start_offset = start_offset; }

  double ticks(const Shape& shape, std::int64_t items, int ctas) {
    ir::RowTile tile;
    tile.rows = shape.rows;
    tile.peers = static_cast<int>(shape.peers);
    tile.flag = shape.flag;
    if (shape.partial > 0) tile.runs.push_back({shape.full, shape.partial, 1, true});
    if (shape.full > 0) tile.runs.push_back({0, shape.full, 1, false});
    ir::ItemFamily family;
    family.slab_count = items;
    family.loop_extent = (shape.full + shape.partial) * columns_ - shape.missing;
    family.tiles = {tile};
    kernel_.families = {family};
    config_.ctas_per_sm = ctas;
    ends_.clear();
    config_.checkpoints = &ends_;
    last_ = play(selected_, tensors_, chip_, config_);
    return static_cast<double>(last_.ticks);
  }
  [[nodiscard]] const MachineResult& last() const { return last_; }
  // End of the n-th item of the last play, n from 1.
  [[nodiscard]] double end_of(int n) const { return static_cast<double>(ends_[static_cast<std::size_t>(n) - 1].ticks); }

 private:
  SelectedKernel selected_;
  const std::vector<ir::Tensor>& tensors_;
  Chip chip_;
  const Chip& real_chip_;
  MachineConfig config_;
  const MachineConfig& real_;
  ir::Kernel kernel_;
  std::int64_t columns_ = 1;
  MachineResult last_;
  std::vector<Checkpoint> ends_;
};

// Duration of one item in a steady succession of items, alone and with every slot taken. Start offsets matter to those that share.
TripCost TripModel::steady(const Shape& shape, int ctas) {
  const auto one = [&](int slots) {
    (void)bench_->ticks(shape, 4 * slots, slots);
    return (bench_->end_of(4 * slots) - bench_->end_of(slots)) / 3;
  };
  TripCost out;
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  for (int offset = 0; offset < offsets_; ++offset) {
    bench_->offset(offset);
    const double ticks = one(ctas);
    out.shared_ticks += ticks / offsets_;
    low = std::min(low, ticks);
    high = std::max(high, ticks);
  }
  spread = std::max(spread, (high - low) / std::max(1.0, high + low));
  bench_->offset(0);
  out.alone_ticks = ctas > 1 ? one(1) : out.shared_ticks;
  return out;
}

namespace {

TripCost per_trip(const TripCost& more, const TripCost& less, std::int64_t trips) {
  const auto n = static_cast<double>(trips);
  return {(more.alone_ticks - less.alone_ticks) / n, (more.shared_ticks - less.shared_ticks) / n};
}

}  // namespace

TripModel::~TripModel() = default;

TripModel::TripModel(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole)
    : bench_(std::make_unique<Bench>(selected, tensors, chip, whole)),
      plan_(plan_kernel(selected, chip, whole)),
      copies_(selected, tensors, plan_, nullptr),
      port_(whole.rates.port),
      persistent_(selected.kernel->grid.policy != ir::GridPolicy::one_item_per_cta),
      slots_(whole.ctas_per_sm) {
  const ir::Kernel& kernel = *selected.kernel;
  for (const ir::Axis& axis : kernel.program.axes) {
    if (axis.kind == ir::AxisKind::trip_cols) tile_columns_ = axis.padded;
  }
  run_loops_ = std::max<std::int64_t>(
      1, std::count_if(kernel.program.sections.begin(), kernel.program.sections.end(),
                       [](const ir::Section& x) { return x.kind == ir::SectionKind::loop && x.trips == ir::TripSource::runs; }));
  runs_ = has_loop(kernel.program, ir::TripSource::runs);
  peers_ = has_loop(kernel.program, ir::TripSource::peers);
  bool masked = false;
  Shape base;
  for (const ir::ItemFamily& f : kernel.families) {
    for (const ir::RowTile& t : f.tiles) {
      masked = masked || t.partial_trips() > 0;
      base.peers = std::max<std::int64_t>(base.peers, t.peers);
      base.rows = std::max(base.rows, t.rows);
    }
  }
  base.full = runs_ ? kShortLoop : 0;
  base.flag = kernel.families.front().tiles.front().flag;
  if (peers_ && !runs_) base.peers = kShortLoop;
  Shape longer = base;
  (runs_ ? longer.full : longer.peers) = kLongLoop;
  Shape masked_base = base;
  masked_base.partial = kPartialTrips;
  offsets_ = whole.start_offsets && (kernel.program.agents.size() > 1 || slots_ > 1) ? kStartOffsets : 1;
  const std::int64_t more_trips = (kLongLoop - kShortLoop) * run_loops_;
  const auto trips = [&](TripCost& unmasked, TripCost& with_mask) {
    const TripCost at_base = steady(base, slots_);
    unmasked = per_trip(steady(longer, slots_), at_base, more_trips);
    if (masked) with_mask = per_trip(steady(masked_base, slots_), at_base, kPartialTrips * run_loops_);
  };
  if (runs_ || peers_) {
    bench_->instant();
    trips(runs_ ? full : peer, partial);
    bench_->real();
    if (persistent_) trips(runs_ ? full_hit_ : peer_hit_, partial_hit_);
  }
  if (!masked) partial = full;
  const auto tick = static_cast<double>(kTicksPerCycle);
  const double copy_cycles = uses_copy_engine(kernel.program) ? chip.latency.copy_engine_cycles : 0;
  if (whole.load_latency) response_ticks = (chip.latency.l2_cycles + copy_cycles) * tick;
  const double compute = runs_ ? full.alone_ticks : peer.alone_ticks;
  if (compute > 0) {
    // Two responses that nothing hides: longer than all the work of the loop's deepest pipeline.
    const double r = std::max(4 * compute, response_ticks) * 2;
    const auto exposed = [&](double response) {
      bench_->respond_after(response / tick);
      return (bench_->ticks(longer, 1, 1) - bench_->ticks(base, 1, 1)) / static_cast<double>(more_trips);
    };
    const double near = exposed(r);
    const double far = exposed(2 * r);
    bench_->real();
    const double per_response = std::max(1.0 / kMostAhead, (far - near) / r);
    ahead = std::max(1, static_cast<int>(std::lround(1 / per_response)));
    exposure = per_response * ahead;
    early_ticks = std::clamp(compute - (near - per_response * r) * ahead, 0.0, compute);
  }
  (void)bench_->ticks(base, 4, 1);
  start_ticks = std::max(0.0, bench_->end_of(1) - (bench_->end_of(4) - bench_->end_of(1)) / 3);
  for (double w : bench_->last().wait_cycles) wait_cycles_per_tick.push_back(w / static_cast<double>(bench_->last().ticks));
}

double TripModel::chain(const ir::Item& item, const Shape& shape, double prologue, double TripCost::*kind, int ctas) {
  const std::int64_t steps = std::max<std::int64_t>(1, runs_ ? (shape.full + shape.partial) * run_loops_ : shape.peers);
  const bool loops = runs_ || peers_;
  std::vector<double> freed(static_cast<std::size_t>(steps), 0);
  const std::int64_t all = copies_.steps(*item.tile);
  Moved moved;
  double port_free = 0;
  double end = std::max(0.0, prologue);
  for (std::int64_t j = 0; j < steps; ++j) {
    const double issue = j < ahead ? 0 : freed[static_cast<std::size_t>(j - ahead)];
    copies_.move(item, std::min(j, all - 1), moved);
    double bytes = 0;
    for (const ItemCopy& copy : moved) bytes += copy.bytes;
    const double begin = std::max(port_free, issue);
    port_free = begin + bytes * ctas / port_;
    const double first = moved.empty() ? 0 : bytes / static_cast<double>(moved.size()) / port_;
    const double response = begin + first - issue + response_ticks;
    if (j > 0) end = std::max(end, issue + response * exposure);
    double cost = 0;
    if (loops) {
      const TripKind trip = copies_.kind(*item.tile, std::min(j, all - 1));
      cost = trip == TripKind::peer ? peer.*kind : trip == TripKind::partial ? partial.*kind : full.*kind;
    }
    if (j == 0) cost = std::max(0.0, cost + std::min(0.0, prologue));
    end += cost;
    const double alone = std::max({1.0, full.alone_ticks, peer.alone_ticks});
    freed[static_cast<std::size_t>(j)] = end - cost * early_ticks / alone;
  }
  return end;
}

const TripCost& TripModel::item(const ir::Item& item) {
  const ir::RowTile& tile = *item.tile;
  const ir::ItemFamily& family = *item.family;
  Shape shape;
  if (runs_) {
    shape.partial = tile.partial_trips();
    shape.full = std::min(kShortLoop, tile.trips() - shape.partial);
    shape.partial = std::min(kPartialTrips, shape.partial);
    for (const ir::TripRun& run : tile.runs) {
      const std::int64_t last = std::max(run.first, run.first + (run.count - 1) * run.step);
      shape.missing = std::max<std::int64_t>(shape.missing, (last + 1) * tile_columns_ - family.loop_extent);
    }
  }
  shape.rows = tile.rows;
  shape.peers = runs_ ? tile.peers : std::min<std::int64_t>(kShortLoop, tile.peers);
  shape.flag = tile.flag;
  const auto found = items_.find(shape);
  if (found != items_.end()) return found->second;
  TripCost cost = steady(shape, slots_);
  const auto without_trips = [&](double TripCost::*kind) {
    const double whole = cost.*kind;
    const auto n = [](std::int64_t trips) { return static_cast<double>(trips); };
    if (persistent_) {
      cost.*kind = whole - n(shape.full * run_loops_) * (full_hit_.*kind) - n(shape.partial * run_loops_) * (partial_hit_.*kind) -
                   (runs_ ? 0.0 : n(shape.peers) * (peer_hit_.*kind));
      return;
    }
    // What makes an isolated item as long as the measured one.
    const int ctas = kind == &TripCost::alone_ticks ? 1 : slots_;
    double prologue = whole - n(shape.full * run_loops_) * (full.*kind) - n(shape.partial * run_loops_) * (partial.*kind) -
                      (runs_ ? 0.0 : n(shape.peers) * (peer.*kind));
    for (int round = 0; round < 6; ++round) prologue -= std::max(0.0, chain(item, shape, prologue, kind, ctas) - whole);
    cost.*kind = prologue;
  };
  without_trips(&TripCost::alone_ticks);
  without_trips(&TripCost::shared_ticks);
  return items_.emplace(shape, cost).first->second;
}

}  // namespace attnsim
