// SPDX-License-Identifier: Apache-2.0
// Rates that change at every transfer, as means over bins of equal length: a counter that a viewer can draw and whose sum over
// the bins is still every byte.
#pragma once

#include <array>
#include <functional>

#include "sim/engine/events.h"

namespace attnsim {

class MeanRates {
 public:
  using Values = std::array<double, 3>;  // L2, HBM reads, HBM write-back; bytes per cycle
  using Sink = std::function<void(double cycle, const Values& mean)>;
  MeanRates(double bin_cycles, Sink sink) : bin_(bin_cycles), sink_(std::move(sink)) {}
  void restart();  // at cycle 0
  void add(const RateEvent& event);
  void finish(double end_cycle);

 private:
  void advance(double cycle);
  void emit(double cycle, const Values& mean);
  double bin_;
  Sink sink_;
  double begin_ = 0;  // of the current bin
  double now_ = 0;
  Values rate_{};
  Values bytes_{};  // of the current bin so far
  Values last_{-1, -1, -1};
};

}  // namespace attnsim
