// SPDX-License-Identifier: Apache-2.0
// Turns what the machine does into events: numbers the steps, remembers what each agent waits for, who held each unit last and who
// wrote each tile. Exists only beside a listener. Times in ticks. Private to sim/engine.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/engine/events.h"
#include "sim/engine/kernel_plan.h"
#include "sim/engine/memory.h"

namespace attnsim::machine {

class Recorder {
 public:
  Recorder(EngineListener& listener, KernelEvent kernel);

  void finish(std::int64_t end);
  void launch(std::int32_t slot, std::int64_t cta, int sm, std::int64_t now);
  void retire(std::int32_t slot, std::int64_t now);

  // The agent can't issue from `since` on. `cause` may follow with `caused`.
  void wait(std::int32_t slot, std::int32_t agent, Wait reason, std::int64_t since);
  void wait_for_tile(std::int32_t slot, std::int32_t agent, const std::vector<ir::TileId>& tiles,
                     const std::vector<std::int64_t>& tile_ready, std::int64_t since, std::int64_t ready);
  void caused(std::int32_t slot, std::int32_t agent, std::int64_t now);  // by the current signaller

  static constexpr std::int64_t kWhenComplete = -1;  // release of a copy that holds its agent

  // A step's life: begin (once, at the first group), holds, then end or, through a transfer, pending and arrive.
  void begin(std::int32_t slot, std::int32_t agent, const PlannedStep& step, std::size_t section, std::int64_t item, std::int64_t trip,
             std::int64_t now);
  void hold(Unit unit, std::int32_t slot, std::int32_t agent, std::int64_t asked, std::int64_t begin, std::int64_t end);
  void end(std::int32_t slot, std::int32_t agent, std::int64_t release, std::int64_t complete);
  void pending(std::int64_t transfer, std::int32_t slot, std::int32_t agent, const PlannedStep& step, std::int64_t release);
  void hold_transfer(Unit unit, std::int64_t transfer, std::int64_t asked, std::int64_t begin, std::int64_t end);
  void submit(std::int64_t transfer, bool is_store, std::int64_t hit, std::int64_t miss, std::int64_t now);
  void served(std::int64_t transfer, double end);  // its last byte left the port
  void arrive(std::int64_t transfer, std::int64_t now);

  void signal(ir::TokenId token, std::int64_t phase, std::int64_t now);
  void rates(double now, const MemoryUse& use);

 private:
  struct Signaller {
    std::int64_t step = 0;
    std::int64_t cta = 0;
    int sm = 0;
    int agent = 0;
  };
  struct AgentTrace {
    StepEvent current;
    StepEvent wait;  // wait and cause of the next step
    std::int64_t previous = 0;
    double previous_release = 0;
    std::vector<std::int64_t> tile_writer;  // by tile: id of the last asynchronous op
  };
  struct CtaTrace {
    std::int64_t cta = 0;
    int sm = 0;
    int place = 0;
    std::vector<AgentTrace> agents;
  };
  struct Copy {  // or an asynchronous MMA
    StepEvent step;
    CopyEvent copy;
    std::int32_t slot = 0;
    bool is_copy = false;
    bool releases_agent = false;
  };
  AgentTrace& agent_of(std::int32_t slot, std::int32_t agent) {
    return ctas_[static_cast<std::size_t>(slot)].agents[static_cast<std::size_t>(agent)];
  }
  Copy& transfer_of(std::int64_t transfer) { return transfers_[static_cast<std::size_t>(transfer)]; }
  void held(Unit unit, int sm, std::int64_t step, double asked, double begin, double end);

  EngineListener& listener_;
  KernelEvent kernel_;
  std::vector<CtaTrace> ctas_;                     // by slot
  std::vector<std::vector<std::int64_t>> places_;  // by SM: the CTA at each place, -1 when free
  std::vector<std::vector<std::int64_t>> before_;  // by SM: the last CTA at each place
  std::vector<Copy> transfers_;
  std::vector<std::array<std::int64_t, kUnitCount>> holder_;  // by SM
  std::vector<double> port_free_;                             // by SM, cycles
  Signaller signaller_;
  RateEvent rate_;
  std::int64_t next_id_ = 1;
};

}  // namespace attnsim::machine
