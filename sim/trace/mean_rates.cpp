// SPDX-License-Identifier: Apache-2.0
#include "sim/trace/mean_rates.h"

#include <algorithm>

namespace attnsim {

void MeanRates::emit(double cycle, const Values& mean) {
  if (mean == last_) return;
  last_ = mean;
  sink_(cycle, mean);
}

void MeanRates::advance(double cycle) {
  while (now_ < cycle) {
    const double until = std::min(cycle, begin_ + bin_);
    for (std::size_t i = 0; i < rate_.size(); ++i) bytes_[i] += rate_[i] * (until - now_);
    now_ = until;
    if (now_ < begin_ + bin_) return;
    Values mean{};
    for (std::size_t i = 0; i < rate_.size(); ++i) mean[i] = bytes_[i] / bin_;
    emit(begin_, mean);
    bytes_ = {};
    begin_ += bin_;
  }
}

void MeanRates::restart() {
  begin_ = now_ = 0;
  rate_ = {};
  bytes_ = {};
  last_ = {-1, -1, -1};
}

void MeanRates::add(const RateEvent& event) {
  advance(event.cycle);
  rate_ = {event.l2, event.hbm_reads, event.hbm_write_back};
}

void MeanRates::finish(double end_cycle) {
  advance(end_cycle);
  if (now_ > begin_) {
    Values mean{};
    for (std::size_t i = 0; i < rate_.size(); ++i) mean[i] = bytes_[i] / (now_ - begin_);
    emit(begin_, mean);
  }
  emit(now_, {});
}

}  // namespace attnsim
