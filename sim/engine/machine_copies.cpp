// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/engine/machine_core.h"

namespace attnsim::machine {

constexpr std::int64_t kOvertakingBytes = 1024;

bool Machine::issue_copy(AgentState& agent, const PlannedStep& step, std::int64_t trip, std::int64_t& now) {
  CtaState& cta = *agent.cta;
  const ir::Access& access = step.access;
  const VisitedTile visited = plan_.is_loop[agent.section] ? visit(agent, trip) : VisitedTile{};
  const TileAddress address = address_of(access, step.rows_axis, kernel_.program, agent.item, visited);
  std::int64_t first_row = 0;
  std::int64_t part_rows = address.rows;
  if (step.sharers > 1) {  // CTAs of a cluster fetch a shared tile in parts of its rows
    const std::int64_t rank = cta.id % step.sharers;
    first_row = rank * address.rows / step.sharers;
    part_rows = (rank + 1) * address.rows / step.sharers - first_row;
  }
  const std::int64_t row_bytes = row_bytes_[step.id];
  const std::int64_t valid_bytes = part_rows * row_bytes;
  const std::int64_t tile_bytes = (step.whole_tile ? step.padded_rows : address.rows) * row_bytes;
  const std::int64_t bytes = step.whole_tile ? tile_bytes / step.sharers : valid_bytes;
  const std::int64_t id = new_transfer(agent, step);
  TransferState& transfer = transfers_[static_cast<std::size_t>(id)];
  transfer.bytes = step.arrives ? tile_bytes : bytes;
  transfer.is_store = step.kind == StepKind::store;
  const bool atomic = step.atomic;
  transfer.blocks_agent = !step.async;
  transfer.latency = transfer.is_store ? plan_.store_latency + (step.until_seen ? plan_.l2_latency : 0) : step.latency;
  if (cta.id >= static_cast<std::int64_t>(config_.sms) * config_.ctas_per_sm) transfer.latency -= step.warm_saving;
  std::int64_t hit = bytes;
  std::int64_t miss = 0;
  if (bytes > 0) {
    if (config_.cache != nullptr) {
      TileAddress part = address;
      part.row += first_row;
      const L2Outcome outcome = look_up(step, part, step.whole_tile ? bytes / row_bytes : part_rows, part_rows);
      if (!transfer.is_store || atomic) {
        miss = std::min(outcome.miss_bytes, bytes);
        hit = bytes - miss;
      }
      if (outcome.written_back_bytes > 0) {
        memory_.write_back(static_cast<double>(now), static_cast<double>(outcome.written_back_bytes) * config_.hbm_write_cost);
        result_.hbm_bytes += static_cast<double>(outcome.written_back_bytes);
        result_.hbm_written_bytes += static_cast<double>(outcome.written_back_bytes);
      }
    } else if (!transfer.is_store) {
      const auto tensor = static_cast<std::size_t>(access.tensor);
      const bool by_tensor = config_.tensor_hits != nullptr;
      const double hits = by_tensor ? config_.tensor_hits->at(tensor) : config_.hit_fraction;
      // Of one tensor, whose loads may be of unlike sizes, so many of each miss; of all tensors so many bytes.
      const double size = by_tensor ? 1 : static_cast<double>(valid_bytes);
      double& carry = miss_carry_[by_tensor ? tensor : 0];
      carry += (1 - hits) * size;
      if (carry >= 0.5 * size) {
        miss = valid_bytes;
        hit = bytes - valid_bytes;
        carry -= size;
      }
    }
  }
  result_.l2_bytes += static_cast<double>(bytes);
  result_.hbm_bytes += static_cast<double>(miss);
  if (!transfer.is_store) {
    result_.loaded_bytes += static_cast<double>(bytes);
    result_.hit_bytes += static_cast<double>(hit);
  }
  if (transfer.is_store) {
    ++cta.stores_in_flight;
    ++sm_->stores_in_flight;
  }
  if (tally_ && !transfer.is_store) tally_->loads(cta.sm, 1);
  if (miss > 0) transfer.latency += plan_.hbm_latency;
  if (atomic) {  // L2 reads and writes: as long as moving the bytes twice
    hit += bytes;
    l2_read_to_add_ += static_cast<double>(bytes);
  }
  transfer.parts = (miss > 0) + (hit > 0);
  // A few lines that L2 has come back ahead of what waits for HBM.
  const bool overtakes = !transfer.is_store && !step.async && miss == 0 && bytes <= kOvertakingBytes;
  if (transfer.parts == 0 || overtakes) {
    memory_.pass(static_cast<double>(bytes));
    const auto moving = static_cast<std::int64_t>(std::ceil(static_cast<double>(bytes) / config_.rates.port));
    push(now + moving + transfer.latency, Event::Kind::arrive, static_cast<std::int32_t>(id), 0);
  } else {
    const bool multicast = step.sharers > 1 && step.arrives;
    if (miss > 0) memory_.submit(static_cast<double>(now), cta.sm, miss, true, id, multicast);
    if (hit > 0) memory_.submit(static_cast<double>(now), cta.sm, hit, false, id, multicast);
    horizon_ = std::min(horizon_, reached_at());
  }
  ++agent.op;
  count_step(step, agent);
  std::int64_t release = now;
  if (step.async && step.issue_ticks > 0) {
    SmState& sm = *sm_;
    sm.issue_free = std::max(now, sm.issue_free) + step.group_issue_ticks;
    release = std::max(sm.issue_free, now + step.issue_ticks);
    if (trace_) trace_->hold(Unit::issue, agent.slot, agent.index, now, sm.issue_free - step.group_issue_ticks, sm.issue_free);
  }
  if (trace_) {
    trace_->pending(id, agent.slot, agent.index, step, step.async ? release : Recorder::kWhenComplete);
    trace_->submit(id, transfer.is_store, hit, miss, now);
    trace_->rates(static_cast<double>(now), memory_.use());
  }
  if (!step.async) {
    block(agent, &step, Wait::copy, now);
    return false;
  }
  if (step.issue_ticks == 0) return true;
  return go_on_at(agent, &step, now, release, Wait::pipe);
}

std::int64_t Machine::new_transfer(AgentState& agent, const PlannedStep& step) {
  auto id = static_cast<std::int64_t>(transfer_count_);
  if (free_transfers_.empty()) {
    if (++transfer_count_ > transfers_.size()) transfers_.emplace_back();
  } else {
    id = free_transfers_.back();
    free_transfers_.pop_back();
  }
  TransferState& transfer = transfers_[static_cast<std::size_t>(id)];
  transfer.agent = &agent;
  transfer.step = &step;
  transfer.bytes = 0;
  transfer.is_store = false;
  transfer.blocks_agent = false;
  transfer.phases.clear();
  for (ir::TokenId token : step.op->completes) transfer.phases.push_back(take_phase(agent, token));
  return id;
}

void Machine::finish_transfer() {
  double end = 0;
  if (tally_) close_books(memory_.next_sm(), static_cast<std::int64_t>(std::floor(memory_.next_end())));
  const std::int64_t id = memory_.pop(end);
  TransferState& transfer = transfers_[static_cast<std::size_t>(id)];
  if (trace_) {
    trace_->served(id, end);
    trace_->rates(end, memory_.use());
  }
  if (--transfer.parts > 0) return;
  push_outside(transfer.agent->cta->sm, static_cast<std::int64_t>(std::ceil(end)) + transfer.latency, Event::Kind::arrive,
               static_cast<std::int32_t>(id), 0);
}

void Machine::arrive(std::int32_t id, std::int64_t now) {
  TransferState& transfer = transfers_[static_cast<std::size_t>(id)];  // nothing below starts another
  AgentState& agent = *transfer.agent;
  CtaState& cta = *agent.cta;
  SmState& sm = *sm_;
  if (transfer.step->smem_ticks_per_byte > 0 && transfer.bytes > 0) {
    const auto service = static_cast<std::int64_t>(std::ceil(static_cast<double>(transfer.bytes) * transfer.step->smem_ticks_per_byte));
    transfer.bytes = 0;  // come back when the write into SMEM has ended
    const std::int64_t written = sm.copy_into_smem(now, service);
    if (trace_) trace_->hold_transfer(Unit::smem_copies, id, now, written - service, written);
    if (!comes_next(written) || transfer.is_store) return push(written, Event::Kind::arrive, id, 0);
    end_ = std::max(end_, written);
    now = written;
  }
  if (transfer.step->by_steps && transfer.bytes + transfer.step->latency > now) {
    push(transfer.bytes + transfer.step->latency, Event::Kind::arrive, id, 0);
    return;
  }
  free_transfers_.push_back(id);
  if (tally_ && transfer.step->kind == StepKind::load) tally_->loads(cta.sm, -1);
  if (trace_) trace_->arrive(id, now);
  for (std::size_t i = 0; i < transfer.phases.size(); ++i) signal(agent, transfer.step->op->completes[i], transfer.phases[i], now);
  if (transfer.is_store) {
    --cta.stores_in_flight;
    --sm.stores_in_flight;
    end_ = std::max(end_, now);
    retire_if_done(cta.slot, now);
  }
  if (!transfer.blocks_agent) return;
  if (comes_next(now)) return advance(agent, now);
  push(now, Event::Kind::wake, agent.slot, agent.index);
}

}  // namespace attnsim::machine
