// SPDX-License-Identifier: Apache-2.0
// What a `detailed` run tells a listener: a closed set of typed events, enough to draw a trace and to walk the critical sequence.
// Times are SM cycles since the kernel's start. Without a listener nothing is recorded.
//
// Every step that an agent executes has an id (1, 2, ... in order of issue over the kernel). An event that names another step names
// its id, so the reason for a late issue can be followed:
//   StepEvent.cause   the step whose signal, copy or MMA ended the agent's last wait before the issue; without a wait it is the
//                     agent's previous step
//   HoldEvent.after   the step that held the unit before, where the group had to queue (begin > asked)
// Steps are told at issue and at completion, holds when they are granted: sort where order matters (id is the order of issue).
#pragma once

#include <cstdint>
#include <string_view>

#include "sim/ir/kernel.h"
#include "sim/select/select.h"

namespace attnsim {

// Why an agent did not issue.
enum class Wait : std::uint8_t { copy, token, pipe, dependency, start };
inline constexpr std::size_t kWaitCount = 5;
[[nodiscard]] std::string_view name_of(Wait w);

// What steps queue for, one of each per SM. Holds of one unit never overlap. `vector` stands for the FP32, ALU and SFU lanes,
// whose shares are in Step::demand; copies write SMEM in cycles that instructions leave (`smem_copies`).
enum class Unit : std::uint8_t { tensor, vector, smem, smem_copies, issue, l2_port };
inline constexpr std::size_t kUnitCount = 6;
[[nodiscard]] std::string_view name_of(Unit u);

// A kernel's first and last event. What it points to outlives the calls.
struct KernelEvent {
  int node = 0;  // of the pipeline
  const ir::Kernel* kernel = nullptr;
  const SelectedKernel* selected = nullptr;
  int sms = 0;
  int ctas_per_sm = 0;
  double clock_mhz = 0;
  double start_us = 0;    // in the pipeline, launch included
  double end_cycle = -1;  // -1 in the first event
};

struct CtaEvent {
  enum class Kind : std::uint8_t { launch, retire } kind = Kind::launch;
  double cycle = 0;
  std::int64_t cta = 0;  // launch order
  int sm = 0;
  int place = 0;               // on its SM, 0 .. ctas_per_sm - 1
  std::int64_t replaces = -1;  // launch: the CTA that had the place before
};

// Who does a step for which piece of work.
struct StepPlace {
  std::int64_t cta = 0;
  int sm = 0;
  int place = 0;
  int agent = 0;
  int section = 0;
  std::int64_t item = 0;  // position in the grid order
  std::int64_t trip = 0;  // that the step handles; 0 outside loops
};

struct StepEvent {
  std::int64_t id = 0;
  StepPlace at;
  const Step* step = nullptr;
  double issue_cycle = 0;    // of the first instruction group
  double release_cycle = 0;  // the agent goes on
  double complete_cycle = 0;
  bool waited = false;  // the agent was ready to issue at wait_since and did not
  Wait wait = Wait::start;
  double wait_since = 0;
  double cause_cycle = 0;      // when the cause signalled or completed
  std::int64_t cause = 0;      // id; 0: none (start, a token's initial count)
  std::int64_t cause_cta = 0;  // where the cause ran
};

struct HoldEvent {
  Unit unit = Unit::tensor;
  int sm = 0;
  std::int64_t step = 0;  // id of the holder
  double asked = 0;
  double begin = 0;
  double end = 0;
  std::int64_t after = 0;  // id of the last holder before; 0: none
};

struct SignalEvent {
  ir::TokenId token = 0;
  double cycle = 0;
  std::int64_t step = 0;  // id of the signal, or of the copy or MMA that completed
  std::int64_t cta = 0;
  int sm = 0;
  int agent = 0;
  std::int64_t phase = 0;  // of a CTA token; count after the signal of a kernel token
};

struct CopyEvent {
  enum class Kind : std::uint8_t { submit, complete } kind = Kind::submit;
  std::int64_t step = 0;
  double cycle = 0;
  int sm = 0;
  bool is_store = false;
  std::int64_t hit_bytes = 0;
  std::int64_t miss_bytes = 0;
};

// Bytes per SM cycle over the whole chip, from this cycle to the next RateEvent.
struct RateEvent {
  double cycle = 0;
  double l2 = 0;              // SM <-> L2
  double hbm_reads = 0;       // of which misses
  double hbm_write_back = 0;  // evicted blocks, in cost of reads
};

// A listener that has seen enough may throw: the run ends with that exception.
class EngineListener {
 public:
  virtual ~EngineListener() = default;
  virtual void on_kernel(const KernelEvent& event) { (void)event; }
  virtual void on_cta(const CtaEvent& event) { (void)event; }
  virtual void on_issue(const StepEvent& event) { (void)event; }  // release and completion not known yet
  virtual void on_step(const StepEvent& event) { (void)event; }   // complete
  virtual void on_hold(const HoldEvent& event) { (void)event; }
  virtual void on_signal(const SignalEvent& event) { (void)event; }
  virtual void on_copy(const CopyEvent& event) { (void)event; }
  virtual void on_rate(const RateEvent& event) { (void)event; }
};

}  // namespace attnsim
