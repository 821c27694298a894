// SPDX-License-Identifier: Apache-2.0
// What the machine keeps over time: events, tokens, agents, CTAs, SMs and copies under way. Private to sim/engine.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <tuple>
#include <vector>

#include "sim/core/small_vector.h"
#include "sim/engine/engine.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/machine.h"
#include "sim/engine/shared_products.h"
#include "sim/engine/sliding_queue.h"

namespace attnsim::machine {

struct Event {
  enum class Kind : std::uint8_t { wake, arrive, launch, mma_start };
  // Among events of one SM and tick: a step that was put off, what memory completes, what the SM completes, what issues, and what
  // comes from other SMs; each of these by age.
  enum class Rank : std::uint8_t { put_off, memory, completes, issues, outside };
  std::int64_t when = 0;  // time and rank
  std::uint64_t what = 0;

  static constexpr int kRankBits = 3;
  [[nodiscard]] static std::int64_t when_of(std::int64_t time, Rank rank) { return time << kRankBits | static_cast<std::int64_t>(rank); }
  [[nodiscard]] std::int64_t time() const { return when >> kRankBits; }
  [[nodiscard]] Rank rank() const { return static_cast<Rank>(when & ((1 << kRankBits) - 1)); }
  [[nodiscard]] static std::uint64_t what_of(Kind kind, std::int32_t a, std::int16_t b) {
    return static_cast<std::uint64_t>(kind) << 48 | static_cast<std::uint64_t>(static_cast<std::uint16_t>(b)) << 32 |
           static_cast<std::uint32_t>(a);
  }
  [[nodiscard]] static Kind kind_of(std::uint64_t what) { return static_cast<Kind>(what >> 48); }
  // wake: CTA slot; arrive, mma_start: transfer; launch: group of SMs
  [[nodiscard]] static std::int32_t a_of(std::uint64_t what) { return static_cast<std::int32_t>(what); }
  [[nodiscard]] static std::int16_t b_of(std::uint64_t what) { return static_cast<std::int16_t>(what >> 32); }  // wake: agent
};

// Pending events of an SM, earliest first; those of one time and rank in the order in which they came.
class EventQueue {
 public:
  [[nodiscard]] bool empty() const { return events_.empty(); }
  [[nodiscard]] const Event& top() const { return events_.top(); }
  [[nodiscard]] std::int64_t next_time() const { return next_time_; }
  void clear() {
    events_.clear();
    next_time_ = INT64_MAX;
  }
  [[gnu::always_inline]] void push(std::int64_t time, Event::Rank rank, std::uint64_t what) {
    const std::int64_t when = Event::when_of(time, rank);
    fill(events_.place_before([when](const Event& other) { return when < other.when; }), when, what);
    next_time_ = std::min(next_time_, time);
  }
  // Of what comes before all others.
  void push_first(std::int64_t time, Event::Rank rank, std::uint64_t what) {
    fill(events_.first_place(), Event::when_of(time, rank), what);
    next_time_ = time;
  }
  void pop() {
    events_.pop();
    next_time_ = events_.empty() ? INT64_MAX : events_.top().time();
  }

 private:
  static void fill(Event& event, std::int64_t when, std::uint64_t what) {
    event.when = when;
    event.what = what;
  }
  SlidingQueue<Event> events_;
  std::int64_t next_time_ = INT64_MAX;
};

// Which SM has the earliest event; of several the one with the lowest number. A binary tree of the least keys, which are a time and an SM.
class EarliestSm {
 public:
  explicit EarliestSm(int sms)
      : bits_(std::bit_width(static_cast<unsigned>(sms))),
        leaves_(std::bit_ceil(static_cast<std::size_t>(sms))),
        keys_(2 * leaves_, kNone) {}
  [[nodiscard]] std::int64_t time() const { return time_in(keys_[kTop]); }
  [[nodiscard]] std::int64_t time_of(int sm) const { return time_in(keys_[leaf(sm)]); }
  void set(int sm, std::int64_t time) {
    std::int64_t* keys = keys_.data();
    std::int64_t key = time == INT64_MAX ? kNone : time << bits_ | sm;
    for (std::size_t node = leaf(sm); keys[node] != key; node /= 2) {  // else all above is as it was
      keys[node] = key;
      if (node == kTop) return;
      key = std::min(key, keys[node ^ 1]);
    }
  }
  // `last_safe`: up to which tick, included, no event of another SM comes before one of this SM.
  [[nodiscard]] int first(std::int64_t& last_safe) const {
    const std::int64_t* keys = keys_.data();
    const int sm = sm_in(keys[kTop]);
    std::int64_t second = kNone;
    for (std::size_t node = leaf(sm); node != kTop; node /= 2) second = std::min(second, keys[node ^ 1]);
    last_safe = second == kNone ? kNone : (second >> bits_) - (sm_in(second) < sm ? 1 : 0);
    return sm;
  }

 private:
  static constexpr std::size_t kTop = 1;
  static constexpr std::int64_t kNone = INT64_MAX;
  [[nodiscard]] std::size_t leaf(int sm) const { return leaves_ + static_cast<std::size_t>(sm); }
  [[nodiscard]] std::int64_t time_in(std::int64_t key) const { return key == kNone ? kNone : key >> bits_; }
  [[nodiscard]] int sm_in(std::int64_t key) const { return static_cast<int>(key & ((std::int64_t{1} << bits_) - 1)); }

  int bits_ = 0;
  std::size_t leaves_ = 0;
  std::vector<std::int64_t> keys_;  // of node n below n / 2
};

// Items that share kernel tokens: pieces of one row tile.
using ItemGroup = std::tuple<std::ptrdiff_t, std::int64_t, std::int64_t>;  // family, slab, row_begin

struct Waiter {
  std::int32_t slot = 0;
  std::int16_t agent = 0;
  std::int64_t needed = 0;
  ir::TokenId token = 0;
};

// Phases of a CTA token (program.h): which are complete, and how many signals of the later ones have come.
struct TokenState {
  std::int64_t complete = 0;  // the initial ones included
  std::int64_t initial = 0;
  std::uint32_t mask = kFew - 1;
  std::array<int, 4> few{};  // a ring: signals of phase n at n % size
  std::vector<int> many;     // in its place, where phases run further ahead

  void start(std::int64_t phases) {
    complete = phases;
    initial = phases;
    mask = kFew - 1;
    few.fill(0);
    many.clear();
  }
  // True when it completes a phase.
  bool arrive(std::int64_t phase, int arrivals) {
    const std::int64_t n = initial + phase;
    while (n - complete > static_cast<std::int64_t>(mask)) grow();
    ++at(n);
    const std::int64_t before = complete;
    while (at(complete) >= arrivals) {
      at(complete) = 0;
      ++complete;
    }
    return complete > before;
  }

 private:
  static constexpr std::uint32_t kFew = 4;
  [[nodiscard]] int& at(std::int64_t n) {
    const auto place = static_cast<std::size_t>(n) & mask;
    return mask < kFew ? few[place] : many[place];
  }
  [[gnu::noinline]] void grow() {
    const std::uint32_t wider_mask = 2 * mask + 1;
    std::vector<int> wider(wider_mask + 1, 0);
    for (std::int64_t n = complete; n <= complete + static_cast<std::int64_t>(mask); ++n)
      wider[static_cast<std::size_t>(n) & wider_mask] = at(n);
    many.swap(wider);
    mask = wider_mask;
  }
};

struct CtaState;

struct AgentState {
  CtaState* cta = nullptr;
  std::int32_t slot = 0;  // of the CTA
  std::int16_t index = 0;
  const PlannedStep* ops = nullptr;  // of the current section, and their end
  const PlannedStep* ops_end = nullptr;
  const PlannedStep* op = nullptr;  // the next one
  bool done = false;
  bool last_arriver = false;
  bool blocked = false;
  bool peers = false;  // the current section is a loop over peers
  Wait reason = Wait::start;
  int group = 0;
  std::int64_t item_index = 0;  // of the CTA's list
  std::int64_t position = -1;   // grid position of the item; -1: not drawn yet
  ir::Item item;
  std::size_t section = 0;
  std::int64_t step = 0;   // loop step
  std::int64_t steps = 0;  // loop steps of the current section
  std::int64_t trips = 0;  // of the current section
  std::int64_t blocked_since = 0;
  struct TokenCounts {
    std::int64_t awaited = 0;
    std::int64_t signalled = 0;  // signals issued
  };
  std::vector<TokenCounts> counts;       // per token
  std::vector<std::int64_t> tile_ready;  // per tile: pending asynchronous op completes

  void start(std::size_t tokens, std::size_t tiles, std::int64_t now) {
    done = false;
    last_arriver = false;
    blocked = true;
    reason = Wait::start;
    group = 0;
    item_index = 0;
    position = -1;
    section = 0;
    ops = ops_end = op = nullptr;
    step = 0;
    steps = 0;
    trips = 0;
    blocked_since = now;
    counts.assign(tokens, {});
    tile_ready.assign(tiles, 0);
  }
};

struct CtaState {
  std::int64_t id = 0;
  int sm = 0;
  std::int32_t slot = 0;
  int running_agents = 0;
  int stores_in_flight = 0;
  bool active = false;
  std::int64_t launched = 0;
  std::int64_t list = 0;            // which item list it walks
  std::vector<std::int64_t> items;  // grid positions taken so far
  bool exhausted = false;
  std::vector<AgentState> agents;
  std::vector<TokenState> tokens;
  std::vector<Waiter> waiters;
};

struct alignas(64) SmState {
  std::int64_t vector_free = 0;
  std::int64_t tensor_free = 0;
  std::int64_t sync_free = 0;      // turn of mma.sync and chains
  std::int64_t tmem_free = 0;      // tensor memory to registers and back
  std::int64_t smem_free = 0;      // reads and writes of MMAs and chains
  std::int64_t smem_all_free = 0;  // those and arriving copies, which yield to them
  std::int64_t issue_free = 0;
  int stores_in_flight = 0;
  int resident = 0;
  std::int64_t resident_since = 0;
  std::int64_t empty_since = 0;
  SharedProducts products;  // of MMAs that take turns by steps

  // SMEM is shared cycle by cycle: copies take what the instructions leave. Both together never exceed the bandwidth.
  std::int64_t use_smem(std::int64_t now, std::int64_t service) {
    smem_free = std::max(now, smem_free) + service;
    smem_all_free = std::max(now, smem_all_free) + service;
    return smem_free;
  }
  // Line by line between the operands of MMAs, which reserve SMEM as a whole.
  std::int64_t use_smem_between(std::int64_t now, std::int64_t service) { return std::min(use_smem(now, service), now + 2 * service); }
  std::int64_t copy_into_smem(std::int64_t now, std::int64_t service) {
    smem_all_free = std::max(now, smem_all_free) + service;
    return smem_all_free;
  }
};

// SMs that hold the CTAs of one cluster, one each.
struct SmGroup {
  int first_sm = 0;
  SmallVector<int, 2> free;  // places left by CTAs that have ended, per SM
};

struct TransferState {
  AgentState* agent = nullptr;
  const PlannedStep* step = nullptr;
  std::int64_t latency = 0;
  std::int64_t bytes = 0;  // of an asynchronous MMA: tick at which the tensor pipe is through with it
  int parts = 0;           // hit and miss part
  bool blocks_agent = false;
  bool is_store = false;
  SmallVector<std::int64_t, 2> phases;  // of the tokens that it completes
};

}  // namespace attnsim::machine
