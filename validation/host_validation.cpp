// SPDX-License-Identifier: Apache-2.0
#include "validation/host_validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "hwmodels/chip_loader.h"
#include "sim/core/data_dir.h"
#include "sim/core/error.h"
#include "validation/bench/overlay.h"
#include "validation/bench/plan.h"
#include "validation/bench/ragged.h"
#include "validation/bench/sampling.h"

namespace attnsim {

namespace {

constexpr double kFullSeconds = 50;
constexpr double kQuickSeconds = 12;
constexpr int kRounds = 2;         // every row is timed so often, far apart in time
constexpr double kNoisy = 0.1;     // half width over median above which a row is timed again
constexpr int kCheckedShapes = 4;  // per kernel
constexpr double kMicroSeconds = 0.15;
constexpr double kQuickMicroSeconds = 0.06;

class Session {
 public:
  Session(const HostOptions& options, bench::Backend& backend) : options_(options), backend_(backend) {}

  HostValidation run() {
    result_.device = backend_.device();
    check();
    if (!result_.failed_checks.empty()) return std::move(result_);
    say("microbenchmarks");
    result_.microbenchmarks = backend_.microbenchmarks("", options_.quick ? kQuickMicroSeconds : kMicroSeconds);
    result_.overlay = bench::overlay_text(result_.device, result_.microbenchmarks, options_.version);
    try {
      result_.chip = load_chip("host", parse_json(result_.overlay, "overlay of this run"));
    } catch (const ConfigError& error) {
      result_.too_busy = error.what();
      return std::move(result_);
    }
    time_plan();
    for (OwnRow& row : result_.rows) predict_row(row, result_.chip);
    settle();
    add_speedups(result_.rows);
    result_.pairs = clear_pairs(result_.rows);
    return std::move(result_);
  }

 private:
  void say(const std::string& text) const {
    if (options_.say) options_.say(text);
  }

  void check() {
    say("kernels against the double-precision reference");
    for (const bench::KernelInfo& kernel : backend_.kernels()) {
      std::uint64_t seed = 1;
      for (const bench::Shape& shape : bench::ragged_shapes(backend_, kernel.name, kCheckedShapes, 7)) {
        bench::Check check = backend_.check(kernel.name, shape, seed++);
        if (check.passed) continue;
        check.note = kernel.name + " " + bench::label(shape);
        result_.failed_checks.push_back(check);
      }
    }
  }

  void time_plan() {
    const bench::Plan plan = bench::load_plan(options_.quick ? "smoke" : "quick", backend_);
    const std::vector<bench::KernelInfo> kernels = backend_.kernels();
    for (const bench::PlannedRow& planned : plan.rows) {
      bench::Row row;
      row.backend = backend_.name();
      row.device = result_.device;
      row.kernel = *std::find_if(kernels.begin(), kernels.end(), [&](const auto& k) { return k.name == planned.kernel; });
      row.source_hash = bench::hash_of_sources(row.kernel.source, data_dir());
      row.shape = planned.shape;
      row.policy = plan.policy;
      row.harness = "single-launch";
      row.version = options_.version;
      result_.rows.push_back(own_row(std::move(row)));
    }
    const double seconds = options_.seconds > 0 ? options_.seconds : options_.quick ? kQuickSeconds : kFullSeconds;
    slice_ = seconds / static_cast<double>(kRounds * result_.rows.size());
    for (int round = 0; round < kRounds; ++round) {
      say(fmt::format("timings, round {} of {}", round + 1, kRounds));
      for (OwnRow& row : result_.rows) time(row);
    }
    // What is still noisy gets as long again, once.
    for (OwnRow& row : result_.rows) {
      if (row.half_width_us > kNoisy * row.measured_us) time(row);
    }
  }

  void time(OwnRow& own) const {
    bench::TimingPolicy policy = own.row.policy;
    policy.seconds = slice_;
    policy.min_samples = std::max(3, policy.min_samples / kRounds);
    const bench::Timing timing = backend_.time(own.row.kernel.name, own.row.shape, policy);
    bench::Timing& all = own.row.timing;
    all.sample_us.insert(all.sample_us.end(), timing.sample_us.begin(), timing.sample_us.end());
    all.throttled += timing.throttled;
    all.clock_mhz = std::max(all.clock_mhz, timing.clock_mhz);
    own.measured_us = own.row.median_us();
    own.half_width_us = bench::median_half_width(all.sample_us);
    all.kernel_cycles = own.measured_us * all.clock_mhz;
  }

  // A pair that stands the wrong way round is timed anew before it counts: other load on the machine can turn any pair.
  void settle() {
    std::set<std::size_t> again;
    for (const Disorder& d : disorders(result_.rows)) again.insert({d.slow, d.fast});
    for (const std::size_t index : again) {
      result_.rows[index].row.timing = {};
      for (int round = 0; round < kRounds; ++round) time(result_.rows[index]);
    }
    result_.disorders = disorders(result_.rows);
  }

  const HostOptions& options_;
  bench::Backend& backend_;
  HostValidation result_;
  double slice_ = 0;
};

}  // namespace

HostValidation validate_host(const HostOptions& options) {
  std::string why_not;
  const std::unique_ptr<bench::Backend> backend = bench::make_host_backend(0, why_not);
  if (!backend) throw SimError("no host backend: " + why_not);
  return Session(options, *backend).run();
}

std::string host_text(const HostValidation& v) {
  std::string text = fmt::format("{} ({}), {:.0f} MHz\n", v.device.name, v.device.driver, v.device.clock_mhz);
  for (const bench::Check& check : v.failed_checks)
    text += fmt::format("FAILED: {}: worst error {:.2e}, allowed {:.2e}\n", check.note, check.worst, check.tolerance);
  if (!v.failed_checks.empty()) return text;
  if (!v.too_busy.empty())
    return text + "other load on this machine leaves no usable figures; nothing was timed or judged:\n" + v.too_busy + "\n";
  text += "kernels agree with the double-precision reference\n\nmeasured figures of chip host\n";
  for (const bench::Microbenchmark& m : v.microbenchmarks) {
    if (!m.figure.empty())
      text += fmt::format("  {:<34} {:>10.4g} +- {:<8.2g} {:<14} {}\n", m.figure, m.value, m.half_width, m.unit, m.conditions);
  }
  text += "\n" + own_rows_text(v.rows) + "\n";
  text += fmt::format("clear speedups (above {}x with noise taken off): {} pairs, {} predicted the wrong way round\n", kClearRatio, v.pairs,
                      v.disorders.size());
  for (const Disorder& d : v.disorders)
    text += fmt::format("  {} against {}: measured {:.2f}x, predicted {:.2f}x\n", bench::label(v.rows[d.fast].row.shape),
                        bench::label(v.rows[d.slow].row.shape), d.measured_ratio, d.predicted_ratio);
  return text;
}

}  // namespace attnsim
