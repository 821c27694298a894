// SPDX-License-Identifier: Apache-2.0
// The processor that this program runs on, as a backend.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <stdexcept>

#include "validation/bench/sampling.h"
#include "validation/host/attention.h"
#include "validation/host/microbenchmarks.h"
#include "validation/host/system.h"
#include "validation/host/workspace.h"

namespace attnsim::host {

namespace {

using bench::Shape;

struct HostKernel {
  const char* name;
  const char* description;
  const char* schedule;
  const char* source;
  std::string (*refuses)(const Shape&);
  void (*run)(const Kernels&, Pool&, Workspace&, const Shape&, const Tensors&);
  Counts (*counts)(const Kernels&, Pool&, Workspace&, const Shape&, const Tensors&);  // the same, compiled to count
};

std::string refuses_any(const Shape& s) {
  if (s.dtype != "f32") return "dtype " + s.dtype + "; host kernels are FP32";
  if (s.head_dim < 1 || s.head_dim > kMaxHeadDim) return "head_dim above " + std::to_string(kMaxHeadDim);
  if (s.batch < 1 || s.q_len < 1 || s.kv_len < 1 || s.q_heads < 1 || s.kv_heads < 1 || s.q_heads % s.kv_heads != 0)
    return "not an attention shape";
  if (s.backward || s.page != 0) return "no backward pass, no paged cache";
  return "";
}

std::string refuses_prefill(const Shape& s) {
  if (const std::string why = refuses_any(s); !why.empty()) return why;
  static constexpr std::array<const char*, 4> kMasks{"dense", "causal", "window", "block-sparse"};
  return std::find(kMasks.begin(), kMasks.end(), s.mask) == kMasks.end() ? "mask " + s.mask : "";
}

std::string refuses_decode(const Shape& s) {
  if (const std::string why = refuses_any(s); !why.empty()) return why;
  if (s.q_len != 1) return "decode has one query token";
  static constexpr std::array<const char*, 3> kMasks{"dense", "causal", "window"};
  return std::find(kMasks.begin(), kMasks.end(), s.mask) == kMasks.end() ? "mask " + s.mask : "";
}

constexpr std::array kHostKernels{
    HostKernel{"host-fa", "FlashAttention-2 class, a thread per core, FP32", "host-fa",
               "validation/host/prefill.cpp validation/host/kernels_body.inc", refuses_prefill, prefill, prefill_counts},
    HostKernel{"host-decode", "split-KV decode, heads of a group share the keys, FP32", "host-decode",
               "validation/host/decode.cpp validation/host/kernels_body.inc", refuses_decode, decode, decode_counts},
};

const HostKernel* find(const std::string& name) {
  const auto it = std::find_if(kHostKernels.begin(), kHostKernels.end(), [&](const HostKernel& k) { return name == k.name; });
  return it == kHostKernels.end() ? nullptr : &*it;
}

// Inputs of one problem. Values are uniform in [-1, 1) by a counter-based generator.
struct Inputs {
  Inputs(const Shape& s, std::uint64_t seed)
      : q(static_cast<std::size_t>(s.batch * s.q_len * s.q_heads * s.head_dim)),
        k(static_cast<std::size_t>(s.batch * s.kv_len * s.kv_heads * s.head_dim)),
        v(k.size()),
        o(q.size()) {
    fill(q, seed * 3);
    fill(k, seed * 3 + 1);
    fill(v, seed * 3 + 2);
  }
  static void fill(AlignedFloats& to, std::uint64_t stream) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      std::uint64_t x = (stream << 40) + i + 0x9E3779B97F4A7C15ULL;
      x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
      x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
      x ^= x >> 31;
      to.data()[i] = static_cast<float>(static_cast<double>(x >> 11) * 0x1.0p-52 - 1.0);
    }
  }
  [[nodiscard]] Tensors tensors() { return {q.data(), k.data(), v.data(), o.data()}; }

  AlignedFloats q;
  AlignedFloats k;
  AlignedFloats v;
  AlignedFloats o;  // NaN until written
};

class HostBackend final : public bench::Backend {
 public:
  explicit HostBackend(int threads) : system_(read_system()), pool_(threads > 0 ? threads : system_.cores) {}

  [[nodiscard]] std::string name() const override { return "host"; }

  [[nodiscard]] bench::Device device() override {
    bench::Device device;
    device.name = system_.cpu;
    device.driver = std::string("GCC ") + __VERSION__ + ", " + kernels_.isa + ", " + std::to_string(pool_.size()) + " threads";
    device.chip = "host";
    std::vector<double> mhz;
    for (int i = 0; i < 25; ++i) mhz.push_back(core_clock_mhz());
    device.clock_mhz = bench::median(mhz);
    return device;
  }

  [[nodiscard]] std::vector<bench::KernelInfo> kernels() const override {
    std::vector<bench::KernelInfo> list;
    for (const HostKernel& k : kHostKernels) list.push_back({k.name, k.description, k.schedule, k.source});
    return list;
  }

  [[nodiscard]] std::string refuses(const std::string& kernel, const Shape& shape) const override {
    const HostKernel* found = find(kernel);
    return found == nullptr ? "no host kernel " + kernel : found->refuses(shape);
  }

  [[nodiscard]] bench::Check check(const std::string& kernel, const Shape& shape, std::uint64_t seed) override {
    const HostKernel& k = known(kernel, shape);
    Inputs inputs(shape, seed);
    Workspace workspace(pool_.size(), shape);
    k.run(kernels_, pool_, workspace, shape, inputs.tensors());
    std::vector<double> expected;
    reference(shape, inputs.tensors(), expected);
    return compare(shape, inputs, expected);
  }

  [[nodiscard]] bench::Timing time(const std::string& kernel, const Shape& shape, const bench::TimingPolicy& policy) override {
    const HostKernel& k = known(kernel, shape);
    Inputs inputs(shape, 1);
    Workspace workspace(pool_.size(), shape);
    std::vector<float> flush(policy.cold_l2 ? static_cast<std::size_t>(system_.llc_bytes) * 2 / sizeof(float) : 0);
    std::vector<double> mhz;
    const auto once = [&] {
      for (std::size_t i = 0; i < flush.size(); i += 16) flush[i] += 1;
      const std::int64_t before = preemptions();
      const auto start = std::chrono::steady_clock::now();
      k.run(kernels_, pool_, workspace, shape, inputs.tensors());
      const std::chrono::duration<double, std::micro> elapsed = std::chrono::steady_clock::now() - start;
      const bool disturbed = preemptions() != before;
      mhz.push_back(core_clock_mhz());
      return bench::Sample{elapsed.count(), disturbed};
    };
    (void)once();
    mhz.clear();
    bench::Timing timing = bench::collect(policy, once);
    timing.clock_mhz = bench::median(mhz);
    timing.kernel_cycles = bench::median(timing.sample_us) * timing.clock_mhz;
    const Counts counts = k.counts(kernels_, pool_, workspace, shape, inputs.tensors());
    timing.counters = {{"kv_tiles", counts.kv_tiles},
                       {"tensor_flops", counts.tensor_flops},
                       {"exp_count", counts.exp_count},
                       {"l2_bytes", counts.l2_bytes}};
    return timing;
  }

  [[nodiscard]] std::vector<bench::Microbenchmark> microbenchmarks(const std::string& only, double seconds_each) override {
    return host::microbenchmarks(kernels_, pool_, system_, only, seconds_each);
  }

 private:
  static const HostKernel& known(const std::string& kernel, const Shape& shape) {
    const HostKernel* found = find(kernel);
    if (found == nullptr) throw std::invalid_argument("no host kernel " + kernel);
    if (const std::string why = found->refuses(shape); !why.empty()) throw std::invalid_argument(kernel + " refuses " + why);
    return *found;
  }

  static bench::Check compare(const Shape& shape, const Inputs& inputs, const std::vector<double>& expected) {
    bench::Check check;
    const auto d = static_cast<std::size_t>(shape.head_dim);
    double squares = 0;
    for (std::size_t row = 0; row < expected.size(); row += d) {
      double largest = 0;
      double worst = 0;
      for (std::size_t x = 0; x < d; ++x) {
        const double error = std::abs(static_cast<double>(inputs.o.data()[row + x]) - expected[row + x]);
        largest = std::max(largest, std::abs(expected[row + x]));
        worst = std::isnan(error) ? INFINITY : std::max(worst, error);
      }
      const double relative = largest > 0 ? worst / largest : worst;
      check.worst = std::max(check.worst, relative);
      squares += relative * relative;
    }
    check.rms = std::sqrt(squares / static_cast<double>(expected.size() / d));
    // Scores of FP32 products over head_dim, weights of the polynomial, sums over the keys: each rounding is 2^-24, and sums of n
    // terms of random sign lose sqrt(n) of them. The output's largest value shrinks like 1 / sqrt(keys), the error's scale does not.
    const double keys = static_cast<double>(shape.kv_len);
    const double roundoff = 0x1.0p-24;
    check.tolerance = (kExp2Error + roundoff * (8 * std::sqrt(static_cast<double>(shape.head_dim)) + 2 * std::sqrt(keys)));
    check.passed = check.worst <= check.tolerance;
    return check;
  }

  System system_;
  const Kernels& kernels_ = best_kernels();
  Pool pool_;
};

}  // namespace

}  // namespace attnsim::host

namespace attnsim::bench {

std::unique_ptr<Backend> make_host_backend(int threads, std::string& why_not) {
  why_not.clear();
  return std::make_unique<host::HostBackend>(threads);
}

}  // namespace attnsim::bench
