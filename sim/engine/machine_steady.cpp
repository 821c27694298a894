// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/engine/machine_core.h"

namespace attnsim::machine {

void Machine::setup_steady_grid() {
  // Tokens of the whole kernel would miss the items that are left out.
  if (plan_.policy == ir::GridPolicy::lists || outside_acts_ || tally_ || trace_ || config_.count_work) return;
  if (config_.checkpoints != nullptr) return;
  const auto slots = static_cast<std::int64_t>(config_.sms) * config_.ctas_per_sm;
  steady_.emplace(kernel_, slots, config_.rates.hbm);
  if (!steady_->enabled()) return steady_.reset();
  passing_.resize(static_cast<std::size_t>(slots));
  find_copies();
}

void Machine::find_copies() {
  copies_.resize(plan_.is_loop.size());
  for (const PlannedAgent& agent : plan_.agents) {
    for (std::size_t s = 0; s < agent.sections.size(); ++s) {
      for (const PlannedStep& step : agent.sections[s]) {
        if (step.kind == StepKind::load || step.kind == StepKind::store) copies_[s].push_back(&step);
      }
    }
  }
}

Progress Machine::progress() const {
  Progress out{result_.l2_bytes,          result_.loaded_bytes, result_.hit_bytes, result_.hbm_bytes,
               result_.hbm_written_bytes, memory_.owed_bytes(), result_.cta_cycles};
  for (std::size_t i = 0; i < kWaitCount; ++i) out.wait_ticks[i] = static_cast<double>(wait_ticks_[i]);
  return out;
}

void Machine::leave_out_items() {
  const std::int64_t room = steady_->room(handed_out_, progress());
  if (room == 0) return;
  Progress moved;
  std::int64_t items = config_.cache == nullptr ? room : 0;
  for (bool same = true; same && items < room;) {
    moved.add(pass_l2(handed_out_ + items, steady_->chunk()));
    items += steady_->chunk();
    same = steady_->as_before(moved, items);
  }
  Progress all = steady_->progress_of(items);
  if (config_.cache != nullptr) {
    all.l2_bytes = moved.l2_bytes;
    all.loaded_bytes = moved.loaded_bytes;
    all.hit_bytes = moved.hit_bytes;
    all.hbm_bytes = moved.hbm_bytes;
    all.hbm_written_bytes = moved.hbm_written_bytes;
  }
  left_out_.add(all);
  left_out_ticks_ += steady_->ticks_of(items);
  left_out_items_ += items;
  handed_out_ += items;
  if (plan_.policy == ir::GridPolicy::one_item_per_cta) next_list_ += items;
  if (plan_.policy == ir::GridPolicy::persistent_dynamic) next_item_ += items;
  steady_->resume(handed_out_, progress());
}

Progress Machine::pass_l2(std::int64_t first, std::int64_t items) {
  Progress moved;
  const auto abreast = static_cast<std::int64_t>(passing_.size());
  for (std::int64_t begin = first; begin < first + items; begin += abreast) {
    const auto count = static_cast<std::size_t>(std::min(abreast, first + items - begin));
    for (std::size_t i = 0; i < count; ++i) passing_[i].item = sequence_.at(begin + static_cast<std::int64_t>(i));
    for (std::size_t s = 0; s < copies_.size(); ++s) {
      if (copies_[s].empty()) continue;
      std::int64_t longest = 0;
      for (std::size_t i = 0; i < count; ++i) {
        AgentState& agent = passing_[i];
        agent.peers = plan_.is_peers[s] != 0;
        agent.trips = plan_.trips(s, *agent.item.tile);
        longest = std::max(longest, agent.trips);
      }
      for (std::int64_t trip = 0; trip < longest; ++trip) {
        for (std::size_t i = 0; i < count; ++i) {
          const AgentState& agent = passing_[i];
          if (trip >= agent.trips) continue;
          const VisitedTile visited = plan_.is_loop[s] != 0 ? visit(agent, trip) : VisitedTile{};
          for (const PlannedStep* step : copies_[s]) {
            if (applies(agent, *step, trip)) pass_l2(*step, agent.item, visited, moved);
          }
        }
      }
    }
  }
  return moved;
}

void Machine::pass_l2(const PlannedStep& step, const ir::Item& item, const VisitedTile& visited, Progress& moved) {
  const TileAddress address = address_of(step.access, step.rows_axis, kernel_.program, item, visited);
  const std::int64_t rows = step.whole_tile ? step.padded_rows : address.rows;
  const std::int64_t bytes = rows * row_bytes_[step.id];
  if (bytes == 0) return;
  const L2Outcome outcome = look_up(step, address, rows, address.rows);
  const bool load = step.kind == StepKind::load;
  const auto miss = static_cast<double>(load || step.atomic ? std::min(outcome.miss_bytes, bytes) : 0);
  moved.l2_bytes += static_cast<double>(bytes);
  moved.hbm_bytes += miss + static_cast<double>(outcome.written_back_bytes);
  moved.hbm_written_bytes += static_cast<double>(outcome.written_back_bytes);
  if (!load) return;
  moved.loaded_bytes += static_cast<double>(bytes);
  moved.hit_bytes += static_cast<double>(bytes) - miss;
}

void Machine::add_left_out() {
  const double owed = std::max(0.0, left_out_.owed_bytes) / config_.rates.hbm;
  result_.ticks = std::max(end_, static_cast<std::int64_t>(std::ceil(memory_.write_back_end() + owed)));
  const auto ticks = static_cast<std::int64_t>(std::llround(left_out_ticks_));
  result_.ticks += ticks;
  result_.l2_bytes += left_out_.l2_bytes;
  result_.loaded_bytes += left_out_.loaded_bytes;
  result_.hit_bytes += left_out_.hit_bytes;
  result_.hbm_bytes += left_out_.hbm_bytes;
  result_.hbm_written_bytes += left_out_.hbm_written_bytes;
  const bool stay = plan_.policy != ir::GridPolicy::one_item_per_cta;  // CTAs; none ends meanwhile
  result_.cta_cycles += stay ? to_cycles(Ticks(ticks)).count() * static_cast<double>(passing_.size()) : left_out_.cta_cycles;
  result_.resident_cycles += to_cycles(Ticks(ticks)).count() * config_.sms;
  for (std::size_t i = 0; i < kWaitCount; ++i) result_.wait_cycles[i] += to_cycles(Ticks(std::llround(left_out_.wait_ticks[i]))).count();
}

}  // namespace attnsim::machine
