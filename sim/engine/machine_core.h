// SPDX-License-Identifier: Apache-2.0
// The machine that plays a kernel (machine.h): its state and the parts that several files need. Private to sim/engine.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/engine/kernel_plan.h"
#include "sim/engine/machine.h"
#include "sim/engine/machine_state.h"
#include "sim/engine/recorder.h"
#include "sim/engine/steady_grid.h"
#include "sim/engine/tally.h"

namespace attnsim::machine {

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// What plays of one thread hand on to the next so that it need not be allocated again.
struct Storage {
  std::vector<CtaState> ctas;
  std::vector<TransferState> transfers;
  std::vector<EventQueue> events;  // by SM
};

class Machine {
 public:
  // The arguments must outlive it.
  Machine(const SelectedKernel& selected, const KernelPlan& plan, const std::vector<ir::Tensor>& tensors, const MachineConfig& config);

  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Once.
  MachineResult run();

 private:
  // --- agents and tokens (machine.cpp) ---
  // The SM's events up to the first that has to wait for other SMs or memory.
  void run_sm(int sm);
  [[gnu::always_inline]] inline void handle(std::int64_t time, std::uint64_t what);
  // Whether what concerns other SMs or memory may happen at `now`: nothing of them comes before.
  [[nodiscard]] bool in_order(std::int64_t now) { return now <= last_safe_ && memory_.next_end() >= static_cast<double>(now); }
  // Tick from which on memory may reach the running SM.
  [[nodiscard]] inline std::int64_t reached_at() const;
  // Whether nothing from outside can still reach the running SM at `time` or before.
  [[nodiscard]] bool ahead(std::int64_t time) const { return time < horizon_; }
  // Whether an event that stays inside the running SM would be its next one, and may happen now.
  [[nodiscard]] bool comes_next(std::int64_t time) {
    return !tally_ && !trace_ && time < queue_->next_time() && (ahead(time) || in_order(time));
  }
  [[nodiscard]] bool stays_inside(const Event& event) const;
  [[nodiscard]] bool stays_inside(const PlannedStep& step) const {
    return step.kind == StepKind::chain || step.kind == StepKind::mma ||
           ((step.kind == StepKind::await || step.kind == StepKind::signal) && !step.kernel_scope);
  }
  // The agent goes on when its SM's turn comes.
  void put_off(const AgentState& agent, std::int64_t now) {
    queue_->push_first(now, Event::Rank::put_off, Event::what_of(Event::Kind::wake, agent.slot, agent.index));
  }
  // A wait during which nothing else happens.
  void book_wait(const AgentState& agent, const PlannedStep* step, std::int64_t until, Wait reason);
  void finish_books();
  void advance(AgentState& agent, std::int64_t now);
  // The CTA's next item; false when the agent has to wait for its turn, or is done.
  bool draw_item(AgentState& agent, std::int64_t now);
  void enter_section(AgentState& agent, std::size_t section);
  void next_step(AgentState& agent, std::int64_t now);
  [[nodiscard]] bool applies(const AgentState& agent, const PlannedStep& step, std::int64_t trip) const {
    if (trip < 0 || trip >= agent.trips) return false;
    return step.when == ir::When::always || applies_sometimes(agent, step, trip);
  }
  [[nodiscard]] bool applies_sometimes(const AgentState& agent, const PlannedStep& step, std::int64_t trip) const;
  // True when the agent may go on at `now`; false when it waits (an event will wake it).
  [[gnu::always_inline]] inline bool execute(AgentState& agent, const PlannedStep& step, std::int64_t trip, std::int64_t& now);
  [[gnu::always_inline]] inline bool await(AgentState& agent, const PlannedStep& step, std::int64_t trip, std::int64_t& now);
  void signal(AgentState& agent, ir::TokenId token, std::int64_t phase, std::int64_t now);
  void signal_kernel(AgentState& agent, ir::TokenId token, std::int64_t now);
  [[nodiscard]] double spread() const;
  // Every agent that leaves an item counts; the last one ends it.
  void end_item(std::int64_t position, std::int64_t now);
  [[nodiscard]] std::array<double, kWaitCount> wait_cycles() const;
  void check_finished() const;

  // --- grid: which CTA starts where and when (machine_grid.cpp) ---
  void setup_grid();
  // SMs that hold a cluster together: neighbours of one GPC. GPCs are made of pairs of SMs, some of them have one pair more.
  void group_sms();
  void add_group(int sm);
  std::int64_t launch_slot(std::int64_t now);
  void launch_cluster(int group, std::int64_t now);
  // Another cluster starts when each of its SMs has a place.
  void free_place(int sm, std::int64_t now);
  void launch(int sm, std::int64_t now);
  // Grid position of the CTA's k-th item; -1 when it has no more.
  std::int64_t item_of(CtaState& cta, std::int64_t k, std::int64_t now);
  void retire_if_done(std::int32_t slot, std::int64_t now);
  void finish_agent(AgentState& agent, std::int64_t now);

  // --- items that need not be played (machine_steady.cpp) ---
  void setup_steady_grid();
  // At a mark of the steady grid, before the next CTA starts.
  void hand_out(std::int64_t now);
  void leave_out_items();
  // The items' copies go through L2 alone, those of neighbours side by side.
  Progress pass_l2(std::int64_t first, std::int64_t items);
  void pass_l2(const PlannedStep& step, const ir::Item& item, const VisitedTile& visited, Progress& moved);
  void find_copies();
  [[nodiscard]] Progress progress() const;
  void add_left_out();

  // --- units of an SM (machine_units.cpp) ---
  bool run_groups(AgentState& agent, const PlannedStep& step, std::int64_t& now) {
    return step.kind == StepKind::chain ? run_chain(agent, step, now) : run_mma(agent, step, now);
  }
  // Goes on with a step some of whose groups are through, where nobody listens: what advance() would do, sooner.
  void resume_groups(AgentState& agent, std::int64_t now);
  bool run_chain(AgentState& agent, const PlannedStep& step, std::int64_t& now);
  bool run_mma(AgentState& agent, const PlannedStep& step, std::int64_t& now);
  bool issue_mma(AgentState& agent, const PlannedStep& step, std::int64_t& now);
  bool issue_shared_mma(AgentState& agent, const PlannedStep& step, std::int64_t& now);
  // The agent goes on once the product `id`, which takes its operands from `start` on, is issued.
  bool go_on_from_mma(AgentState& agent, const PlannedStep& step, std::int64_t id, std::int64_t start, std::int64_t& now);
  // An asynchronous MMA takes its operands from SMEM while it runs, not while it queues. When SMEM is late, so is the product.
  void start_mma(std::int32_t id, std::int64_t now);
  void count_step(const PlannedStep& step, const AgentState& agent) {
    if (!config_.count_work) return;
    StepCount& count = step_counts_[step.id];
    ++count.times;
    if (step.kind == StepKind::mma) count.valid_rows += valid_rows(step, kernel_.program, agent.item.tile->rows);
  }
  void add_counts();
  // The holds of a synchronous group beside its own unit.
  void hold_shared(const AgentState& agent, const PlannedStep& step, const SmState& sm, std::int64_t now);

  // --- copies (machine_copies.cpp) ---
  bool issue_copy(AgentState& agent, const PlannedStep& step, std::int64_t trip, std::int64_t& now);
  // Rows of a tensor in L2, which the machine has.
  L2Outcome look_up(const PlannedStep& step, const TileAddress& address, std::int64_t rows, std::int64_t valid_rows) {
    L2Cache& cache = *config_.cache;
    const ir::TensorId tensor = step.access.tensor;
    const bool writes = step.kind == StepKind::store && !step.atomic;
    L2Outcome outcome = cache.access(tensor, address.slab, address.row, rows, writes, row_begin_[step.id], row_bytes_[step.id]);
    if (step.atomic) outcome.written_back_bytes += cache.access(tensor, address.slab, address.row, valid_rows, true).written_back_bytes;
    return outcome;
  }
  std::int64_t new_transfer(AgentState& agent, const PlannedStep& step);
  void finish_transfer();
  void arrive(std::int32_t id, std::int64_t now);

  // --- shared by all ---
  // Tick up to which, not included, nothing else happens on the running SM.
  [[nodiscard]] std::int64_t alone_until() {
    const double memory = std::min(memory_.next_end(), 0x1p62);
    const std::int64_t ordered = std::min(last_safe_, static_cast<std::int64_t>(memory)) + 1;
    return std::min(queue_->next_time(), std::max(horizon_, ordered));
  }
  // Groups of a step that are over before anything else happens on the SM, the last left out, done at once where all units are free.
  void run_undisturbed(AgentState& agent, const PlannedStep& step, std::int64_t& now) {
    constexpr int kFewGroups = 2;  // which are done one by one
    if (step.groups - agent.group > kFewGroups && queue_->next_time() - now > 2 * step.group_ticks && !tally_ && !trace_)
      run_alone(agent, step, now);
  }
  void run_alone(AgentState& agent, const PlannedStep& step, std::int64_t& now);
  [[nodiscard]] AgentState& agent_at(std::int32_t slot, std::int16_t index) {
    return ctas_[static_cast<std::size_t>(slot)].agents[static_cast<std::size_t>(index)];
  }
  // Of the running SM's own making.
  void push(std::int64_t time, Event::Kind kind, std::int32_t a, std::int16_t b) {
    const Event::Rank rank = kind == Event::Kind::arrive ? Event::Rank::completes : Event::Rank::issues;
    queue_->push(time, rank, Event::what_of(kind, a, b));
  }
  // What memory, the dispatcher or another SM does to an SM.
  void push_outside(int sm, std::int64_t time, Event::Kind kind, std::int32_t a, std::int16_t b) {
    const Event::Rank rank = kind == Event::Kind::arrive ? Event::Rank::memory : Event::Rank::outside;
    events_[static_cast<std::size_t>(sm)].push(time, rank, Event::what_of(kind, a, b));
    if (sm == running_sm_) return;
    if (time < earliest_.time_of(sm)) earliest_.set(sm, time);
    last_safe_ = std::min(last_safe_, sm < running_sm_ ? time - 1 : time);
  }
  // `step`: what the agent is at or waits in; nullptr where it waits for the product of an asynchronous op.
  void block(AgentState& agent, const PlannedStep* step, Wait reason, std::int64_t now) {
    agent.blocked = true;
    agent.reason = reason;
    agent.blocked_since = now;
    if (tally_) tally_->block(agent.cta->sm, agent.slot, agent.index, agent, step, reason);
  }
  // The agent goes on at `time`: at once, with `now` moved there, when nothing else happens on its SM before (true), else by an event.
  [[gnu::always_inline]] bool go_on_at(AgentState& agent, const PlannedStep* step, std::int64_t& now, std::int64_t time, Wait reason) {
    if (time < queue_->next_time() && (ahead(time) || in_order(time))) {
      add_wait(reason, time - now);
      end_ = std::max(end_, time);
      if (tally_) book_wait(agent, step, time, reason);
      now = time;
      return true;
    }
    block(agent, step, reason, now);
    push(time, Event::Kind::wake, agent.slot, agent.index);
    return false;
  }
  void add_wait(Wait reason, std::int64_t ticks) { wait_ticks_[static_cast<std::size_t>(reason)] += ticks; }
  [[nodiscard]] VisitedTile visit(const AgentState& agent, std::int64_t trip) const {
    return visited_tile(*agent.item.tile, agent.peers, trip);
  }
  // The phase that the agent's next signal on the token belongs to.
  std::int64_t take_phase(AgentState& agent, ir::TokenId token) const {
    const std::int64_t signal = agent.counts[static_cast<std::size_t>(token)].signalled++;
    const int share = plan_.tokens[static_cast<std::size_t>(token)].share;
    return share == 1 ? signal : signal / share;
  }
  [[nodiscard]] ItemGroup group_of(const ir::Item& item) const {
    return {item.family - kernel_.families.data(), item.slab, item.tile->row_begin};
  }
  void close_books(int sm, std::int64_t now) { tally_->close(sm, sms_[static_cast<std::size_t>(sm)], memory_, now, next_list_ < lists_); }

  const ir::Kernel& kernel_;
  const KernelPlan& plan_;
  std::vector<std::int64_t> row_bytes_;  // by step
  std::vector<std::int64_t> row_begin_;  // by step: bytes of a row before those
  const MachineConfig& config_;
  ir::ItemSequence sequence_;
  MemorySystem memory_;
  std::vector<SmState> sms_;
  int cluster_ = 1;
  std::vector<SmGroup> groups_;
  std::vector<int> group_of_sm_;
  Storage storage_;
  std::vector<CtaState>& ctas_ = storage_.ctas;
  std::size_t cta_count_ = 0;  // in use
  std::vector<std::int32_t> free_slots_;
  std::vector<int> agents_through_;  // by item, beside checkpoints only
  std::vector<TransferState>& transfers_ = storage_.transfers;
  std::size_t transfer_count_ = 0;
  std::vector<std::int64_t> free_transfers_;
  std::vector<EventQueue>& events_ = storage_.events;
  EarliestSm earliest_;
  int running_sm_ = -1;
  SmState* sm_ = nullptr;        // the running one
  EventQueue* queue_ = nullptr;  // its events
  std::int64_t last_safe_ = 0;   // no event of another SM comes before this tick's of the running one
  std::int64_t horizon_ = 0;     // before which nothing from outside reaches the running SM
  std::int64_t load_lead_ = 0;   // ticks from the end of a transfer in memory, or from another SM's act, to what the SM sees of it
  std::int64_t store_lead_ = 0;
  bool outside_acts_ = false;  // other SMs reach an SM otherwise than through memory
  std::map<std::pair<ir::TokenId, ItemGroup>, std::int64_t> kernel_tokens_;
  std::map<std::tuple<std::int64_t, std::int32_t, ir::TokenId, ItemGroup>, std::int64_t> kernel_awaited_;
  std::vector<std::pair<Waiter, ItemGroup>> kernel_waiters_;
  std::unique_ptr<Recorder> trace_;  // beside a listener only
  struct StepCount {
    std::int64_t times = 0;
    std::int64_t valid_rows = 0;  // of the products' results, over all times
  };
  std::vector<StepCount> step_counts_;  // by PlannedStep::id
  MachineResult result_;
  std::array<std::int64_t, kWaitCount> wait_ticks_{};
  std::array<double, kStartOffsets> offset_cycles_{};  // resident SM cycles and trips by start offset
  std::array<double, kStartOffsets> offset_trips_{};
  std::int64_t lists_ = 0;
  std::int64_t next_list_ = 0;
  std::int64_t next_item_ = 0;
  std::int64_t next_launch_ = 0;
  std::int64_t end_ = 0;
  std::vector<double> miss_carry_;  // by tensor
  double l2_read_to_add_ = 0;       // bytes that atomics read in L2 beside those that they bring
  std::optional<Tally> tally_;      // where attribution is asked for
  std::optional<SteadyGrid> steady_;
  std::vector<std::vector<const PlannedStep*>> copies_;  // by section, beside it
  std::vector<AgentState> passing_;                      // items that pass L2 side by side
  Progress left_out_;
  double left_out_ticks_ = 0;
  std::int64_t left_out_items_ = 0;
  std::int64_t handed_out_ = 0;  // those included
};

}  // namespace attnsim::machine
