// SPDX-License-Identifier: Apache-2.0
// How fast predictions are made: every point of the list once, with all rungs and nothing kept between points, on one core.
//
//   attnsim_bench_points [--repeat N] [--slowest N] [--list FILE] [--only N] [--values FILE] [--stages 1] [--growth 0] [--detailed TRIPS]
//   200 points   geometric mean 0.41 ms   slowest 5 % above 3.9 ms   1290 points/s
//
// A point's time is the least CPU time of N passes over the shuffled list (default 1), so that what else the machine does
// counts less. Chips, schedules and harnesses are read before.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <numeric>

#include "bench/point_list.h"
#include "sim/bounds/bounds.h"
#include "sim/core/error.h"
#include "sim/core/heap.h"
#include "sim/predict/identity.h"
#include "sim/predict/standing.h"
#include "workloads/lower.h"

namespace {

using namespace attnsim;

struct Options {
  int repeat = 1;
  int slowest = 0;
  int only = -1;        // this point alone, for a profiler
  bool stages = false;  // where the time goes
  bool growth = true;   // after the list, with tokens, heads and SMs
  double detailed = 0;  // points of up to so many loop trips times agents are played in detail too, and compared
  std::string values;   // file for the predicted times, to compare two builds
  std::string list = ATTNSIM_SOURCE_DIR "/bench/points.csv";
};

double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

struct Timed {
  double ms = 0;
  double predicted_us = 0;
};

Timed timed(const Request& request) {
  const double before = cpu_ms();
  const Result result = predict(request);
  const double spent = cpu_ms() - before;
  return {spent, result.ladder.at(Rung::simulated).value()};
}

// The parts of predict(), each over all points.
void print_stages(const std::vector<bench::Point>& points) {
  std::array<double, 5> ms{};
  for (const bench::Point& point : points) {
    const Request& r = point.request;
    const double start = cpu_ms();
    const ir::Pipeline pipeline = lower(*r.variant, r.problem, r.schedule, r.chip, r.conditions.extra_kernels);
    const double lowered = cpu_ms();
    const Bounds bounds = compute_bounds(pipeline, r.chip, r.conditions);
    const double bounded = cpu_ms();
    const Simulation simulation = simulate(pipeline, r.chip, r.conditions, {.kind = r.engine});
    const double simulated = cpu_ms();
    const std::string identity = model_hash(r);
    const double hashed = cpu_ms();
    const std::string trust = standing(accuracy_table(), r.chip.name, r.schedule.name, "prefill");
    const double looked_up = cpu_ms();
    require(bounds.kernel_ladder.size() == simulation.kernels.size() && !identity.empty() && !trust.empty(), "every stage gave something");
    ms[0] += lowered - start;
    ms[1] += bounded - lowered;
    ms[2] += simulated - bounded;
    ms[3] += hashed - simulated;
    ms[4] += looked_up - hashed;
  }
  constexpr std::array<const char*, 5> kNames{"lower", "bounds", "simulate", "identity", "standing"};
  for (std::size_t i = 0; i < ms.size(); ++i) fmt::print("{:9} {:.3f} ms\n", kNames[i], ms[i] / static_cast<double>(points.size()));
}

// fast / detailed - 1 of the points that are short enough, in the list's order.
void print_agreement(const std::vector<bench::Point>& points, double trips) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Request& r = points[i].request;
    const ir::Pipeline pipeline = lower(*r.variant, r.problem, r.schedule, r.chip, r.conditions.extra_kernels);
    if (loop_trips(pipeline) > trips) continue;
    const double fast = simulate(pipeline, r.chip, r.conditions, {.kind = EngineKind::fast}).time_us;
    const double detailed = simulate(pipeline, r.chip, r.conditions, {.kind = EngineKind::detailed}).time_us;
    fmt::print("{:+8.3f} %  {:.6g} us  #{} {}\n", 100 * (fast / detailed - 1), detailed, i, points[i].label);
  }
}

double least_ms(const Request& request, int passes) {
  double least = timed(request).ms;
  for (int i = 1; i < passes; ++i) least = std::min(least, timed(request).ms);
  return least;
}

struct Series {
  std::string name;
  std::vector<double> sizes;
  std::vector<double> ms;
};

// Slope of log time over log size, by least squares: 1 is linear growth.
double exponent(const Series& series) {
  const auto n = static_cast<double>(series.sizes.size());
  double x = 0;
  double y = 0;
  double xx = 0;
  double xy = 0;
  for (std::size_t i = 0; i < series.sizes.size(); ++i) {
    const double u = std::log(series.sizes[i]);
    const double v = std::log(series.ms[i]);
    x += u;
    y += v;
    xx += u * u;
    xy += u * v;
  }
  return (n * xy - x * y) / (n * xx - x * x);
}

void print(const Series& series) {
  fmt::print("growth with {:7} exponent {:5.2f}  ", series.name, exponent(series));
  for (std::size_t i = 0; i < series.sizes.size(); ++i) fmt::print("  {:.0f}: {:.2f} ms", series.sizes[i], series.ms[i]);
  fmt::print("\n");
}

void growth() {
  constexpr int kPasses = 3;
  Series tokens{"tokens", {}, {}};
  for (std::int64_t length = 1024; length <= 1048576; length *= 4) {
    tokens.sizes.push_back(static_cast<double>(length));
    tokens.ms.push_back(least_ms(bench::prefill("h100-sxm", "fa3-sm90", "causal", length, 32), kPasses));
  }
  Series heads{"heads", {}, {}};
  for (std::int64_t count = 4; count <= 256; count *= 4) {
    heads.sizes.push_back(static_cast<double>(count));
    heads.ms.push_back(least_ms(bench::prefill("h100-sxm", "fa3-sm90", "causal", 16384, count), kPasses));
  }
  Series sms{"SMs", {}, {}};
  for (int count = 8; count <= 512; count *= 4) {
    Request request = bench::prefill("h100-sxm", "fa3-sm90", "causal", 16384, 32);
    request.chip.sm.count = count;
    sms.sizes.push_back(count);
    sms.ms.push_back(least_ms(request, kPasses));
  }
  for (const Series& series : {tokens, heads, sms}) print(series);
  for (const char* variant_name : {"dense", "causal"}) {
    fmt::print("prefill of 1,048,576 tokens, {:6} 32 heads, fa3-sm90 on h100-sxm: {:.2f} ms\n", variant_name,
               least_ms(bench::prefill("h100-sxm", "fa3-sm90", variant_name, 1048576, 32), kPasses));
  }
}

void report(const std::vector<bench::Point>& points, const std::vector<double>& ms, int slowest) {
  std::vector<std::size_t> order(ms.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return ms[a] > ms[b]; });
  double sum = 0;
  double log_sum = 0;
  for (const double t : ms) {
    sum += t;
    log_sum += std::log(t);
  }
  const auto n = static_cast<double>(ms.size());
  const std::size_t tail = std::max<std::size_t>(1, ms.size() / 20);
  const double tail_ms = std::accumulate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(tail), 0.0,
                                         [&](double acc, std::size_t i) { return acc + ms[i]; });
  fmt::print("{} points on one core: {:.0f} points/s, geometric mean {:.3f} ms\n", ms.size(), n / sum * 1e3, std::exp(log_sum / n));
  fmt::print("slowest 5 %: from {:.2f} to {:.2f} ms, mean {:.2f} ms, {:.0f} % of the time\n", ms[order[tail - 1]], ms[order.front()],
             tail_ms / static_cast<double>(tail), 100 * tail_ms / sum);
  for (int i = 0; i < slowest && i < static_cast<int>(order.size()); ++i) {
    const std::size_t p = order[static_cast<std::size_t>(i)];
    fmt::print("  {:8.2f} ms  #{} {}\n", ms[p], p, points[p].label);
  }
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--repeat") options.repeat = std::max(1, std::atoi(value.c_str()));
    if (name == "--slowest") options.slowest = std::atoi(value.c_str());
    if (name == "--only") options.only = std::atoi(value.c_str());
    if (name == "--list") options.list = value;
    if (name == "--values") options.values = value;
    if (name == "--detailed") options.detailed = std::atof(value.c_str());
    if (name == "--stages") options.stages = value != "0";
    if (name == "--growth") options.growth = value != "0";
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    keep_freed_memory();
    const Options options = parse(argc, argv);
    const std::vector<bench::Point> points = bench::read_points(options.list);
    (void)accuracy_table();
    if (options.only >= 0) {
      const bench::Point& point = points.at(static_cast<std::size_t>(options.only));
      fmt::print("{:.3f} ms  {}\n", least_ms(point.request, options.repeat), point.label);
      return 0;
    }
    if (options.detailed > 0) {
      print_agreement(points, options.detailed);
      return 0;
    }
    if (options.stages) {
      print_stages(points);
      return 0;
    }
    std::vector<double> ms(points.size());
    std::vector<double> predicted_us(points.size());
    for (int pass = 0; pass < options.repeat; ++pass) {
      for (std::size_t i = 0; i < points.size(); ++i) {
        const Timed t = timed(points[i].request);
        predicted_us[i] = t.predicted_us;
        ms[i] = pass == 0 ? t.ms : std::min(ms[i], t.ms);
      }
    }
    report(points, ms, options.slowest);
    if (!options.values.empty()) {
      std::ofstream file(options.values);
      for (std::size_t i = 0; i < points.size(); ++i) file << fmt::format("{},{}\n", points[i].label, predicted_us[i]);
    }
    fmt::print("peak memory {:.0f} MiB\n", peak_mib());
    if (options.growth) growth();
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
