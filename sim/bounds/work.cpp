// SPDX-License-Identifier: Apache-2.0
#include "sim/bounds/work.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "sim/bounds/chain.h"
#include "sim/bounds/extents.h"
#include "sim/select/isa_table.h"

namespace attnsim::bounds {

namespace {

using ir::Fn;
using ir::OpKind;

bool is_mask_work(const ir::Op& op) {
  return op.role == "mask" || op.kind == OpKind::iota || op.kind == OpKind::compare || op.kind == OpKind::select ||
         op.fn == Fn::logical_and || op.fn == Fn::logical_or || op.fn == Fn::logical_not;
}

// What a schedule computes a second time instead of keeping it; its roles say so.
bool is_repeated(const ir::Op& op) {
  return op.role.rfind("recompute", 0) == 0;
}

// Lane operations of a step's ops on one pipe, by their own rules: what the step's contracted total is shared out by.
struct LaneShare {
  double padded = 0;
  double useful = 0;
  double padded_exp = 0;
  double useful_exp = 0;
  [[nodiscard]] double of(double useful_part) const { return padded > 0 ? useful_part / padded : 0; }
};

class Counter {
 public:
  Counter(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip)
      : selected_(selected),
        kernel_(*selected.kernel),
        program_(kernel_.program),
        tensors_(tensors),
        chip_(chip),
        table_(load_isa_table(chip.isa)) {
    for (const ir::Agent& agent : program_.agents) layouts_.push_back(lane_layout(table_, program_, agent));
  }

  // Row tiles that differ in the number of full trips alone give an arithmetic progression in all that is counted: its two
  // ends are counted, the rest lies on the line between them.
  KernelWork run() {
    for (const ir::ItemFamily& family : kernel_.families) {
      const std::size_t first = total_.classes.size();
      total_.items += family.item_count();
      total_.classes.resize(first + family.tiles.size());
      ItemClass* classes = total_.classes.data() + first;
      const std::vector<int> sharers = group_sizes(family);
      const std::vector<std::int64_t> full = full_trips(family);
      for (const std::vector<std::size_t>& alike : progressions(family, sharers, full)) {
        const auto counted = [&](std::size_t t) { return count_one({&family, &family.tiles[t]}, 1.0 / sharers[t]); };
        const KernelWork low = counted(alike.front());
        add_scaled(total_, low, static_cast<double>(alike.size()));
        if (alike.size() == 1) {
          classes[alike.front()] = low.classes.front();
          continue;
        }
        const KernelWork high = counted(alike.back());
        const std::int64_t from = full[alike.front()];
        const std::int64_t span = full[alike.back()] - from;
        double way = 0;
        for (const std::size_t t : alike) {
          const double x = span == 0 ? 0 : static_cast<double>(full[t] - from) / static_cast<double>(span);
          way += x;
          put_between(low.classes.front(), high.classes.front(), x, classes[t]);
          classes[t].tile = &family.tiles[t];
        }
        add_scaled(total_, high, way);
        add_scaled(total_, low, -way);
      }
    }
    return std::move(total_);
  }

 private:
  // By tile.
  static std::vector<std::int64_t> full_trips(const ir::ItemFamily& family) {
    std::vector<std::int64_t> full;
    full.reserve(family.tiles.size());
    for (const ir::RowTile& tile : family.tiles) full.push_back(tile.trips() - tile.partial_trips());
    return full;
  }

  // By tile: items that share its rows, of which one arrives last. Such tiles stand side by side.
  static std::vector<int> group_sizes(const ir::ItemFamily& family) {
    std::vector<int> of_tile(family.tiles.size(), 1);
    for (std::size_t begin = 0; begin < of_tile.size();) {
      std::size_t end = begin + 1;
      while (end < of_tile.size() && family.tiles[end].row_begin == family.tiles[begin].row_begin) ++end;
      std::fill(of_tile.begin() + static_cast<std::ptrdiff_t>(begin), of_tile.begin() + static_cast<std::ptrdiff_t>(end),
                static_cast<int>(end - begin));
      begin = end;
    }
    return of_tile;
  }

  // Tiles by all that they can differ in but full trips, in order of these; tiles of few trips stand alone.
  [[nodiscard]] std::vector<std::vector<std::size_t>> progressions(const ir::ItemFamily& family, const std::vector<int>& sharers,
                                                                   const std::vector<std::int64_t>& full_of) const {
    constexpr std::int64_t kFewTrips = 2;  // first, last and other trips are different ones
    constexpr std::int64_t kManyRuns = 3;
    std::int64_t columns = 1;
    for (const ir::Axis& axis : program_.axes) {
      if (axis.kind == ir::AxisKind::trip_cols) columns = std::max<std::int64_t>(columns, axis.padded);
    }
    const std::int64_t ragged = family.loop_extent / columns;  // tiles from here on are not full
    using Key = std::array<std::int64_t, 12>;
    std::map<Key, std::vector<std::size_t>> groups;
    const auto equal = [](const Key& a, const Key& b) {  // without a call of memcmp
      std::int64_t differ = 0;
      for (std::size_t i = 0; i < a.size(); ++i) differ |= a[i] ^ b[i];
      return differ == 0;
    };
    auto at = groups.end();  // of the tile before, which the next is mostly like
    for (std::size_t t = 0; t < family.tiles.size(); ++t) {
      const ir::RowTile& tile = family.tiles[t];
      const std::int64_t full = full_of[t];
      std::int64_t shape = 0;  // of the runs: which of them are masked or reach the ragged columns
      std::int64_t masked_ragged = 0;
      std::int64_t runs = 0;
      bool reaches_ragged = false;
      for (const ir::TripRun& run : tile.runs) {
        if (run.count <= 0) continue;
        const std::int64_t last = std::max(run.first, run.first + (run.count - 1) * run.step);
        reaches_ragged = reaches_ragged || last >= ragged;
        if (++runs > kManyRuns) continue;
        shape = shape * 8 + 4 + (run.partial ? 2 : 0) + (last >= ragged ? 1 : 0);
        if (run.partial || last >= ragged) masked_ragged = masked_ragged * 4096 + run.count;
      }
      const bool alone = full <= kFewTrips || runs > kManyRuns;
      if (runs > kManyRuns) {  // then trips of each kind, kept pairs and the ragged tile say it all
        shape = reaches_ragged ? 1 : 0;
        masked_ragged = 0;
      }
      const Key key{tile.rows,
                    tile.partial_trips(),
                    tile.kept - full * tile.rows * columns,
                    tile.peers,
                    tile.flag ? 1 : 0,
                    tile.split == 0 ? 1 : 0,
                    sharers[t],
                    shape,
                    masked_ragged,
                    alone ? full : -1,
                    alone ? static_cast<std::int64_t>(tile.runs.size()) : 0,
                    alone ? tile.kept : 0};
      if (at == groups.end() || !equal(at->first, key)) at = groups.try_emplace(key).first;
      at->second.push_back(t);
    }
    std::vector<std::vector<std::size_t>> out;
    for (auto& [key, tiles] : groups) {
      const auto shorter = [&](std::size_t a, std::size_t b) { return full_of[a] < full_of[b]; };
      if (!std::is_sorted(tiles.begin(), tiles.end(), shorter)) std::stable_sort(tiles.begin(), tiles.end(), shorter);
      out.push_back(std::move(tiles));
    }
    return out;
  }

  KernelWork count_one(const ItemView& item, double last_arriver_share) {
    work_ = {};
    count_item(item, last_arriver_share);
    return std::move(work_);
  }

  // All but the tile.
  static void put_between(const ItemClass& low, const ItemClass& high, double x, ItemClass& out) {
    const auto mix = [&](double a, double b) { return a + (b - a) * x; };
    out.family = low.family;
    for (std::size_t i = 0; i < kServers; ++i) out.servers[i] = mix(low.servers[i], high.servers[i]);
    for (std::size_t i = 0; i < low.agent_cycles.size(); ++i) out.agent_cycles.push_back(mix(low.agent_cycles[i], high.agent_cycles[i]));
    out.latency_cycles = mix(low.latency_cycles, high.latency_cycles);
  }

  static void add_scaled(KernelWork& to, const KernelWork& from, double x) {
    const auto add_lanes = [x](LaneCycles& sum, const LaneCycles& part) {
      sum.fp32 += x * part.fp32;
      sum.alu += x * part.alu;
      sum.sfu += x * part.sfu;
      sum.exp_sfu += x * part.exp_sfu;
    };
    to.counts.tensor_flops += x * from.counts.tensor_flops;
    to.counts.useful_tensor_flops += x * from.counts.useful_tensor_flops;
    to.counts.exp_count += x * from.counts.exp_count;
    to.counts.useful_exp_count += x * from.counts.useful_exp_count;
    to.counts.fp32_ops += x * from.counts.fp32_ops;
    to.counts.alu_ops += x * from.counts.alu_ops;
    to.counts.sfu_ops += x * from.counts.sfu_ops;
    to.counts.warp_instructions += x * from.counts.warp_instructions;
    to.counts.smem_bytes += x * from.counts.smem_bytes;
    to.counts.l2_bytes += x * from.counts.l2_bytes;
    for (std::size_t i = 0; i < kServers; ++i) to.padded[i] += x * from.padded[i];
    add_lanes(to.padded_lanes, from.padded_lanes);
    add_lanes(to.useful_lanes, from.useful_lanes);
    to.useful_tensor_cycles += x * from.useful_tensor_cycles;
    to.has_mma = to.has_mma || from.has_mma;
  }

  void count_item(const ItemView& item, double last_arriver_share) {
    item_ = item;
    slabs_ = static_cast<double>(item.family->slab_count);
    ItemClass& out = work_.classes.emplace_back();
    out.family = item.family;
    out.tile = item.tile;
    for (std::size_t a = 0; a < selected_.agents.size(); ++a) {
      double held = 0;
      layout_ = &layouts_[a];
      for (std::size_t s = 0; s < program_.sections.size(); ++s) {
        for (const Step& step : selected_.agents[a].sections[s]) {
          acting_ = acting_trips(*item.tile, program_.sections[s], step.when);
          if (acting_ == 0) continue;
          certain_ = step.when != ir::When::last_arriver;
          share_ = certain_ ? 1 : last_arriver_share;
          count_step(step, program_.sections[s], out);
          if (certain_) held += acting_ * blocking_cycles(step, selected_.kernel->program, chip_);
        }
      }
      out.agent_cycles.push_back(held);
    }
    out.latency_cycles = latency_chain(selected_, *item.tile, chip_);
  }

  void count_step(const Step& step, const ir::Section& section, ItemClass& out) {
    const double times = acting_ * share_ * slabs_;
    WorkCounts& counts = work_.counts;
    counts.tensor_flops += times * step.tensor_flops;
    counts.exp_count += times * step.exp_count;
    counts.fp32_ops += times * step.fp32_ops;
    counts.alu_ops += times * step.alu_ops;
    counts.sfu_ops += times * step.sfu_ops;
    counts.warp_instructions += times * step.warp_instructions;

    ServerCycles per_item{};
    const auto at = [&](Server server) -> double& { return per_item[static_cast<std::size_t>(server)]; };
    const auto demand = [&](Pipe pipe) { return acting_ * step.demand[static_cast<std::size_t>(pipe)]; };
    at(Server::tensor) = demand(Pipe::tensor);
    at(Server::fp32) = demand(Pipe::fp32);
    at(Server::alu) = demand(Pipe::alu);
    at(Server::sfu) = demand(Pipe::sfu);
    at(Server::issue) = demand(Pipe::issue);
    if (step.kind == StepKind::load || step.kind == StepKind::store) {
      count_copy(step, section, per_item);
    } else {
      at(Server::smem) = demand(Pipe::smem);
      counts.smem_bytes += times * step.smem_bytes;
    }
    if (step.kind == StepKind::chain) {
      at(Server::vector) = acting_ * step.occupancy_cycles;
      count_lanes(step, section);
    }
    if (step.ops.front()->kind == OpKind::mma) count_mma(*step.ops.front(), section);
    work_.padded_lanes.fp32 += share_ * slabs_ * acting_ * lane_cycles(step, Pipe::fp32);
    work_.padded_lanes.alu += share_ * slabs_ * acting_ * lane_cycles(step, Pipe::alu);
    work_.padded_lanes.sfu += share_ * slabs_ * acting_ * lane_cycles(step, Pipe::sfu);
    for (std::size_t i = 0; i < kServers; ++i) {
      work_.padded[i] += share_ * slabs_ * per_item[i];
      if (certain_) out.servers[i] += per_item[i];
    }
  }

  // Copies move valid bytes. CTAs of a cluster share what they multicast.
  void count_copy(const Step& step, const ir::Section& section, ServerCycles& per_item) {
    const ir::Op& op = *step.ops.front();
    const double bytes = copy_bytes(program_, section, op, tensors_, item_);
    const bool shared = op.copy == ir::CopyKind::tma_multicast || op.pair;
    const double sharers = shared ? std::max(kernel_.grid.cluster, 1) : 1;
    const double arriving = op.pair ? bytes / 2 : bytes;
    const ir::Tile& tile = program_.tiles[static_cast<std::size_t>(copied_tile(op))];
    const bool by_lanes = op.kind == OpKind::atomic && op.copy == ir::CopyKind::plain;  // by the data path that SMEM and L1 share
    if (tile.space == ir::Space::smem || by_lanes) {
      per_item[static_cast<std::size_t>(Server::smem)] = arriving / chip_.sm.smem_bytes_per_clk;
      work_.counts.smem_bytes += share_ * slabs_ * arriving;
    }
    per_item[static_cast<std::size_t>(Server::l2_port)] = bytes / sharers / chip_.sm.l2_port_bytes_per_clk;
    work_.counts.l2_bytes += share_ * slabs_ * bytes / sharers;
  }

  void count_mma(const ir::Op& op, const ir::Section& section) {
    const double flops = is_repeated(op) ? 0 : 2 * share_ * slabs_ * op_extent(program_, section, op, item_).useful;
    // Lanes hold A wider than it is.
    const ir::TileId operand = op.in[op.mma == ir::MmaKind::lanes ? 1 : 0];
    const ir::DType dtype = program_.tiles[static_cast<std::size_t>(operand)].dtype;
    const ir::DType sum = program_.tiles[static_cast<std::size_t>(op.out[0])].dtype;
    work_.has_mma = true;
    work_.counts.useful_tensor_flops += flops;
    work_.useful_tensor_cycles +=
        flops / chip_.tensor_flop_per_clk(chip_.tensor_rate(std::string(ir::name_of(dtype)), std::string(ir::name_of(sum))));
  }

  // Mask work, work repeated per loop tile only because there are tiles (rescaling), and what splitting repeats is not useful.
  [[nodiscard]] bool is_useful(const ir::Op& op, const ir::Section& section) const {
    if (is_mask_work(op) || is_repeated(op) || !certain_) return false;
    if (section.kind == ir::SectionKind::once) return item_.tile->split == 0;
    return section.trips == ir::TripSource::runs && spans_loop(program_, op);
  }

  // A pipe's cycles with every exp on the SFU: the rungs that ask where exps run best begin there.
  [[nodiscard]] double lane_cycles(const Step& step, Pipe pipe) const {
    const double demand = step.demand[static_cast<std::size_t>(pipe)];
    switch (pipe) {
      case Pipe::fp32: return demand - step.polynomial_fp32_ops / chip_.sm.fp32_lanes;
      case Pipe::alu: return demand - step.polynomial_alu_ops / chip_.sm.alu_lanes;
      case Pipe::sfu: return demand + step.polynomial_exps / chip_.sm.sfu_lanes;
      default: return demand;
    }
  }

  [[nodiscard]] double copies_of(ir::TileId id) const { return replication(*layout_, program_.tiles[static_cast<std::size_t>(id)]); }

  const ElementwiseRule& rule_of(const ir::Op& op) {
    const ElementwiseRule*& rule = rules_[&op];
    if (rule == nullptr) rule = elementwise_rule(table_, program_, op);
    return *rule;
  }

  void count_lanes(const Step& step, const ir::Section& section) {
    std::array<LaneShare, 4> lanes{};  // by VectorPipe
    for (const ir::Op* op : step.ops) {
      if (op->immediate || op->kind == OpKind::mma) continue;  // products are useful work of the fastest unit
      const ElementwiseRule& rule = rule_of(*op);
      const OpExtent extent = op_extent(program_, section, *op, item_);
      const double useful = is_useful(*op, section) ? extent.useful : 0;
      const bool reduces = op->kind == OpKind::reduce_row || op->kind == OpKind::reduce_col;
      const double copies = copies_of(reduces ? op->in[0] : op->out[0]);
      const auto share_out = [&](const ElementwiseRule& part) {
        const double per_element = part.instructions / part.elements * part.width * copies * op->share;
        LaneShare& share = lanes[static_cast<std::size_t>(part.pipe)];
        share.padded += extent.padded * per_element;
        share.useful += useful * per_element;
        return per_element;
      };
      const double per_element = share_out(rule);
      for (const ElementwiseRule& part : rule.then) share_out(part);
      LaneShare& share = lanes[static_cast<std::size_t>(rule.pipe)];
      if (reduces) {  // exchanges between lanes, made once per tile: needed by the tiling alone
        const double results = acting_ * static_cast<double>(program_.padded_elements(op->out[0]));
        share.padded += results * copies_of(op->out[0]) * layout_->shuffle_steps * rule.instructions / rule.elements;
      }
      if (op->fn != Fn::exp2) continue;
      share.padded_exp += extent.padded * per_element;
      share.useful_exp += useful * per_element;
      if (section.kind == ir::SectionKind::loop) work_.counts.useful_exp_count += slabs_ * useful;
    }
    const auto cycles = [&](Pipe pipe) { return acting_ * slabs_ * lane_cycles(step, pipe); };
    const LaneShare& fp32 = lanes[static_cast<std::size_t>(VectorPipe::fp32)];
    const LaneShare& alu = lanes[static_cast<std::size_t>(VectorPipe::alu)];
    const LaneShare& sfu = lanes[static_cast<std::size_t>(VectorPipe::sfu)];
    work_.useful_lanes.fp32 += cycles(Pipe::fp32) * fp32.of(fp32.useful);
    work_.useful_lanes.alu += cycles(Pipe::alu) * alu.of(alu.useful);
    work_.useful_lanes.sfu += cycles(Pipe::sfu) * sfu.of(sfu.useful);
    work_.useful_lanes.exp_sfu += cycles(Pipe::sfu) * sfu.of(sfu.useful_exp);
    work_.padded_lanes.exp_sfu += share_ * cycles(Pipe::sfu) * sfu.of(sfu.padded_exp);
  }

  const SelectedKernel& selected_;
  const ir::Kernel& kernel_;
  const ir::Program& program_;
  const std::vector<ir::Tensor>& tensors_;
  const Chip& chip_;
  const IsaTable& table_;
  std::unordered_map<const ir::Op*, const ElementwiseRule*> rules_;  // looked up once
  KernelWork total_;
  KernelWork work_;  // of the item being counted
  ItemView item_;
  double slabs_ = 0;
  double acting_ = 0;
  double share_ = 1;
  std::vector<LaneLayout> layouts_;     // by agent
  const LaneLayout* layout_ = nullptr;  // of the agent at hand
  bool certain_ = true;
};

}  // namespace

std::string_view name_of(Server s) {
  constexpr std::array<std::string_view, kServers> kNames{"tensor", "fp32", "alu", "sfu", "issue", "smem", "l2_port", "vector"};
  return kNames.at(static_cast<std::size_t>(s));
}

KernelWork count_work(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip) {
  return Counter(selected, tensors, chip).run();
}

}  // namespace attnsim::bounds
