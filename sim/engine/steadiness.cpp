// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/steadiness.h"

#include <algorithm>
#include <cmath>

namespace attnsim::machine {

namespace {

// Amounts of work that are compared at least: three may still agree by chance.
constexpr std::size_t kLeast = 4;
// By how much the halves may differ, and the error that the whole time may be expected to have.
constexpr double kDrift = 0.01;
constexpr double kError = 0.003;

bool alike(double a, double b, double scale) {
  return std::abs(a - b) <= kDrift * scale;
}

// Parts of what moves between SMs and L2, not the amounts, which copies under way let swing.
bool alike_in_bytes(const Progress& a, const Progress& b) {
  const auto part = [](double bytes, const Progress& p) { return p.l2_bytes > 0 ? bytes / p.l2_bytes : 0; };
  return alike(part(a.hbm_bytes, a), part(b.hbm_bytes, b), 1) && alike(part(a.hbm_written_bytes, a), part(b.hbm_written_bytes, b), 1);
}

// `marks`: one more than there are amounts.
bool is_steady(const Progress* marks, std::size_t amounts, double more) {
  const Progress& end = marks[amounts];
  const std::size_t half = amounts / 2;
  const Progress early = marks[half] - marks[0];
  const Progress late = end - marks[amounts - half];
  const double time = late.ticks;
  if (!alike(early.ticks, late.ticks, time) || !alike(early.owed_ticks, late.owed_ticks, time) || !alike_in_bytes(early, late))
    return false;
  const double mean = (end.ticks - marks[0].ticks) / static_cast<double>(amounts);
  double squares = 0;
  for (std::size_t i = 0; i < amounts; ++i) {
    const double off = marks[i + 1].ticks - marks[i].ticks - mean;
    squares += off * off;
  }
  const double of_mean = std::sqrt(squares / static_cast<double>(amounts - 1) / static_cast<double>(amounts));
  return of_mean * more <= kError * (end.ticks + mean * more);
}

}  // namespace

void Progress::add(const Progress& other, double times) {
  ticks += other.ticks * times;
  owed_ticks += other.owed_ticks * times;
  l2_inserted_bytes += other.l2_inserted_bytes * times;
  l2_evicted_bytes += other.l2_evicted_bytes * times;
  l2_bytes += other.l2_bytes * times;
  hbm_bytes += other.hbm_bytes * times;
  hbm_written_bytes += other.hbm_written_bytes * times;
  loaded_bytes += other.loaded_bytes * times;
  hit_bytes += other.hit_bytes * times;
  cta_cycles += other.cta_cycles * times;
  for (std::size_t i = 0; i < wait_ticks.size(); ++i) wait_ticks[i] += other.wait_ticks[i] * times;
  for (std::size_t i = 0; i < offset_trips.size(); ++i) offset_trips[i] += other.offset_trips[i] * times;
}

Progress operator-(Progress a, const Progress& b) {
  a.add(b, -1);
  return a;
}

std::size_t steady_amounts(const std::vector<Progress>& marks, double more) {
  // The first may still belong to the start.
  for (std::size_t first = 0; first < 2 && first + kLeast < marks.size(); ++first) {
    const std::size_t amounts = marks.size() - 1 - first;
    if (is_steady(marks.data() + first, amounts, more)) return amounts;
  }
  return 0;
}

}  // namespace attnsim::machine
