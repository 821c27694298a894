// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/suspects.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace attnsim {

namespace {

constexpr double kLeastShare = 0.01;  // of the gap; less explains nothing
constexpr int kClockSearchSteps = 10;

struct Trial {
  std::string name;
  std::string explanation;
  Request request;
};

class Trials {
 public:
  explicit Trials(const Request& base) : base_(base) {}
  void add(const std::string& name, const std::string& explanation, const std::function<void(Request&)>& edit) {
    Trial trial{name, explanation, base_};
    edit(trial.request);
    out.push_back(std::move(trial));
  }
  std::vector<Trial> out;

 private:
  const Request& base_;
};

void add_clock_and_memory(Trials& t, const Request& base) {
  const Conditions& c = base.conditions;
  const Chip& chip = base.chip;
  if (c.clock != ClockPolicy::sustained)
    t.add("sustained clock", "the power cap lowers the clock, as in a long loop",
          [](Request& r) { r.conditions.clock = ClockPolicy::sustained; });
  if (c.clock != ClockPolicy::boost)
    t.add("boost clock", fmt::format("the SMs ran at {:.0f} MHz", chip.clock.boost_mhz),
          [](Request& r) { r.conditions.clock = ClockPolicy::boost; });
  if (c.l2 == L2Start::warm)
    t.add("L2 cold", "nothing was in L2 at the start: flushed, or another kernel ran between",
          [](Request& r) { r.conditions.l2 = L2Start::cold; });
  else
    t.add("L2 warm", "the inputs were in L2 from the call before", [](Request& r) { r.conditions.l2 = L2Start::warm; });
  t.add("HBM at 80 %", "HBM sustained four fifths of what the chip's figures say: scattered pages, refresh, ECC",
        [](Request& r) { r.chip.hbm.efficiency *= 0.8; });
  t.add("half of L2", "half of the effective L2 capacity: both partitions hold a copy, or someone else's lines",
        [](Request& r) { r.chip.l2.effective_fraction /= 2; });
  t.add("L2 bandwidth halved", "L2 slices out of balance, or traffic between its partitions",
        [](Request& r) { r.chip.l2.bandwidth_bytes_per_clk /= 2; });
  t.add("HBM latency doubled", "latency under load, TLB misses, page-table walks", [](Request& r) { r.chip.latency.hbm_ns *= 2; });
  if (chip.sm.gpcs > 1)
    t.add("one GPC less",
          fmt::format("{} of {} SMs worked: cluster placement, MIG, other streams", chip.sm.count - chip.sm.count / chip.sm.gpcs,
                      chip.sm.count),
          [](Request& r) { r.chip.sm.count -= r.chip.sm.count / r.chip.sm.gpcs; });
}

void add_launch(Trials& t, const Request& base) {
  t.add("one more kernel", "a kernel without work of its own runs beside it: memset, metadata, combine",
        [&](Request& r) { r.conditions.constant_us += base.chip.launch.dependent_kernel_us; });
  t.add("launch not hidden", fmt::format("{:.1f} us of launch inside the timing once more", base.chip.launch.kernel_us),
        [&](Request& r) { r.conditions.constant_us += base.chip.launch.kernel_us; });
  if (base.conditions.include_launch)
    t.add("launch hidden", "the launch was not inside the timing", [](Request& r) { r.conditions.include_launch = false; });
  if (base.conditions.launches == LaunchKind::graph && base.chip.launch.stream_kernel_us > 0)
    t.add("plain launches", "kernels were launched one by one, not as a graph",
          [](Request& r) { r.conditions.launches = LaunchKind::plain; });
  if (base.conditions.extra_kernels.empty())
    t.add("KV-cache write", "the kernel that writes K and V into the cache was inside the timing",
          [](Request& r) { r.conditions.extra_kernels.push_back(ExtraKernel::kv_cache_write); });
}

void add_kernel(Trials& t) {
  t.add("lone CTA", "one CTA per SM: registers or SMEM spilled over the limit", [](Request& r) { r.chip.sm.max_ctas = 1; });
  t.add("no overlap", "one buffer stage: copies do not run ahead of the computation", [](Request& r) {
    for (TileRule& rule : r.schedule.tiles) {
      rule.stages = rule.stages_v = 1;
      rule.kv_ring = 0;
    }
  });
  t.add("softmax serial", "the pipes of a chain do not overlap at all", [](Request& r) { r.chip.vector.chain_serialization = 1; });
  t.add("exp on the FP32 lanes", "exponentials run as polynomials where the SFU is full",
        [](Request& r) { r.chip.sm.exp_on_fma = !r.chip.sm.exp_on_fma; });
  t.add("SMEM bank conflicts", "every SMEM access takes two passes", [](Request& r) { r.chip.sm.smem_efficiency /= 2; });
  t.add("dependent latency doubled", "results wait: registers spilled, or instructions in a poor order", [](Request& r) {
    LatencyModel& l = r.chip.latency;
    for (double* cycles :
         {&l.fp32_cycles, &l.alu_cycles, &l.sfu_cycles, &l.shuffle_cycles, &l.mma_sync_cycles, &l.wgmma_cycles, &l.barrier_cycles})
      *cycles *= 2;
  });
}

// The clock at which the prediction meets the measurement, where there is one.
std::optional<Trial> clock_that_fits(const Request& base, double base_us, double measured_us) {
  double low = base.chip.clock.min_mhz;
  double high = base.chip.clock.boost_mhz;
  const auto at = [&](double mhz) {
    Request r = base;
    r.conditions.clock = ClockPolicy::locked;
    r.conditions.locked_mhz = mhz;
    return r;
  };
  const std::optional<double> slowest = what_if_us(at(low));
  const std::optional<double> fastest = what_if_us(at(high));
  if (!slowest || !fastest || measured_us > *slowest || measured_us < *fastest || base_us == measured_us) return std::nullopt;
  for (int i = 0; i < kClockSearchSteps; ++i) {
    const double middle = (low + high) / 2;
    const std::optional<double> time = what_if_us(at(middle));
    if (!time) return std::nullopt;
    (*time > measured_us ? low : high) = middle;
  }
  return Trial{fmt::format("clock {:.0f} MHz", high), "the SMs ran at this clock", at(high)};
}

}  // namespace

Verdict suspects_of(const Request& request, double measured_us) {
  const Request base = affordable(request);
  Verdict verdict;
  verdict.measured_us = measured_us;
  verdict.engine = base.engine;
  verdict.base_us = what_if_us(base).value_or(0);
  Trials trials(base);
  add_clock_and_memory(trials, base);
  add_launch(trials, base);
  add_kernel(trials);
  for (const Effect& effect : effects()) {
    if (base.conditions.without.count(effect.name) != 0) continue;
    trials.add("without " + effect.name, effect.description, [&](Request& r) { r.conditions.without.insert(effect.name); });
  }
  std::vector<Variation> variations = schedule_neighbours(base);
  for (Variation& v : other_schedules(base)) variations.push_back(std::move(v));
  for (const Variation& v : variations) trials.out.push_back({v.name + " " + v.change, v.explanation, v.request});
  if (std::optional<Trial> clock = clock_that_fits(base, verdict.base_us, measured_us)) trials.out.push_back(std::move(*clock));

  const double gap = measured_us - verdict.base_us;
  for (const Trial& trial : trials.out) {
    const std::optional<double> time = what_if_us(trial.request);
    if (!time || gap == 0) continue;
    const double closes = (*time - verdict.base_us) / gap;
    // Two names of one change (one stage: no overlap) give one time.
    const bool told = std::any_of(verdict.suspects.begin(), verdict.suspects.end(), [&](const Suspect& s) { return s.time_us == *time; });
    if (closes >= kLeastShare && !told) verdict.suspects.push_back({trial.name, trial.explanation, *time, closes});
  }
  const auto distance = [&](const Suspect& s) { return std::abs(s.time_us - measured_us); };
  std::stable_sort(verdict.suspects.begin(), verdict.suspects.end(),
                   [&](const Suspect& a, const Suspect& b) { return distance(a) < distance(b); });
  return verdict;
}

}  // namespace attnsim
