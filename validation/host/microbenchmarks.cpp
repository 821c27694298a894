// SPDX-License-Identifier: Apache-2.0
#include "validation/host/microbenchmarks.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <functional>
#include <numeric>

#include "validation/bench/sampling.h"
#include "validation/host/workspace.h"

namespace attnsim::host {

namespace {

using bench::Microbenchmark;

// Median of the seconds that a body takes, with the half width of its confidence interval.
struct Seconds {
  double median = 0;
  double half_width = 0;
  int samples = 0;
};

volatile float sink = 0;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class Suite {
 public:
  Suite(const Kernels& kernels, Pool& pool, const System& system, std::string only, double seconds)
      : kernels_(kernels), pool_(pool), system_(system), only_(std::move(only)), seconds_(seconds) {
    for (int i = 0; i < pool.size(); ++i) parts_.push_back(std::make_unique<Workspace::Part>());
    for (auto& part : parts_) {
      for (AlignedFloats* buffer : {&part->q, &part->k, &part->v, &part->s, &part->o}) {
        for (std::size_t i = 0; i < buffer->size(); ++i) buffer->data()[i] = static_cast<float>(i % 17) * -0.01F;
      }
    }
  }

  std::vector<Microbenchmark> run() {
    clock();
    machine();
    arithmetic();
    softmax();
    bandwidth();
    latency();
    launch();
    return std::move(results_);
  }

 private:
  [[nodiscard]] bool wanted(const std::string& name) const { return name.rfind(only_, 0) == 0; }
  [[nodiscard]] double threads() const { return static_cast<double>(pool_.size()); }
  [[nodiscard]] double hertz() const { return clock_mhz_ * 1e6; }

  // By the clock on the wall.
  Seconds time(const std::function<void()>& body) const {
    return sampled([&] {
      const auto start = std::chrono::steady_clock::now();
      body();
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    });
  }
  // All threads at once, each by the time that the scheduler gave it, so that other programs on a core add nothing; the longest counts.
  Seconds time_all(const std::function<void(int)>& body) const {
    std::vector<double> seconds(static_cast<std::size_t>(pool_.size()));
    return sampled([&] {
      pool_.run([&](int thread) {
        const double start = thread_seconds();
        body(thread);
        seconds[static_cast<std::size_t>(thread)] = thread_seconds() - start;
      });
      return *std::max_element(seconds.begin(), seconds.end());
    });
  }
  // Of many samples in seconds.
  Seconds sampled(const std::function<double()>& sample) const {
    bench::TimingPolicy policy;
    policy.min_samples = 15;
    policy.max_samples = 2000;
    policy.noise = 0.002;
    policy.seconds = seconds_;
    sample();
    const bench::Timing timing = bench::collect(policy, [&] {
      const std::int64_t before = preemptions();
      const double seconds = sample();
      return bench::Sample{1e6 * seconds, preemptions() != before};
    });
    return {bench::median(timing.sample_us) * 1e-6, bench::median_half_width(timing.sample_us) * 1e-6,
            static_cast<int>(timing.sample_us.size())};
  }

  void add(const std::string& name, const std::string& figure, const std::string& unit, const std::string& conditions, double value,
           const Seconds& t) {
    if (!wanted(name)) return;
    const double relative = t.median > 0 ? t.half_width / t.median : 0;
    results_.push_back({name, figure, unit, conditions, value, value * relative, t.samples});
  }

  // Every rate per clock needs it, so it is always taken.
  void clock() {
    constexpr int kRepeats = 20;
    std::vector<double> mhz;
    Seconds t;
    bench::TimingPolicy policy;
    policy.min_samples = 15;
    policy.seconds = seconds_;
    policy.noise = 0.002;
    const bench::Timing timing = bench::collect(policy, [&] {
      const std::int64_t before = preemptions();
      double sum = 0;
      for (int i = 0; i < kRepeats; ++i) sum += core_clock_mhz();
      return bench::Sample{kRepeats / sum, preemptions() != before};
    });
    clock_mhz_ = 1 / bench::median(timing.sample_us);
    t = {bench::median(timing.sample_us), bench::median_half_width(timing.sample_us), static_cast<int>(timing.sample_us.size())};
    add("clock", "clock.boost_mhz", "MHz", "chain of dependent additions", clock_mhz_, t);
  }

  void machine() {
    const Seconds told{0, 0, 1};
    add("cores", "sm.count", "cores", "threads that the kernels use", threads(), told);
    add("cache", "l2.capacity_mib", "MiB", "last-level cache, as the operating system tells",
        static_cast<double>(system_.llc_bytes) / (1 << 20), told);
    add("vector", "sm.lanes_per_warp", "lanes", std::string("FP32 elements of a vector, ") + kernels_.isa, kernels_.lanes, told);
    if (system_.memory_bytes > 0)
      add("memory", "hbm.capacity_gib", "GiB", "as the operating system tells", static_cast<double>(system_.memory_bytes) / (1LL << 30),
          told);
  }

  void arithmetic() {
    if (!wanted("fma") && !wanted("product")) return;
    constexpr long kIterations = 100000;
    const Seconds peak = time_all([&](int) { sink = kernels_.fma_chains(kIterations); });
    const double flops = 2.0 * kIterations * kFmaChains * kernels_.lanes;
    const double per_clock = flops / peak.median / hertz();
    const std::string how = std::to_string(kFmaChains) + " independent chains of " + std::to_string(kernels_.lanes) + " lanes, all cores";
    add("fma-flops", "tensor.flop_per_clk_per_sm.f32", "FLOP/clk/core", how, per_clock, peak);
    add("fma-lanes", "sm.fp32_lanes", "lanes", how, per_clock / 2, peak);
    constexpr int kRepeats = 4;
    const Seconds product = time_all([&](int thread) {
      Workspace::Part& part = *parts_[static_cast<std::size_t>(thread)];
      for (int i = 0; i < kRepeats; ++i) {
        kernels_.product(part.q.data(), kMaxHeadDim, kTileQ, kMaxHeadDim, part.k.data(), kTileKv, part.s.data(), kTileKv, false);
        kernels_.product(part.s.data(), kTileKv, kTileQ, kTileKv, part.v.data(), kMaxHeadDim, part.o.data(), kMaxHeadDim, false);
      }
    });
    const double rate = kRepeats * 2 * 2.0 * kTileQ * kTileKv * kMaxHeadDim / product.median / hertz();
    add("product", "tensor.efficiency", "", "96 x 128 x 128 by register blocks, panels in L2, over the FMA peak",
        std::min(1.0, rate / per_clock), product);
    small_products(per_clock);
  }

  // What a product takes beyond its arithmetic: pointers of its rows, sums across the lanes, first and last use of its result. Of decode's
  // two products, whose few rows leave little else; each alone, so that its operands lie in L1 (what comes from L2 is a figure of its own).
  void small_products(double flops_per_clock) {
    constexpr int kRepeats = 200;
    double excess = 0;
    int products = 0;
    Seconds all;
    const auto one = [&](int rows, int d, const auto& body) {
      const Seconds t = time_all([&](int thread) {
        for (int i = 0; i < kRepeats; ++i) body(*parts_[static_cast<std::size_t>(thread)]);
      });
      excess += t.median * hertz() / kRepeats - 2.0 * rows * kDecodeTileKv * d / flops_per_clock;
      all.median += t.median;
      all.half_width += t.half_width;
      all.samples += t.samples;
      ++products;
    };
    for (const int d : {kMaxHeadDim / 2, kMaxHeadDim}) {
      const auto stride = static_cast<std::size_t>(d);
      for (int rows = 1; rows <= kDecodeTileQ; rows *= 2) {
        one(rows, d, [&](Workspace::Part& part) {
          kernels_.scores(part.q.data(), rows, d, part.k.data(), stride, kDecodeTileKv, kDecodeTileKv, part.s.data(), kDecodeTileKv,
                          nullptr);
        });
        one(rows, d, [&](Workspace::Part& part) {
          kernels_.values(part.s.data(), kDecodeTileKv, rows, part.v.data(), stride, kDecodeTileKv, d, part.o.data(), stride, nullptr);
        });
      }
    }
    add("product-start", "latency.mma_sync_cycles", "cycles",
        "products of 1 to 8 rows with 64 keys in L1, head sizes 64 and 128, less their arithmetic at the FMA peak; mean",
        std::max(0.0, excess / products), all);
  }

  // The passes of the softmax alone and together: how far they hide one another is the chain's serialisation.
  void softmax() {
    if (!wanted("exp2") && !wanted("maximum") && !wanted("softmax")) return;
    constexpr std::size_t kScores = static_cast<std::size_t>(kTileQ) * kTileKv;
    constexpr int kRepeats = 100;
    const auto pass = [&](auto body) {
      return time_all([&, body](int thread) {
        for (int i = 0; i < kRepeats; ++i) body(*parts_[static_cast<std::size_t>(thread)]);
      });
    };
    const double scores = static_cast<double>(kScores) * kRepeats;
    const Seconds exps = pass([&](Workspace::Part& part) { sink = kernels_.exp2_pass(part.s.data(), kScores); });
    const Seconds maxima = pass([&](Workspace::Part& part) { sink = kernels_.max_pass(part.s.data(), kScores); });
    const Seconds whole = pass([&](Workspace::Part& part) {
      std::fill_n(part.m.data(), kTileQ, 0.0F);
      std::fill_n(part.l.data(), kTileQ, 0.0F);
      kernels_.softmax(part.s.data(), kTileKv, kTileQ, kTileKv, 0.1F, part.m.data(), part.l.data(), part.alpha.data());
    });
    const std::string tile = "96 x 128 tile of scores";
    add("exp2", "sm.sfu_lanes", "exp2/clk/core", tile + ", polynomial of degree 5, loads and stores included",
        scores / exps.median / hertz(), exps);
    add("maximum", "sm.alu_lanes", "lanes", tile + ", loads included", scores / maxima.median / hertz(), maxima);
    const double fp32 = 2 * scores / (2.0 * kernels_.lanes) / hertz();  // scale and shift, row sum
    const double sum = exps.median + maxima.median + fp32;
    const double longest = std::max({exps.median, maxima.median, fp32});
    add("softmax", "vector.chain_serialization", "", tile + ": maximum, exp2 and sum together against each alone",
        std::clamp((whole.median - longest) / (sum - longest), 0.0, 1.0), whole);
  }

  Seconds read(const std::vector<AlignedFloats>& buffers, std::size_t bytes, int cores) const {
    const std::size_t count = bytes / sizeof(float);
    const auto repeats = static_cast<int>(std::max<std::size_t>(1, (std::size_t{4} << 20) / bytes));
    Seconds t = time_all([&](int thread) {
      if (thread >= cores) return;
      for (int i = 0; i < repeats; ++i) sink = kernels_.read_pass(buffers[static_cast<std::size_t>(thread)].data(), count);
    });
    t.median /= repeats;
    t.half_width /= repeats;
    return t;
  }

  void bandwidth() {
    if (!wanted("bandwidth")) return;
    const auto l2 = static_cast<std::size_t>(system_.l2_bytes);
    const auto share = static_cast<std::size_t>(system_.llc_bytes) / static_cast<std::size_t>(pool_.size());
    const std::size_t most = std::max<std::size_t>(4 * share, std::size_t{32} << 20);
    std::vector<AlignedFloats> buffers;
    for (int i = 0; i < pool_.size(); ++i) {
      buffers.emplace_back(most / sizeof(float));
      std::memset(buffers.back().data(), 0, most);
    }
    const auto label = [](std::size_t bytes, const char* who) {
      return (bytes >= (1U << 20) ? std::to_string(bytes >> 20) + " MiB" : std::to_string(bytes >> 10) + " KiB") + " per thread, " + who;
    };
    const auto rate = [&](std::size_t bytes, const Seconds& t) { return static_cast<double>(bytes) / t.median; };
    const std::size_t in_l2 = l2 / 2;
    const Seconds near = read(buffers, in_l2, pool_.size());
    add("bandwidth-l2", "sm.smem_bytes_per_clk", "B/clk/core", label(in_l2, "all cores"), rate(in_l2, near) / hertz(), near);
    const std::size_t in_llc = std::max(2 * l2, share / 4);
    const Seconds port = read(buffers, in_llc, 1);
    add("bandwidth-llc-core", "sm.l2_port_bytes_per_clk", "B/clk/core", label(in_llc, "one core"), rate(in_llc, port) / hertz(), port);
    const Seconds all = read(buffers, in_llc, pool_.size());
    add("bandwidth-llc", "l2.bandwidth_bytes_per_clk", "B/clk", label(in_llc, "all cores"), rate(in_llc, all) * threads() / hertz(), all);
    const Seconds far = read(buffers, most, pool_.size());
    add("bandwidth-memory", "hbm.bandwidth_gb_per_s", "GB/s", label(most, "all cores"), rate(most, far) * threads() / 1e9, far);
    const auto time_per_byte = [&](std::size_t bytes, const Seconds& t) { return t.median / static_cast<double>(bytes); };
    const double cached = time_per_byte(in_llc, all), memory = time_per_byte(most, far);
    double kept = 1;
    for (std::size_t bytes = 16 << 10; bytes < most; bytes *= 2) {
      const Seconds t = read(buffers, bytes, pool_.size());
      add("bandwidth-curve", "", "GB/s", label(bytes, "all cores"), rate(bytes, t) * threads() / 1e9, t);
    }
    // As much as the cache is large: what it does not keep comes from memory.
    const Seconds whole = read(buffers, share, pool_.size());
    if (memory > cached) kept = (memory - time_per_byte(share, whole)) / (memory - cached);
    add("bandwidth-capacity", "l2.effective_fraction", "",
        label(share, "all cores") + ": part of it that comes at the cache's speed, the rest at memory's", std::clamp(kept, 0.1, 1.0),
        whole);
  }

  // Nanoseconds of one step through lines in random order (Sattolo's cycle), so that no prefetcher helps.
  Seconds chase(std::size_t bytes) const {
    constexpr std::size_t kLine = 64 / sizeof(std::uint32_t);
    const std::size_t lines = bytes / 64;
    std::vector<std::uint32_t> order(lines);
    std::iota(order.begin(), order.end(), 0U);
    std::uint64_t state = 88172645463325252ULL;
    for (std::size_t i = lines - 1; i > 0; --i) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      std::swap(order[i], order[state % i]);
    }
    std::vector<std::uint32_t> next(lines * kLine);
    for (std::size_t i = 0; i < lines; ++i) next[i * kLine] = order[i] * static_cast<std::uint32_t>(kLine);
    constexpr int kSteps = 4000;
    std::uint32_t at = 0;
    // The first call of time() does not walk far enough to warm a large set.
    for (std::size_t i = 0; i < lines; ++i) at = next[at];
    Seconds t = sampled([&] {
      const double start = thread_seconds();
      for (int i = 0; i < kSteps; ++i) at = next[at];
      sink = static_cast<float>(at);
      return thread_seconds() - start;
    });
    t.median /= kSteps;
    t.half_width /= kSteps;
    return t;
  }

  void latency() {
    if (!wanted("latency")) return;
    const auto l2 = static_cast<std::size_t>(system_.l2_bytes);
    const auto llc = static_cast<std::size_t>(system_.llc_bytes);
    const Seconds near = chase(l2 / 2);
    const Seconds middle = chase(std::max(2 * l2, llc / 8));
    const Seconds far = chase(std::max<std::size_t>(4 * llc, std::size_t{64} << 20));
    const std::string how = "dependent loads in random order, ";
    add("latency-l2", "latency.smem_cycles", "cycles", how + "half of L2", near.median * hertz(), near);
    add("latency-llc", "latency.l2_cycles", "cycles", how + "an eighth of the last-level cache", middle.median * hertz(), middle);
    add("latency-memory", "latency.hbm_ns", "ns", how + "four times the last-level cache, less the latency of the cache",
        std::max(0.0, far.median - middle.median) * 1e9, far);
  }

  void launch() {
    if (!wanted("launch")) return;
    const Seconds awake = time([&] { pool_.run([](int) {}); });
    add("launch", "launch.kernel_us", "us", "an empty body, threads waiting", awake.median * 1e6, awake);
    constexpr int kCalls = 20;
    Seconds chain = time([&] {
      for (int i = 0; i < kCalls; ++i) pool_.run([](int) {});
    });
    add("launch-dependent", "launch.dependent_kernel_us", "us", "empty bodies back to back", chain.median / kCalls * 1e6, chain);
  }

  const Kernels& kernels_;
  Pool& pool_;
  const System& system_;
  std::string only_;
  double seconds_;
  double clock_mhz_ = 0;
  std::vector<std::unique_ptr<Workspace::Part>> parts_;
  std::vector<Microbenchmark> results_;
};

}  // namespace

std::vector<Microbenchmark> microbenchmarks(const Kernels& kernels, Pool& pool, const System& system, const std::string& only,
                                            double seconds_each) {
  return Suite(kernels, pool, system, only, seconds_each).run();
}

}  // namespace attnsim::host
