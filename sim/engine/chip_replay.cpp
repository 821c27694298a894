// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/chip_replay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <queue>

#include "sim/engine/item_copies.h"
#include "sim/engine/kernel_plan.h"

namespace attnsim {

namespace {

constexpr std::int64_t kMostAhead = 64;
constexpr double kDone = 1e-9;  // of a segment

struct Work {
  ir::Item item;
  std::int64_t first = 0;  // number of its first step among all of the slot
  std::int64_t steps = 0;
};

// A CTA's place on an SM. A step's compute is two segments: until its buffer is free for the next load, and the rest.
struct Slot {
  enum class State : std::uint8_t { empty, prologue, waiting, main, tail } state = State::empty;
  int sm = 0;
  Work work;
  Work next;  // drawn before the current one ends
  bool has_next = false;
  bool exhausted = false;
  std::int64_t issued = 0;
  std::int64_t freed = 0;
  std::int64_t computed = 0;
  std::int64_t taken = 0;  // items
  double left = 0;         // of the segment, 1 .. 0
  TripCost cost;           // of the segment
  double waits_since = 0;
  std::array<double, kMostAhead> arrival{};  // of a step's loads; first steps: what they take beyond an idle chip
  std::array<int, kMostAhead> pending{};     // copies under way
  std::array<double, kMostAhead> ready{};    // first steps: not before this time in any case
  std::array<bool, kMostAhead> first_held{};
  int stores = 0;  // under way
  [[nodiscard]] bool runs() const { return state == State::prologue || state == State::main || state == State::tail; }
};

struct Sm {
  std::vector<int> slots;
  double now = 0;
  std::int64_t version = 0;
  double first = -1;
  double last = 0;
};

// A copy under way, in up to two parts (L2 hit and miss).
struct Transfer {
  int slot = 0;
  std::int64_t step = -1;  // -1: one of the item's last stores
  int parts = 0;
  double issued = 0;
  double latency = 0;
  double idle = 0;    // its response on an idle chip
  double needed = 0;  // after the first copy of its step
  bool missed = false;
  bool first = false;  // of a first step whose prologue holds the loads
};

struct Event {
  enum class Kind : std::uint8_t { refill, issue, wake, segment } kind = Kind::issue;
  double time = 0;
  std::int64_t sequence = 0;
  int index = 0;  // slot; segment: SM
  std::int64_t version = 0;
  bool operator>(const Event& other) const { return time != other.time ? time > other.time : sequence > other.sequence; }
};

class Replay {
 public:
  Replay(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole,
         TripModel& model, L2Cache* cache)
      : kernel_(*selected.kernel),
        plan_(plan_kernel(selected, chip, whole)),
        whole_(whole),
        model_(model),
        copies_(selected, tensors, plan_, cache),
        sequence_(kernel_),
        persistent_(plan_.policy != ir::GridPolicy::one_item_per_cta),
        sms_(static_cast<std::size_t>(whole.sms)),
        memory_(whole.sms, whole.rates) {}

  ChipReplay run() {
    const std::int64_t places = static_cast<std::int64_t>(whole_.sms) * whole_.ctas_per_sm;
    const std::int64_t lists = plan_.policy == ir::GridPolicy::lists ? static_cast<std::int64_t>(kernel_.grid.lists.size()) : places;
    slots_.resize(static_cast<std::size_t>(std::min({places, lists, sequence_.size()})));
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slots_[i].sm = static_cast<int>(i) % whole_.sms;
      sm_of(slots_[i]).slots.push_back(static_cast<int>(i));
      const double stagger = (whole_.start_offsets ? kStartOffsetCycles : 0.0) * (slots_[i].sm % kStartOffsets) *
                             static_cast<double>(sm_of(slots_[i]).slots.size() - 1);
      push(Event::Kind::refill,
           static_cast<double>(plan_.launch_interval) * static_cast<double>(i + 1) + model_.start_ticks + stagger * kTicksPerCycle,
           static_cast<int>(i));
    }
    while (true) {
      const double transfer_end = memory_.next_end();
      const double event_time = events_.empty() ? std::numeric_limits<double>::infinity() : events_.top().time;
      if (!std::isfinite(transfer_end) && !std::isfinite(event_time)) break;
      if (transfer_end <= event_time) {
        double end = 0;
        const std::int64_t id = memory_.pop(end);
        finish_part(static_cast<std::size_t>(id), end);
        continue;
      }
      const Event event = events_.top();
      events_.pop();
      switch (event.kind) {
        case Event::Kind::refill: refill(event.index, event.time); break;
        case Event::Kind::issue: issue(event.index, event.time); break;
        case Event::Kind::wake: wake(event.index, event.time); break;
        case Event::Kind::segment: segment(event.index, event.version, event.time); break;
      }
    }
    for (const Sm& sm : sms_) out_.resident_ticks += sm.first >= 0 ? sm.last - sm.first : 0;
    out_.ticks = std::max(end_, memory_.write_back_end());
    return out_;
  }

 private:
  Sm& sm_of(const Slot& slot) { return sms_[static_cast<std::size_t>(slot.sm)]; }
  Slot& slot_at(int index) { return slots_[static_cast<std::size_t>(index)]; }
  void push(Event::Kind kind, double time, int index, std::int64_t version = 0) {
    events_.push({kind, time, event_count_++, index, version});
  }

  // --- items ---
  std::int64_t next_position(int index) {
    const std::int64_t k = slot_at(index).taken++;
    switch (plan_.policy) {
      case ir::GridPolicy::one_item_per_cta:
      case ir::GridPolicy::persistent_dynamic: return next_ < sequence_.size() ? next_++ : -1;
      case ir::GridPolicy::persistent_static: {
        const std::int64_t position = index + k * static_cast<std::int64_t>(slots_.size());
        return position < sequence_.size() ? position : -1;
      }
      case ir::GridPolicy::lists: {
        const auto& list = kernel_.grid.lists[static_cast<std::size_t>(index)];
        return k < static_cast<std::int64_t>(list.size()) ? list[static_cast<std::size_t>(k)] : -1;
      }
    }
    return -1;
  }

  bool draw(int index, std::int64_t first, Work& work) {
    Slot& slot = slot_at(index);
    if (slot.exhausted) return false;
    const std::int64_t position = next_position(index);
    slot.exhausted = position < 0;
    if (slot.exhausted) return false;
    work.item = sequence_.at(position);
    work.first = first;
    work.steps = copies_.steps(*work.item.tile);
    return true;
  }

  void refill(int index, double now) {
    Slot& slot = slot_at(index);
    if (!draw(index, slot.issued, slot.work)) return;
    Sm& sm = sm_of(slot);
    if (sm.first < 0) sm.first = now;
    issue(index, now);
    begin_item(index, now);
  }

  void begin_item(int index, double now) {
    Slot& slot = slot_at(index);
    const TripCost& item = model_.item(slot.work.item);
    const double store = persistent_ ? 0.0 : store_ticks(slot.work.item);
    run(index, now, Slot::State::prologue, {std::max(0.0, item.alone_ticks - store), std::max(0.0, item.shared_ticks - store)}, 1);
  }

  double store_ticks(const ir::Item& item) const {
    int copies = 0;
    const double bytes = copies_.stored_bytes(item, copies);
    return copies > 0 ? bytes / copies / whole_.rates.port + static_cast<double>(plan_.store_latency) : 0;
  }

  // --- memory ---
  // Sends the copies of a step (-1: the item's last stores) on their way.
  void send(int index, double now, std::int64_t step, bool first) {
    Slot& slot = slot_at(index);
    const auto loop_copies = static_cast<double>(std::count_if(moved_.begin(), moved_.end(), [](const ItemCopy& c) { return c.in_loop; }));
    double in_loop = 0;
    double before = 0;
    for (const ItemCopy& copy : moved_) {
      Transfer transfer;
      transfer.slot = index;
      transfer.step = step;
      transfer.issued = now;
      transfer.first = first;
      transfer.latency = copy.store ? static_cast<double>(plan_.store_latency) : model_.response_ticks;
      if (copy.miss > 0) transfer.latency += static_cast<double>(plan_.hbm_latency);
      before += copy.bytes;
      transfer.idle = before / whole_.rates.port + model_.response_ticks;
      // Copies of a trip are needed one after the other: V when the scores are there.
      if (copy.in_loop) transfer.needed = in_loop++ / loop_copies * std::max(model_.full.alone_ticks, model_.peer.alone_ticks);
      transfer.missed = copy.miss > 0;
      if (copy.written_back > 0) memory_.write_back(now, copy.written_back * whole_.hbm_write_cost);
      out_.written_back_bytes += copy.written_back;
      if (!copy.store) {
        out_.loaded_bytes += copy.bytes;
        out_.hit_bytes += copy.bytes - copy.miss;
      }
      const double hit = copy.bytes - copy.miss;
      transfer.parts = (copy.miss > 0) + (hit > 0);
      if (step >= 0) {
        ++slot.pending[static_cast<std::size_t>(step % kMostAhead)];
      } else {
        ++slot.stores;
      }
      const std::size_t id = new_transfer(transfer);
      if (copy.miss > 0) memory_.submit(now, slot.sm, static_cast<std::int64_t>(copy.miss), true, static_cast<std::int64_t>(id));
      if (hit > 0) memory_.submit(now, slot.sm, static_cast<std::int64_t>(hit), false, static_cast<std::int64_t>(id));
    }
  }

  std::size_t new_transfer(const Transfer& transfer) {
    if (free_.empty()) {
      transfers_.push_back(transfer);
      return transfers_.size() - 1;
    }
    const std::size_t id = free_.back();
    free_.pop_back();
    transfers_[id] = transfer;
    return id;
  }

  void finish_part(std::size_t id, double now) {
    if (--transfers_[id].parts > 0) return;
    const Transfer transfer = transfers_[id];
    free_.push_back(id);
    Slot& slot = slot_at(transfer.slot);
    const double response = now + transfer.latency - transfer.issued;
    if (transfer.step < 0) {
      end_ = std::max(end_, now + transfer.latency);
      sm_of(slot).last = std::max(sm_of(slot).last, now + transfer.latency);
      if (--slot.stores == 0 && !persistent_) push(Event::Kind::refill, now + transfer.latency, transfer.slot);
      return;
    }
    double& arrival = slot.arrival[static_cast<std::size_t>(transfer.step % kMostAhead)];
    if (transfer.first && !persistent_) {
      arrival = std::max(arrival, response - transfer.idle - transfer.needed);
    } else if (transfer.first) {  // loads of the item before may have kept the port; only what they add to the prologue counts
      arrival = std::max(arrival, transfer.missed ? static_cast<double>(plan_.hbm_latency) : 0.0);
      double& ready = slot.ready[static_cast<std::size_t>(transfer.step % kMostAhead)];
      ready = std::max(ready, transfer.issued + response - transfer.needed);
    } else {
      arrival = std::max(arrival, transfer.issued + model_.exposure * (response - transfer.needed));
    }
    if (--slot.pending[static_cast<std::size_t>(transfer.step % kMostAhead)] > 0) return;
    if (slot.state == Slot::State::waiting && slot.computed == transfer.step) begin_step(transfer.slot, now);
  }

  [[nodiscard]] bool may_issue(int index) {
    Slot& slot = slot_at(index);
    if (slot.issued >= slot.freed + model_.ahead) return false;
    if (slot.issued < slot.work.first + slot.work.steps) return true;
    if (slot.has_next) return slot.issued < slot.next.first + slot.next.steps;
    if (!persistent_) return false;
    slot.has_next = draw(index, slot.work.first + slot.work.steps, slot.next);
    return slot.has_next;
  }

  void issue(int index, double now) {
    Slot& slot = slot_at(index);
    while (slot.issued == slot.work.first || may_issue(index)) {
      const std::int64_t step = slot.issued++;
      const Work& work = step < slot.work.first + slot.work.steps ? slot.work : slot.next;
      copies_.move(work.item, step - work.first, moved_);
      // A prologue that shows holds the first loads; else they were under way before the item began.
      const bool first = step == work.first && (!persistent_ || step == 0 || model_.item(work.item).alone_ticks > 0);
      slot.arrival[static_cast<std::size_t>(step % kMostAhead)] = first ? 0 : now;
      slot.ready[static_cast<std::size_t>(step % kMostAhead)] = now;
      slot.first_held[static_cast<std::size_t>(step % kMostAhead)] = first;
      send(index, now, step, first);
      if (slot.state == Slot::State::waiting && slot.computed == step) begin_step(index, now);
    }
  }

  // --- compute ---
  void advance(Sm& sm, double now) {
    const int busy = busy_on(sm);
    for (const int index : sm.slots) {
      Slot& slot = slot_at(index);
      if (!slot.runs()) continue;
      const double duration = slot.cost.among(busy, whole_.ctas_per_sm);
      slot.left = duration > 0 ? slot.left - (now - sm.now) / duration : 0;
    }
    sm.now = now;
  }

  [[nodiscard]] int busy_on(const Sm& sm) {
    int busy = 0;
    for (const int index : sm.slots) busy += slot_at(index).runs() ? 1 : 0;
    return busy;
  }

  void schedule(int index) {
    Sm& sm = sms_[static_cast<std::size_t>(index)];
    ++sm.version;
    const int busy = busy_on(sm);
    double soonest = std::numeric_limits<double>::infinity();
    for (const int i : sm.slots) {
      const Slot& slot = slot_at(i);
      if (slot.runs()) soonest = std::min(soonest, std::max(0.0, slot.left) * slot.cost.among(busy, whole_.ctas_per_sm));
    }
    if (std::isfinite(soonest)) push(Event::Kind::segment, sm.now + soonest, index, sm.version);
  }

  void run(int index, double now, Slot::State state, const TripCost& cost, double fraction) {
    Slot& slot = slot_at(index);
    Sm& sm = sm_of(slot);
    advance(sm, now);
    slot.state = state;
    slot.cost = {cost.alone_ticks * fraction, cost.shared_ticks * fraction};
    slot.left = 1;
    schedule(slot.sm);
  }

  void segment(int index, std::int64_t version, double now) {
    Sm& sm = sms_[static_cast<std::size_t>(index)];
    if (version != sm.version) return;
    advance(sm, now);
    std::array<int, 64> ended{};
    std::size_t count = 0;
    for (const int i : sm.slots) {
      if (slot_at(i).runs() && slot_at(i).left <= kDone && count < ended.size()) ended[count++] = i;
    }
    for (std::size_t i = 0; i < count; ++i) end_segment(ended[i], now);
    schedule(index);
  }

  [[nodiscard]] TripCost step_cost(const Slot& slot) const {
    const std::int64_t step = slot.computed - slot.work.first;
    TripCost cost;
    switch (copies_.kind(*slot.work.item.tile, step)) {
      case TripKind::none: break;
      case TripKind::full: cost = model_.full; break;
      case TripKind::partial: cost = model_.partial; break;
      case TripKind::peer: cost = model_.peer; break;
    }
    if (step > 0) return cost;
    // What an item saves because its prologue overlaps others comes off its first trip.
    const TripCost& item = model_.item(slot.work.item);
    cost.alone_ticks = std::max(0.0, cost.alone_ticks + std::min(0.0, item.alone_ticks));
    cost.shared_ticks = std::max(0.0, cost.shared_ticks + std::min(0.0, item.shared_ticks));
    return cost;
  }

  [[nodiscard]] double main_fraction() const {
    const double whole = std::max(model_.full.alone_ticks, model_.peer.alone_ticks);
    return whole > 0 ? 1 - model_.early_ticks / whole : 1;
  }

  void end_segment(int index, double now) {
    Slot& slot = slot_at(index);
    switch (slot.state) {
      case Slot::State::prologue:
        slot.state = Slot::State::waiting;
        slot.waits_since = now;
        begin_step(index, now);
        break;
      case Slot::State::main:
        ++slot.freed;
        run(index, now, Slot::State::tail, step_cost(slot), 1 - main_fraction());
        issue(index, now);
        break;
      case Slot::State::tail:
        ++slot.computed;
        slot.state = Slot::State::waiting;
        slot.waits_since = now;
        if (slot.computed < slot.work.first + slot.work.steps) {
          begin_step(index, now);
        } else {
          end_item(index, now);
        }
        break;
      case Slot::State::empty:
      case Slot::State::waiting: break;
    }
  }

  void wake(int index, double now) {
    Slot& slot = slot_at(index);
    if (slot.state == Slot::State::waiting) begin_step(index, now);
  }

  void begin_step(int index, double now) {
    Slot& slot = slot_at(index);
    const auto at = static_cast<std::size_t>(slot.computed % kMostAhead);
    if (slot.issued <= slot.computed || slot.pending[at] > 0) return;  // the issue or the last copy will come back
    const double arrival = slot.first_held[at] ? std::max(slot.waits_since + slot.arrival[at], slot.ready[at]) : slot.arrival[at];
    if (arrival > now) {
      push(Event::Kind::wake, arrival, index);
      return;
    }
    out_.stall_ticks += now - slot.waits_since;
    run(index, now, Slot::State::main, step_cost(slot), main_fraction());
  }

  void end_item(int index, double now) {
    Slot& slot = slot_at(index);
    copies_.store(slot.work.item, moved_);
    send(index, now, -1, false);
    end_ = std::max(end_, now);
    sm_of(slot).last = std::max(sm_of(slot).last, now);
    slot.state = Slot::State::empty;
    if (!persistent_) {
      if (slot.stores == 0) push(Event::Kind::refill, now, index);
    } else if (slot.has_next) {
      slot.work = slot.next;
      slot.has_next = false;
      begin_item(index, now);
    } else {
      refill(index, now);
    }
  }

  const ir::Kernel& kernel_;
  KernelPlan plan_;
  const MachineConfig& whole_;
  TripModel& model_;
  ItemCopies copies_;
  ir::ItemSequence sequence_;
  bool persistent_;
  std::vector<Slot> slots_;
  std::vector<Sm> sms_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  MemorySystem memory_;
  Moved moved_;
  std::vector<Transfer> transfers_;
  std::vector<std::size_t> free_;
  double end_ = 0;
  std::int64_t next_ = 0;
  std::int64_t event_count_ = 0;
  ChipReplay out_;
};

}  // namespace

ChipReplay replay_chip(const SelectedKernel& selected, const std::vector<ir::Tensor>& tensors, const Chip& chip, const MachineConfig& whole,
                       TripModel& model, L2Cache* cache) {
  return Replay(selected, tensors, chip, whole, model, cache).run();
}

}  // namespace attnsim
