// SPDX-License-Identifier: Apache-2.0
// What the machine keeps over time: events, tokens, agents, CTAs, SMs and copies under way. Private to sim/engine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "sim/engine/engine.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/machine.h"

namespace attnsim::machine {

struct Event {
  std::int64_t time = 0;
  std::int64_t sequence = 0;
  enum class Kind : std::uint8_t { wake, arrive, launch, mma_start } kind = Kind::wake;
  std::int32_t a = 0;  // wake: CTA slot; arrive, mma_start: transfer; launch: group of SMs
  std::int32_t b = 0;  // wake: agent
  // At one tick what completes comes before what issues.
  [[nodiscard]] int phase() const { return kind == Kind::arrive ? 0 : 1; }
  bool operator>(const Event& other) const {
    return std::make_tuple(time, phase(), sequence) > std::make_tuple(other.time, other.phase(), other.sequence);
  }
};

// Items that share kernel tokens: pieces of one row tile.
using ItemGroup = std::tuple<std::ptrdiff_t, std::int64_t, std::int64_t>;  // family, slab, row_begin

struct Waiter {
  std::int32_t agent = 0;
  std::int64_t needed = 0;
  ir::TokenId token = 0;
  ItemGroup group;  // kernel tokens
};

// Phases of a CTA token (program.h): which are complete, and how many signals of the later ones have come.
struct TokenState {
  std::int64_t complete = 0;  // the initial ones included
  std::int64_t initial = 0;
  std::vector<int> pending;  // signals of phase complete + i
  void arrive(std::int64_t phase, int arrivals) {
    const auto index = static_cast<std::size_t>(initial + phase - complete);
    if (pending.size() <= index) pending.resize(index + 1, 0);
    ++pending[index];
    std::size_t done = 0;
    while (done < pending.size() && pending[done] >= arrivals) ++done;
    if (done == 0) return;
    pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(done));
    complete += static_cast<std::int64_t>(done);
  }
};

struct AgentState {
  bool done = false;
  std::int64_t item_index = 0;  // of the CTA's list
  std::int64_t position = -1;   // grid position of the item; -1: not drawn yet
  ir::Item item;
  std::size_t section = 0;
  std::int64_t step = 0;   // loop step
  std::int64_t trips = 0;  // of the current section
  std::size_t op = 0;
  int group = 0;
  bool last_arriver = false;
  bool blocked = false;
  Wait reason = Wait::start;
  std::int64_t blocked_since = 0;
  std::vector<std::int64_t> awaited;     // per token
  std::vector<std::int64_t> signalled;   // per token: signals issued
  std::vector<std::int64_t> tile_ready;  // per tile: pending asynchronous op completes
  std::vector<std::int64_t> loop_trips;  // per section: trips over earlier items
};

struct CtaState {
  std::int64_t id = 0;
  int sm = 0;
  int running_agents = 0;
  int stores_in_flight = 0;
  bool active = false;
  std::int64_t list = 0;            // which item list it walks
  std::vector<std::int64_t> items;  // grid positions taken so far
  bool exhausted = false;
  std::vector<AgentState> agents;
  std::vector<TokenState> tokens;
  std::vector<Waiter> waiters;
};

struct SmState {
  std::int64_t vector_free = 0;
  std::int64_t tensor_free = 0;
  std::int64_t smem_free = 0;      // reads and writes of MMAs and chains
  std::int64_t smem_all_free = 0;  // those and arriving copies, which yield to them

  // SMEM is shared cycle by cycle: copies take what the instructions leave. Both together never exceed the bandwidth.
  std::int64_t use_smem(std::int64_t now, std::int64_t service) {
    smem_free = std::max(now, smem_free) + service;
    smem_all_free = std::max(now, smem_all_free) + service;
    return smem_free;
  }
  std::int64_t copy_into_smem(std::int64_t now, std::int64_t service) {
    smem_all_free = std::max(now, smem_all_free) + service;
    return smem_all_free;
  }
  std::int64_t issue_free = 0;
  int resident = 0;
  std::int64_t resident_since = 0;
};

// SMs that hold the CTAs of one cluster, one each.
struct SmGroup {
  int first_sm = 0;
  std::vector<int> free;  // places left by CTAs that have ended, per SM
};

struct TransferState {
  std::int32_t cta = 0;
  std::int32_t agent = 0;
  const PlannedStep* step = nullptr;
  std::int64_t latency = 0;
  std::int64_t bytes = 0;  // of an asynchronous MMA: tick at which the tensor pipe is through with it
  int parts = 0;           // hit and miss part
  bool blocks_agent = false;
  bool is_store = false;
  bool noted = false;                // its event was recorded at issue
  std::vector<std::int64_t> phases;  // of the tokens that it completes
  OpEvent event;
};

}  // namespace attnsim::machine
