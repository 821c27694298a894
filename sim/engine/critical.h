// SPDX-License-Identifier: Apache-2.0
// The critical sequence of a kernel, from its run: backwards from the step that completed last, through what each step waited for.
//
// A step at cycle t goes back to: the holder that it queued behind (resource), else the step whose signal, copy or product ended its
// agent's wait (barrier, data), else the agent's previous step; a CTA's first step to the last one of the CTA that it replaced. The parts
// tile the kernel's time, so their shares sum to 1. Loops are folded: parts of one role, agent and cause are one entry.
//   softmax  consumer1  vector unit  61.2 %  x128
//   load_k   producer   HBM           5.0 %  x3
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/engine/events.h"

namespace attnsim {

struct CriticalPart {
  std::string role;  // of the step: "qk", "softmax"; "" for what no step does
  std::string agent;
  std::string cause;  // a unit, "HBM", "L2", "latency", "barrier", "CTA start", "write-backs"
  double cycles = 0;
  double share = 0;  // of the kernel
  std::int64_t times = 0;
};

struct CriticalSequence {
  int node = 0;
  std::string kernel;
  double cycles = 0;
  int sms = 0;                      // that were played
  std::vector<CriticalPart> parts;  // longest first
};

// Listens to runs of any number of kernels. Memory grows with the steps of the longest kernel.
class CriticalRecorder : public EngineListener {
 public:
  void on_kernel(const KernelEvent& event) override;
  void on_cta(const CtaEvent& event) override;
  void on_step(const StepEvent& event) override;
  void on_hold(const HoldEvent& event) override;
  void on_copy(const CopyEvent& event) override;
  [[nodiscard]] const std::vector<CriticalSequence>& sequences() const { return sequences_; }

 private:
  struct Hold {
    Unit unit = Unit::tensor;
    double asked = 0;
    double begin = 0;
    double end = 0;
    std::int64_t after = 0;
    std::int64_t earlier = -1;  // of the same step
  };
  struct Node {
    const Step* step = nullptr;
    int agent = 0;
    std::int64_t cta = 0;
    double issue = 0;
    std::int64_t cause = 0;
    double cause_cycle = 0;
    std::int64_t last_hold = -1;
    bool from_hbm = false;
  };
  struct Cta {
    std::int64_t replaces = -1;
    double launch = 0;
    std::int64_t last_step = 0;
    double last_complete = -1;
  };
  Node& node(std::int64_t id);
  Cta& cta(std::int64_t id);
  [[nodiscard]] const Hold* binding_hold(const Node& n, double t) const;
  void walk(double end_cycle);
  void add(const Node* n, const std::string& cause, double from, double to);

  std::vector<Node> nodes_;  // by id
  std::vector<Hold> holds_;
  std::vector<Cta> ctas_;
  std::int64_t last_step_ = 0;
  double last_complete_ = -1;
  const ir::Kernel* kernel_ = nullptr;
  CriticalSequence current_;
  std::vector<CriticalSequence> sequences_;
};

// "softmax" or "max+softmax": the roles of a step's ops, at most three.
[[nodiscard]] std::string role_of(const Step& step);

}  // namespace attnsim
