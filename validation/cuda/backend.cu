// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// attnsim-bench on a CUDA device: checks against the double-precision reference, and timings by events with the SM clock stamped around
// the timed region.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "validation/cuda/element.cuh"
#include "validation/cuda/micro/micro.h"
#include "validation/cuda/problem.h"

namespace attnsim::cuda {

namespace {

struct ChipName {
  const char* part;  // of the driver's device name
  const char* chip;
};
constexpr ChipName kChips[] = {{"H100 PCIe", "h100-pcie"},
                               {"H100", "h100-sxm"},
                               {"H200", "h200"},
                               {"H20", "h20"},
                               {"A100-SXM4-80GB", "a100-sxm-80gb"},
                               {"A100-SXM4-40GB", "a100-sxm-40gb"},
                               {"A30", "a30"},
                               {"A40", "a40"},
                               {"L40S", "l40s"},
                               {"L40", "l40"},
                               {"L20", "l20"},
                               {"L4", "l4"},
                               {"B200", "b200"},
                               {"B300", "b300"},
                               {"RTX 4090", "rtx-4090"},
                               {"RTX 5090", "rtx-5090"},
                               {"RTX 3090", "rtx-3090"}};

class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(cudaStream_t stream) const { check(cudaEventRecord(event_, stream), "cudaEventRecord"); }
  [[nodiscard]] double microseconds_to(const Event& end) const {
    check(cudaEventSynchronize(end.event_), "cudaEventSynchronize");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, event_, end.event_), "cudaEventElapsedTime");
    return 1e3 * static_cast<double>(ms);
  }

 private:
  cudaEvent_t event_ = nullptr;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double relative_error_of_mean(const std::vector<double>& v) {
  if (v.size() < 2) return std::numeric_limits<double>::infinity();
  const auto n = static_cast<double>(v.size());
  const double mean = std::accumulate(v.begin(), v.end(), 0.0) / n;
  double squares = 0;
  for (const double x : v) squares += (x - mean) * (x - mean);
  return std::sqrt(squares / (n - 1) / n) / mean;
}

struct Errors {
  double worst = 0, squares = 0, largest = 0;
  std::size_t count = 0;
  void add(double value, double reference) {
    const double d = std::isfinite(value) ? std::fabs(value - reference) : std::numeric_limits<double>::infinity();
    worst = std::max(worst, d);
    squares += d * d;
    largest = std::max(largest, std::fabs(reference));
    ++count;
  }
  // Relative to the largest value.
  [[nodiscard]] Errors relative() const {
    const double scale = std::max(largest, 1e-30);
    return {worst / scale, squares / scale / scale, 1, count};
  }
  void merge(const Errors& other) {
    worst = std::max(worst, other.worst);
    squares += other.squares;
    largest = std::max(largest, other.largest);
    count += other.count;
  }
};

class CudaBackend final : public bench::Backend {
 public:
  explicit CudaBackend(const Machine& m) : machine_(m) {}

  std::string name() const override { return "cuda"; }

  bench::Device device() override {
    bench::Device d;
    d.name = machine_.name;
    d.driver = machine_.driver;
    d.clock_mhz = machine_.clock_mhz;
    for (const ChipName& c : kChips) {
      if (d.chip.empty() && machine_.name.find(c.part) != std::string::npos) d.chip = c.chip;
    }
    return d;
  }

  std::vector<bench::KernelInfo> kernels() const override {
    std::vector<bench::KernelInfo> all;
    for (const KernelEntry& e : kernel_table()) all.push_back(e.info);
    return all;
  }

  std::string refuses(const std::string& kernel, const bench::Shape& s) const override {
    const KernelEntry* entry = find(kernel);
    if (entry == nullptr) return "is no kernel of this backend";
    if (s.batch < 1 || s.q_heads < 1 || s.kv_heads < 1 || s.q_len < 1 || s.kv_len < 1) return "sizes must be at least 1";
    if (s.dtype != "bf16" && s.dtype != "f16") return "has bf16 and f16";
    if (!entry->product) {
      if (s.head_dim != 64 && s.head_dim != 128) return "is compiled for head_dim 64 and 128";
      if (s.q_heads % s.kv_heads != 0) return "needs q_heads to be a multiple of kv_heads";
    }
    constexpr std::int64_t kMost = std::int64_t{1} << 31;
    if (s.batch * s.q_heads * s.q_len >= kMost || s.batch * s.kv_len >= kMost) return "counts rows in 32 bits";
    if (s.batch > 65535 || s.q_heads > 65535 || (s.q_len + 127) / 128 > 65535) return "exceeds the grid";
    if (4 * input_bytes(s, entry->product) > machine_.memory_bytes) return "does not fit the device's memory";
    return entry->refuses(s, machine_);
  }

  bench::Check check(const std::string& kernel, const bench::Shape& s, std::uint64_t seed) override {
    const KernelEntry& entry = *find(kernel);
    Problem p(s, entry.product, 1, seed);
    entry.prepare(p, machine_);
    const InputSet& set = p.sets.front();
    run(set);
    const Errors errors = (entry.product ? product_errors(p) : s.backward ? backward_errors(p) : forward_errors(p)).relative();
    bench::Check result;
    // Probabilities and the output are rounded to the element type; a product only once, but over k random terms. Gradients are sums of
    // products of rounded dS and, of grouped heads, of rounded sums.
    result.tolerance = (s.dtype == "bf16" ? 8e-3 : 1e-3) * (s.backward ? 1.5 : 1);
    result.worst = errors.worst;
    result.rms = std::sqrt(errors.squares / static_cast<double>(std::max<std::size_t>(errors.count, 1)));
    result.passed = result.worst <= result.tolerance;
    result.note = std::to_string(errors.count) + " values compared";
    return result;
  }

  bench::Timing time(const std::string& kernel, const bench::Shape& s, const bench::TimingPolicy& policy) override {
    const KernelEntry& entry = *find(kernel);
    std::vector<bench::Counter> counters = counted(entry, s);
    // Warm: as many sets as stay in half of the L2. Cold: enough to overflow it, and it is overwritten before every sample.
    const std::size_t bytes = input_bytes(s, entry.product);
    const std::size_t sets = policy.cold_l2 ? 2 : std::max<std::size_t>(1, std::min<std::size_t>(8, machine_.l2_bytes / 2 / bytes));
    Problem p(s, entry.product, static_cast<int>(sets), 1);
    entry.prepare(p, machine_);
    for (const InputSet& set : p.sets) run(set);
    const double once = measure(p, 0, 3, false).us;
    // Samples of about 200 us, so that neither the events nor the timers' steps show. A cold sample is a single launch.
    const int launches = policy.cold_l2 ? 1 : std::max(1, static_cast<int>(200 / std::max(once, 1.0)));
    for (int i = 0; i < 3; ++i) measure(p, i, launches, policy.cold_l2);

    struct Sample {
      double us, mhz;
    };
    std::vector<Sample> samples;
    std::vector<double> clean;
    double typical = 0;
    const auto start = std::chrono::steady_clock::now();
    while (static_cast<int>(samples.size()) < policy.max_samples) {
      const auto [us, mhz] = measure(p, static_cast<int>(samples.size()), launches, policy.cold_l2);
      samples.push_back({us, mhz});
      std::vector<double> clocks;
      for (const Sample& x : samples) clocks.push_back(x.mhz);
      typical = median(clocks);
      clean.clear();
      for (const Sample& x : samples) {
        if (x.mhz >= 0.95 * typical) clean.push_back(x.us);
      }
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (seconds > policy.seconds && samples.size() >= 3) break;
      if (static_cast<int>(clean.size()) >= policy.min_samples && relative_error_of_mean(clean) < policy.noise) break;
    }
    bench::Timing t;
    t.sample_us = clean;
    t.throttled = static_cast<int>(samples.size() - clean.size());
    t.clock_mhz = typical;
    t.kernel_cycles = median(clean) * typical;
    t.counters = std::move(counters);
    return t;
  }

  std::vector<bench::Microbenchmark> microbenchmarks(const std::string& only, double seconds_each) override {
    return run_microbenchmarks(machine_, only, seconds_each);
  }

 private:
  struct Measured {
    double us, mhz;
  };

  static const KernelEntry* find(const std::string& kernel) {
    for (const KernelEntry& e : kernel_table()) {
      if (e.info.name == kernel) return &e;
    }
    return nullptr;
  }

  static void run(const InputSet& set) {
    if (set.before) cuda::check(set.before(nullptr), "preparation");
    cuda::check(set.launch(nullptr), "launch");
    if (set.after) cuda::check(set.after(nullptr), "finish");
    cuda::check(cudaDeviceSynchronize(), "kernel");
  }

  // Of one launch of the kernel's counting instance; empty where it has none.
  std::vector<bench::Counter> counted(const KernelEntry& entry, const bench::Shape& s) const {
    Problem p(s, entry.product, 1, 1);
    const Buffer tally = Buffer::of(std::vector<long long>(kTallies));
    p.sets.front().args.tally = tally.get<long long>();
    entry.prepare(p, machine_);
    run(p.sets.front());
    std::vector<double> n;
    for (const long long count : tally.values<long long>()) n.push_back(static_cast<double>(count));
    if (n[kTallyTiles] == 0) return {};
    std::vector<bench::Counter> counters{{"kv_tiles", n[kTallyTiles]}, {"tensor_flops", n[kTallyFlops]}, {"l2_bytes", n[kTallyBytes]}};
    if (n[kTallyMma] > 0) counters.push_back({"mma_instructions", n[kTallyMma]});
    if (n[kTallyWgmma] > 0) counters.push_back({"wgmma_instructions", n[kTallyWgmma]});
    if (n[kTallyExps] > 0) counters.push_back({"exp_count", n[kTallyExps]});
    return counters;
  }

  Measured measure(const Problem& p, int first_set, int launches, bool cold) {
    if (cold) {
      if (flush_.bytes() == 0) flush_ = Buffer(4 * machine_.l2_bytes);
      cuda::check(cudaMemsetAsync(flush_.get(), 1, flush_.bytes(), nullptr), "flush");
    }
    stamps_.before(nullptr);
    begin_.record(nullptr);
    for (int i = 0; i < launches; ++i)
      cuda::check(p.sets[static_cast<std::size_t>(first_set + i) % p.sets.size()].launch(nullptr), "launch");
    end_.record(nullptr);
    stamps_.after(nullptr);
    const double us = begin_.microseconds_to(end_) / launches;
    cuda::check(cudaDeviceSynchronize(), "timed kernel");
    return {us, stamps_.megahertz()};
  }

  // Of every value where rows are few, else of 2048 evenly spread rows.
  Errors forward_errors(const Problem& p) const {
    const bench::Shape& s = p.shape;
    const std::int64_t all = s.batch * s.q_len * s.q_heads;
    const std::int64_t step = std::max<std::int64_t>(1, all / 2048) | 1;
    const auto count = static_cast<int>((all + step - 1) / step);
    const Buffer o(static_cast<std::size_t>(count * s.head_dim) * sizeof(double)), lse(static_cast<std::size_t>(count) * sizeof(double));
    cuda::check(
        reference_forward(p.sets.front().args, s.head_dim, p.dtype, p.rule, 0, step, count, o.get<double>(), lse.get<double>(), nullptr),
        "reference");
    cuda::check(cudaDeviceSynchronize(), "reference");
    const std::vector<double> reference = o.values<double>();
    const std::vector<std::uint16_t> output = elements(p.sets.front().args.o, static_cast<std::size_t>(all * s.head_dim));
    Errors e;
    for (std::int64_t r = 0; r < count; ++r) {
      for (int c = 0; c < s.head_dim; ++c) {
        e.add(value(p, output[static_cast<std::size_t>(r * step * s.head_dim + c)]),
              reference[static_cast<std::size_t>(r * s.head_dim + c)]);
      }
    }
    return e;
  }

  Errors product_errors(const Problem& p) const {
    const bench::Shape& s = p.shape;
    const auto count = static_cast<std::size_t>(s.q_len * s.kv_len);
    const Buffer c(count * sizeof(double));
    const AttentionArgs& a = p.sets.front().args;
    cuda::check(reference_gemm(a.q, a.k, c.get<double>(), a.q_len, a.kv_len, s.head_dim, p.dtype, nullptr), "reference");
    cuda::check(cudaDeviceSynchronize(), "reference");
    const std::vector<double> reference = c.values<double>();
    const std::vector<std::uint16_t> output = elements(a.o, count);
    Errors e;
    for (std::size_t i = 0; i < count; ++i) e.add(value(p, output[i]), reference[i]);
    return e;
  }

  // Of dQ, dK and dV, each relative to its own largest value.
  Errors backward_errors(const Problem& p) const {
    const bench::Shape& s = p.shape;
    const AttentionArgs& a = p.sets.front().args;
    const auto rows = static_cast<std::size_t>(s.batch * s.q_len * s.q_heads), d = static_cast<std::size_t>(s.head_dim);
    const auto keys = static_cast<std::size_t>(s.batch * s.kv_len * s.kv_heads);
    const Buffer o(rows * d * sizeof(double)), lse(rows * sizeof(double));
    cuda::check(
        reference_forward(a, s.head_dim, p.dtype, p.rule, 0, 1, static_cast<int>(rows), o.get<double>(), lse.get<double>(), nullptr),
        "reference");
    cuda::check(cudaDeviceSynchronize(), "reference");
    const std::vector<double> output = o.values<double>();
    const std::vector<std::uint16_t> d_o = elements(a.d_o, rows * d);
    std::vector<double> sums(rows);
    for (std::size_t i = 0; i < output.size(); ++i) sums[i / d] += output[i] * value(p, d_o[i]);
    const Buffer delta = Buffer::of(sums), dq(rows * d * sizeof(double)), dk(keys * d * sizeof(double)), dv(keys * d * sizeof(double));
    cuda::check(reference_backward(a, s.head_dim, p.dtype, p.rule, lse.get<double>(), delta.get<double>(), dq.get<double>(),
                                   dk.get<double>(), dv.get<double>(), nullptr),
                "reference");
    cuda::check(cudaDeviceSynchronize(), "reference");
    Errors all;
    const auto compare = [&](const void* kernel, const Buffer& expected) {
      const std::vector<double> reference = expected.values<double>();
      const std::vector<std::uint16_t> bits = elements(kernel, reference.size());
      Errors e;
      for (std::size_t i = 0; i < bits.size(); ++i) e.add(value(p, bits[i]), reference[i]);
      all.merge(e.relative());
    };
    compare(a.dq, dq);
    compare(a.dk, dk);
    compare(a.dv, dv);
    return all;
  }

  static std::vector<std::uint16_t> elements(const void* device, std::size_t count) {
    std::vector<std::uint16_t> host(count);
    cuda::check(cudaMemcpy(host.data(), device, 2 * count, cudaMemcpyDeviceToHost), "output");
    return host;
  }
  static double value(const Problem& p, std::uint16_t bits) {
    return static_cast<double>(p.dtype == Dtype::bf16 ? to_float(Bf16{bits}) : to_float(F16{bits}));
  }

  Machine machine_;
  Event begin_, end_;
  ClockStamps stamps_{machine_.sms};
  Buffer flush_;
};

}  // namespace

}  // namespace attnsim::cuda

namespace attnsim::bench {

std::unique_ptr<Backend> make_cuda_backend(int device, std::string& why_not) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && device >= count) error = cudaErrorInvalidDevice;
  if (error == cudaSuccess) error = cudaSetDevice(device);
  cudaDeviceProp properties{};
  if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, device);
  if (error != cudaSuccess) {
    why_not = std::string("no CUDA device ") + std::to_string(device) + ": " + cudaGetErrorString(error);
    return nullptr;
  }
  cuda::Machine m;
  m.device = device;
  m.name = properties.name;
  m.sms = properties.multiProcessorCount;
  m.capability = properties.major * 10 + properties.minor;
  m.l2_bytes = static_cast<std::size_t>(properties.l2CacheSize);
  m.memory_bytes = properties.totalGlobalMem;
  int khz = 0, driver = 0, runtime = 0;
  cudaDeviceGetAttribute(&khz, cudaDevAttrClockRate, device);
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  m.clock_mhz = khz / 1e3;
  m.driver = "driver for CUDA " + std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10) + ", runtime " +
             std::to_string(runtime / 1000) + "." + std::to_string(runtime % 1000 / 10);
  if (m.capability != 80 && m.capability != 86 && m.capability != 89 && m.capability != 90) {
    why_not = m.name + ": kernels are compiled for compute capabilities 8.x and 9.0";
    return nullptr;
  }
  return std::make_unique<cuda::CudaBackend>(m);
}

}  // namespace attnsim::bench
